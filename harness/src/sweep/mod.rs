//! The sweep: a timer interrupt on every instruction boundary of every debug path.
//!
//! Under `-icount shift=0,sleep=off` with a counter of 1 GHz, one tick of CNTVCT_EL0 is one instruction. While no other CPU runs, a timer
//! armed k ticks ahead interrupts exactly in front of the k-th instruction. A [`Scenario`] is run once without an interrupt, and then
//! once for each k; the outcome must be the same.
//!
//! - `shot`: places the interrupts, and records where they were taken.
//! - `place`: the slots and probes that a scenario works with.
//! - `outcome`: the outcome of a run, and how two outcomes differ.
//! - `end`: for scenarios in which the kernel ends: the end is caught, and the scenario goes on.
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

/// The function that is swept. It is called once in each run, with interrupts on, and its value is part of the outcome.
pub type Body = extern "C" fn() -> u64;

/// A debug path that is interrupted everywhere. Take the fields that a scenario does not need from `..Scenario::EMPTY`.
pub struct Scenario {
    /// The scenario's name, unique.
    pub name: &'static str,
    /// Called once. It places slots and probes with [`breakpoint`], [`watchpoint`], [`kprobe`] and the like, which are removed after the
    /// last run.
    pub setup: fn() -> Result<(), alloc::string::String>,
    /// Called after the last run. It takes away what `setup` has made by other means.
    pub end: fn(),
    /// Called before each run.
    pub before: fn(),
    /// The function that is interrupted.
    pub body: Body,
    /// If only a part of the body is to be interrupted: called after the run without an interrupt, it returns the counter (CNTVCT_EL0) at
    /// the beginning and at the end of that part. The rest is left to other scenarios.
    pub within: Option<fn() -> (u64, u64)>,
    /// Called by the interrupt's handler, with the frame of the interrupted context. In the run without an interrupt it is called after the
    /// body, without a frame, so that all runs have the same counts.
    pub handler: fn(Option<&Frame>),
    /// Must be true of the interrupted context at one boundary at least: it shows that the scenario reaches the state that it was written
    /// for.
    pub covers: fn(&Frame) -> bool,
    /// Called after each run. It returns more numbers that must be the same in all runs.
    pub facts: fn() -> [u64; 2],
    /// Whether the result and the facts of the run without an interrupt are right. Only this check finds a fault that all runs have, such as
    /// a slot that is never hit.
    pub due: fn(u64, [u64; 2]) -> bool,
    /// Counters that are not compared, because they depend on where the interrupt comes.
    pub varies: &'static [Counter],
    /// Whether the scenario is tried with NMIs too. An NMI's handler does nothing: with everything masked, slots that it sets would not be in
    /// force before it returns.
    pub nmis: bool,
    /// Where several machines share the boundaries, only every so many of them are tried: for scenarios of which each run takes long.
    pub thinned: u64,
}

impl Scenario {
    /// A scenario that does nothing.
    pub const EMPTY: Self = {
        extern "C" fn nothing() -> u64 {
            0
        }
        Self {
            name: "",
            setup: || Ok(()),
            end: || (),
            before: || (),
            body: nothing,
            within: None,
            handler: |_| (),
            covers: |_| true,
            facts: || [0; 2],
            due: |_, _| true,
            varies: &[],
            nmis: true,
            thinned: 1,
        }
    };
}
