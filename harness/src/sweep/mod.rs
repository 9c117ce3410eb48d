//! The sweep: a timer interrupt on every instruction boundary of every debug path.
//!
//! Under `-icount shift=0,sleep=off` with a counter of 1 GHz one tick of CNTVCT_EL0 is one instruction, so a timer armed k
//! ticks ahead interrupts in front of the k-th instruction, exactly, while no other CPU runs. A [`Scenario`] is run once without
//! an interrupt; then once for each k, and what comes of it must be the same.
//!
//! - `shot`: places the interrupts, notes where they came.
//! - `place`: the slots and probes that a scenario works with.
//! - `outcome`: what a run came to.
//! - `end`: a scenario that ends the kernel, and goes on.
//! - `engine`: the loops, and what is printed.

mod end;
mod engine;
mod outcome;
mod place;
mod shot;

pub use end::caught;
pub use end::until_the_end;
pub use engine::{Choice, Extent, last_words, run};
pub use place::{
    breakpoint, hits_of, kprobe, kretprobe, optimised, probe_of, remove_first, slot, split, watchpoint,
};

use kernel::debug::stats::Counter;
use kernel::exception::Frame;

/// What is swept: called with interrupts on, once a run. Its value is part of the outcome.
pub type Body = extern "C" fn() -> u64;

/// A debug path to be interrupted everywhere. Write one with `..Scenario::EMPTY` for what it does not need.
pub struct Scenario {
    /// Its name, unique.
    pub name: &'static str,
    /// Once: places slots and probes with [`breakpoint`], [`watchpoint`], [`kprobe`]; these go away by themselves.
    pub setup: fn() -> Result<(), alloc::string::String>,
    /// Before each run.
    pub before: fn(),
    /// What is interrupted.
    pub body: Body,
    /// What the interrupt's handler does, told the context that it interrupted. The run without an interrupt calls it behind
    /// the body, without a frame, so that both come to the same counts.
    pub handler: fn(Option<&Frame>),
    /// What the interrupted context must have been at one boundary at least, or the scenario misses what it is there for.
    pub covers: fn(&Frame) -> bool,
    /// After each run: more numbers that must be the same in all.
    pub facts: fn() -> [u64; 2],
    /// Whether result and facts of a run without an interrupt are what they must be. What every run gets wrong, and what was placed
    /// and is never hit, shows here only.
    pub due: fn(u64, [u64; 2]) -> bool,
    /// Counters that depend on where the interrupt comes.
    pub varies: &'static [Counter],
    /// Whether it is tried with NMIs too. Their handler does nothing, and what it would set, masked, were not in force before it
    /// returns.
    pub nmis: bool,
}

impl Scenario {
    /// Does nothing.
    pub const EMPTY: Self = {
        extern "C" fn nothing() -> u64 {
            0
        }
        Self {
            name: "",
            setup: || Ok(()),
            before: || (),
            body: nothing,
            handler: |_| (),
            covers: |_| true,
            facts: || [0; 2],
            due: |_, _| true,
            varies: &[],
            nmis: true,
        }
    };
}
