//! Preemptible threads. The crate `scheduler` decides who runs where; this module switches, and wakes CPUs that have to switch.
//!
//! A switch changes no mask and no debug state (rule I5): it happens on the way out of an interrupt, with D open and I masked,
//! or where a thread gives way or sleeps. While a step is on the stash a reschedule is forbidden (M8). The step's completion raises an
//! interrupt, which makes up for the reschedule right after the step. The same holds while preemption is off.
//!
//! Each CPU has an idle thread, which the scheduler does not know: it runs when there is nothing else. On all CPUs but the first it
//! is the thread that the CPU has come up with. That thread is known to the scheduler as well, as a thread that sleeps unless other
//! CPUs have given it work (see [`idle`](crate::idle)).

mod alarm;
mod mutex;
pub mod preempt;
mod preemption;
mod programs;
mod run;
mod switch;
mod thread;
mod wait;
mod waiters;

pub use alarm::{Alarm, Deadline, realtime_was_set};
pub use mutex::{Mutex, MutexGuard};
pub use preempt::{may_sleep, might_sleep};
pub use programs::{
    affinity, contended_lock, end_wait, interrupt, interrupt_running, lock_release, policy,
    policy_and_affinity, run_time, set_affinity, set_policy, state, wait_for_lock, while_off_cpu,
};
pub use run::{
    Look, create, exit, init_cpu, prepare_to_sleep, reschedules, sleep, sleep_until, spawn, threads,
    wait_in_idle, wake, wake_before_sleep, wake_first, wake_masked, yield_now,
};
pub use scheduler::{CpuSet, Error, LockKey, MIN_GRANULARITY, Policy, RR_QUANTUM, TaskId, TaskState};
pub use thread::{
    Entry, Handle, Occupant, SpawnError, Thread, current as current_thread, occupant_of, stack_top,
};
pub use wait::{Interrupted, WaitQueue, Waiting};

use crate::debug::{CpuDebug, step};
use crate::percpu;
use crate::policy::BEHAVIOURS;
use rules::policies::behaviour::Reschedules;

/// Requests that this CPU ends the turn of the running thread at the end of the interrupt that is being handled. Any context.
pub fn want_reschedule() {
    crate::debug::this().want_reschedule();
}

/// The handler of the interrupt by which a CPU learns that it has to switch.
pub fn kicked(_: &mut crate::exception::Frame) {
    crate::debug::this().want_pick();
}

/// Accounts for the running thread's time, and ends its turn if others are to run. The timer's handler calls this.
pub fn tick() {
    alarm::tick();
    let due = run::with_at_tick(|state| state.scheduler.tick(percpu::index(), crate::clock::nanoseconds()));
    if due == Some(true) {
        crate::debug::this().want_pick();
    }
}

/// Switches threads at the end of an interrupt's handler (M8), because a reschedule is wanted. As long as the stash holds a step,
/// or preemption is off, the switch is forbidden: then the end of that asks again. I is masked, D is open.
pub fn leave_interrupt(cpu: &CpuDebug) {
    let preemptible = thread::current().is_none_or(|thread| thread.preemption.is_on());
    // A policy whose rule is another one decides before it calls this function.
    let other_rule = !matches!(BEHAVIOURS.reschedules, Reschedules::WithoutStash);
    if preemptible && (other_rule || rules::step::may_reschedule(cpu.stash_len.get())) {
        step::end_of_handler();
        let rotate = cpu.reschedule_done();
        run::schedule(rotate);
    }
}

/// Has fair threads take turns at each tick, if there are so many ticks a second that the scheduler's own turns would be longer.
pub fn set_tick(hz: u32) {
    // Half of a tick, so that a turn that began shortly after one tick ends with the next.
    let tick = 500_000_000 / u64::from(hz.max(1));
    run::with(|state| state.scheduler.set_granularity(tick.min(scheduler::MIN_GRANULARITY)));
}

/// The name of the running thread. Thread context.
pub fn current() -> &'static str {
    thread::current().map_or("boot", Thread::name)
}
