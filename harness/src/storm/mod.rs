//! The storm: every CPU does random things to slots, probes and steps while the others do too, and every count must be exact.
//!
//! All choices come from one seed. A storm consists of rounds. In each round the CPUs set slots and probes, storm, stop, and compare what
//! they have done with what was counted (X1). The seed decides what each CPU does; which CPU comes first at each point depends on the
//! machine.
//!
//! - `crew`: the CPUs, their background threads, the points where all CPUs wait for each other.
//! - `place`: what each CPU is doing now.
//! - `interrupts`: what the storm does in interrupts, and how many of them set a step aside.
//! - `ledger`: compares what was done with the kernel's counters.
//! - `quiet`: the state that a CPU must have when the storm does nothing on it.
//! - `random`: random numbers.
//! - `verdict`: the first failure; and how a storm that hangs is noticed.

mod crew;
mod interrupts;
mod ledger;
mod place;
mod quiet;
mod random;
mod verdict;

pub use crew::{in_place, run};
pub use interrupts::{nmi, nmi_me, signal_cpu, signal_others};
pub use ledger::{Due, due};
pub use random::{Random, Stream};
pub use verdict::{fail, failed, last_words};

use alloc::string::String;
use alloc::vec::Vec;

/// What a storm does. All of these functions may be called on every CPU at the same time.
pub struct Storm {
    /// Called before a round, while nobody storms: sets what all CPUs share, if it is this CPU's turn. Thread context.
    pub prepare: fn(&Round) -> Result<(), String>,
    /// What a CPU's thread does: one action after the other, chosen at random in proportion to their weights.
    pub actions: &'static [Action],
    /// What an interrupt and deferred work do. Called with interrupts off or on; it may have interrupted the code that sets slots.
    pub interrupt: fn(&mut Random),
    /// What an NMI does, with everything masked.
    pub nmi: fn(),
    /// What the background thread does in one turn.
    pub background: fn(&mut Random),
    /// Called after a round, while nobody storms: removes what is set and compares counts, if it is this CPU's turn. Thread context.
    pub settle: fn(&Round) -> Result<(), String>,
    /// Called on the first CPU after `settle` on all CPUs: compares the counts of all CPUs. Returns how often each thing has happened.
    pub sums: fn() -> Result<Vec<Count>, String>,
}

/// A name for a count, and the count.
pub type Count = (&'static str, u64);

/// One thing that a CPU does.
pub struct Action {
    /// The action's name, for the report of a storm that hangs.
    pub name: &'static str,
    /// How often the action is chosen, relative to the others.
    pub weight: u32,
    /// The function to call.
    pub act: Act,
}

/// An action's function, which may report a failure or not.
pub enum Act {
    /// An action whose failures show in the counts.
    Does(fn(&mut Random)),
    /// An action that returns an error if something fails that must be possible.
    Tries(fn(&mut Random) -> Result<(), String>),
}

/// A round of a storm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Round {
    /// The storm's seed.
    pub seed: u64,
    /// The round's number, counted from 0.
    pub number: u64,
}

impl Round {
    /// The random numbers of this round for one purpose. Each call returns the same sequence.
    pub fn random(&self, stream: Stream) -> Random {
        Random::new(self.seed, self.number, stream)
    }
}
