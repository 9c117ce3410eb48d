//! Preemptible kernel threads. Each CPU has a queue of threads, which take turns; the tick or the running thread switches.
//!
//! A switch changes no mask and no debug state (rule I5): it happens on the way out of an interrupt, with D open and I masked,
//! or where a thread gives way. While a step is on the stash a reschedule is forbidden (M8). The step's completion raises an
//! interrupt, which makes up for the reschedule right after the step.

mod queue;
mod switch;
mod thread;

pub use queue::{current, exit, spawn, threads, yield_now};
pub use thread::{Entry, Handle, SpawnError};

use crate::debug::{CpuDebug, step};
use queue::RESCHEDULES;

/// Asks that this CPU switches to the next thread on the way out of the interrupt that is being handled. Any context.
pub fn want_reschedule() {
    crate::debug::this().want_reschedule();
}

/// Called by the tick: the turn of the running thread is over if another thread waits.
pub fn tick() {
    if queue::others_wait() {
        want_reschedule();
    }
}

/// Called at the end of an interrupt's handler (M8), with I masked and D open. Switches threads, unless a step is on the stash:
/// then the reschedule stays wanted, and the step's completion asks again.
pub fn leave_interrupt(cpu: &CpuDebug) {
    if rules::step::may_reschedule(cpu.stash_len.get()) {
        step::end_of_handler(cpu);
        cpu.reschedule_done();
        queue::switch_to_next();
    }
}

/// The number of switches so far, summed over all CPUs. Any context.
pub fn reschedules() -> u64 {
    RESCHEDULES.iter().map(|count| count.load(core::sync::atomic::Ordering::Relaxed)).sum()
}
