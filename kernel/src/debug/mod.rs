//! The engine for debug exceptions: steps, hardware slots, WARN and BUG.
//!
//! An *owner* of a step is who has asked for it: a step-over, or a debugger. A context is stepped as long as its step
//! has an owner. The *stash* of a CPU holds the debug state of contexts that interrupts have interrupted.
//!
//! This code runs in debug context or with D masked; it does not wait, allocate or take a lock. From the top down, each
//! module knows only the modules below it. `hit`, `debugger` and `bug` are called for an exception. `session` has a
//! debugger's steps of one context, `runs` the calls that a debugger runs over. `exclusive` executes exclusive
//! sequences. `step` is the step engine. `slots` hands out hardware slots. `record` says what a trace has of an exception. `control`,
//! `stats` and `pending` change the state of a CPU, which is in `cpu`. `stepping` and `client` are types.

pub mod bug;
pub mod client;
pub mod control;
pub mod cpu;
pub mod debugger;
pub mod exclusive;
pub mod hit;
pub mod pending;
pub mod record;
pub mod runs;
pub mod session;
pub mod slots;
pub mod stats;
pub mod step;
pub mod stepping;
mod switch;
pub mod task;

pub use cpu::{
    ARMED_BITS, CONTEXT, CpuDebug, LEVELS, MAX_SLOTS, MDSCR, MaskedCpu, ONE_LEVEL, STASH_DEPTH, masked, this,
};
pub use switch::{check_switchable, switch_state};
