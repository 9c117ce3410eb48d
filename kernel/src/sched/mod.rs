//! Preemptible kernel threads: a queue a CPU, taken in turns, switched by the tick or by themselves.
//!
//! A switch changes no mask and no debug state (rule I5): it happens on the way out of an interrupt, with D open and I masked,
//! or where a thread gives way. A reschedule that a step on the stash forbids (M8) is made up right behind the step, by an
//! interrupt that the step's completion raises.

mod queue;
mod switch;
mod thread;

pub use queue::{current, exit, spawn, threads, yield_now};
pub use thread::{Entry, Handle, SpawnError};

use crate::debug::{CpuDebug, step};
use queue::RESCHEDULES;

/// Wants the CPU switched to the next thread on the way out of the interrupt that is being handled. Any context.
pub fn want_reschedule() {
    crate::debug::this().want_reschedule();
}

/// The tick: a thread's turn is over.
pub fn tick() {
    if queue::others_wait() {
        want_reschedule();
    }
}

/// The end of an interrupt's handler (M8), I masked, D open: switches if that is wanted and may be. The stash forbids it: then
/// the step's completion asks again.
pub fn leave_interrupt(cpu: &CpuDebug) {
    if rules::step::may_reschedule(cpu.stash_len.get()) {
        step::end_of_handler(cpu);
        cpu.reschedule_done();
        queue::switch_to_next();
    }
}

/// Switches so far, of all CPUs. Any context.
pub fn reschedules() -> u64 {
    RESCHEDULES.iter().map(|count| count.load(core::sync::atomic::Ordering::Relaxed)).sum()
}
