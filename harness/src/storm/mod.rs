//! The storm: every CPU does random things to slots, probes and steps while the others do too, and every count must be exact.
//!
//! All choices come from one seed. A storm goes by rounds: in each the CPUs place what the round is about, storm, stop, and
//! compare what they did with what was counted (X1). Which CPU comes first at each point is the machine's; what each does
//! is the seed's.
//!
//! - `crew`: the CPUs' threads, their background threads, the points where all meet. `place`: what each CPU does now.
//! - `interrupts`: what the storm does in interrupts, and which of them set a step aside.
//! - `ledger`: what was done, against what the kernel's counters say.
//! - `quiet`: what must be so on a CPU where nothing goes on.
//! - `random`: the choices.
//! - `verdict`: the first thing that went wrong, and what tells of a storm that hangs.

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

/// What storms. Each function may be called on every CPU at once.
pub struct Storm {
    /// Before a round, nobody running: places what all CPUs share, if it is this CPU's turn. Thread context.
    pub prepare: fn(&Round) -> Result<(), String>,
    /// What a CPU's thread does; one of them at a time, as often as they weigh.
    pub actions: &'static [Action],
    /// What an interrupt does, and deferred work. Interrupts off or on; the slots' owner may be underneath.
    pub interrupt: fn(&mut Random),
    /// What an NMI does: all masked.
    pub nmi: fn(),
    /// What the background thread does at a time.
    pub background: fn(&mut Random),
    /// Behind a round, nobody running: takes away and compares, if it is this CPU's turn. Thread context.
    pub settle: fn(&Round) -> Result<(), String>,
    /// Behind `settle` on all CPUs: what only the counts of all of them tell. The first CPU; 0 for what never came up.
    pub sums: fn() -> Result<[Count; 3], String>,
}

/// A number and what it is of.
pub type Count = (&'static str, u64);

/// One thing that a CPU does.
pub struct Action {
    /// Its name, for who looks at where a storm was.
    pub name: &'static str,
    /// How often it is chosen, against the others.
    pub weight: u32,
    /// Does it.
    pub act: Act,
}

/// How it may end.
pub enum Act {
    /// What is wrong shows in the counts.
    Does(fn(&mut Random)),
    /// It tells what should have been possible and was not.
    Tries(fn(&mut Random) -> Result<(), String>),
}

/// A round of a storm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Round {
    /// The storm's seed.
    pub seed: u64,
    /// Counted from 0.
    pub number: u64,
}

impl Round {
    /// The random numbers of this round that are for one purpose: the same whenever they are asked for.
    pub fn random(&self, stream: Stream) -> Random {
        Random::new(self.seed, self.number, stream)
    }
}
