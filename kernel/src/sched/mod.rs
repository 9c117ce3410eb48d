//! Preemptible kernel threads. Each CPU has a queue of threads, which run in turns; the tick switches them, or they give way
//! themselves.
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

/// Requests that this CPU switches to the next thread at the end of the interrupt that is being handled. Any context.
pub fn want_reschedule() {
    crate::debug::this().want_reschedule();
}

/// Ends the turn of the running thread, if another one waits. The timer's handler calls this.
pub fn tick() {
    if queue::others_wait() {
        want_reschedule();
    }
}

/// Switches threads at the end of an interrupt's handler (M8), because a reschedule is wanted. As long as the stash holds a step,
/// the switch is forbidden: then the completion of that step asks again. I is masked, D is open.
pub fn leave_interrupt(cpu: &CpuDebug) {
    if rules::step::may_reschedule(cpu.stash_len.get()) {
        step::end_of_handler();
        cpu.reschedule_done();
        queue::switch_to_next();
    }
}

/// How many switches all CPUs have made so far. Any context.
pub fn reschedules() -> u64 {
    RESCHEDULES.iter().map(|count| count.load(core::sync::atomic::Ordering::Relaxed)).sum()
}
