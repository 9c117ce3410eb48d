//! What programs ask of the scheduler about their threads, and how a thread that runs at EL0 is called into the kernel.

use super::run::{State, schedule, with, with_in_handler};
use super::thread::current;
use crate::arch::daif;
use crate::clock;
use crate::drivers::gic::{self, Target};
use crate::irq::sgi;
use crate::percpu;
use scheduler::{CpuSet, Error, LockKey, Policy, TaskId, TaskState};

/// Ends the sleep of a thread, also one that waits for a lock of programs, without the lock. Thread and interrupt context.
pub fn end_wait(task: TaskId) {
    with(|state| end_wait_in(state, task));
}

/// As [`end_wait`], for an interrupt's handler, at whose end this CPU switches if it has to.
pub(super) fn end_wait_in_handler(task: TaskId) {
    with_in_handler(|state| end_wait_in(state, task));
}

fn end_wait_in(state: &mut State, task: TaskId) {
    let now = clock::nanoseconds();
    // A task that has ended meanwhile needs no waking.
    let _ = state.scheduler.wake(task, now);
    // The kernel's own locks are known by even numbers: nothing ends a wait for them.
    if let Ok(TaskState::WaitsForLock(LockKey(number))) = state.scheduler.state(task)
        && number & 1 != 0
    {
        let _ = state.scheduler.lock_cancel(task, now);
    }
}

/// Waits for a lock of programs. `decide` takes the lock and answers false, or calls the function that it is given with the lock's odd number
/// and its owner, and answers true. Returns the answer; the caller then looks whether it has got the lock. Thread context; may sleep.
///
/// # Errors
/// Those of `decide`, which is called with interrupts off.
pub fn wait_for_lock<E>(
    decide: impl FnOnce(&mut dyn FnMut(LockKey, TaskId) -> Result<(), Error>) -> Result<bool, E>,
) -> Result<bool, E> {
    super::preempt::might_sleep();
    let before = daif::read();
    daif::set::<{ daif::IF }>();
    let waits = decide(&mut |key, owner| {
        let me = current().map_or(Err(Error::NoSuchTask), |thread| Ok(thread.id()))?;
        with(|state| state.scheduler.lock_wait(me, key, owner, clock::nanoseconds()))
            .unwrap_or(Err(Error::NoSuchTask))
    });
    if matches!(waits, Ok(true)) {
        schedule(false);
    }
    daif::write(before);
    waits
}

/// Gives a lock of programs from its owner to the most important waiter. Returns the waiter, and whether more wait; None if nobody does.
/// Thread context.
pub fn lock_release(owner: TaskId, key: LockKey) -> Option<(TaskId, bool)> {
    with(|state| state.scheduler.lock_release(owner, key, clock::nanoseconds()).ok().flatten()).flatten()
}

/// A lock that others wait for and that the thread has. Thread context.
pub fn contended_lock(owner: TaskId) -> Option<LockKey> {
    with(|state| state.scheduler.contended_lock(owner)).flatten()
}

/// Ends the sleep of a thread, and has a thread that runs on another CPU enter the kernel there. Thread and interrupt context.
pub fn interrupt(task: TaskId) {
    end_wait(task);
    interrupt_running(task);
}

/// Has a thread that runs on another CPU enter the kernel there. Returns whether it does run. Thread context.
pub fn interrupt_running(task: TaskId) -> bool {
    let running = with(|state| match state.scheduler.state(task) {
        Ok(TaskState::Running) => state.scheduler.cpu(task).ok(),
        _ => None,
    });
    let elsewhere = running.flatten().filter(|&cpu| cpu != percpu::index());
    if let Some(cpu) = elsewhere {
        gic::send_sgi(sgi::RESCHEDULE, Target::OneCpu(cpu));
    }
    elsewhere.is_some()
}

/// Calls a function while no CPU has the registers of a thread, and none gets them. Returns false, and has not called it, if one has them.
/// Thread context.
pub fn while_off_cpu(task: TaskId, act: impl FnOnce()) -> bool {
    let acts = with(|state| {
        let is_off = state.scheduler.is_off_cpu(task);
        if is_off {
            act();
        }
        is_off
    });
    acts == Some(true)
}

/// The policy of a thread. Thread context.
///
/// # Errors
/// [`Error::NoSuchTask`].
pub fn policy(task: TaskId) -> Result<Policy, Error> {
    with(|state| state.scheduler.policy(task)).unwrap_or(Err(Error::NoSuchTask))
}

/// What a thread is doing, and the CPU on which it runs or has run; None if it has ended. Thread context.
pub fn state(task: TaskId) -> Option<(TaskState, usize)> {
    with(|state| Some((state.scheduler.state(task).ok()?, state.scheduler.cpu(task).unwrap_or(0)))).flatten()
}

/// Changes the policy of a thread. Thread context.
///
/// # Errors
/// As [`scheduler::Scheduler::set_policy`].
pub fn set_policy(task: TaskId, policy: Policy) -> Result<(), Error> {
    with(|state| state.scheduler.set_policy(task, policy)).unwrap_or(Err(Error::NoSuchTask))
}

/// The CPUs on which a thread may run and that are online. Thread context.
///
/// # Errors
/// [`Error::NoSuchTask`].
pub fn affinity(task: TaskId) -> Result<CpuSet, Error> {
    with(|state| state.scheduler.affinity(task).map(|set| set & state.scheduler.online_cpus()))
        .unwrap_or(Err(Error::NoSuchTask))
}

/// The policy of the running thread and the CPUs on which it may run, online or not, for a thread that it makes. Thread context.
pub fn policy_and_affinity(running: TaskId) -> (Policy, CpuSet) {
    let found = |state: &mut State| {
        Some((state.scheduler.policy(running).ok()?, state.scheduler.affinity(running).ok()?))
    };
    with(found).flatten().unwrap_or((Policy::Fair(0), CpuSet::ALL))
}

/// Changes where a thread may run. Thread context.
///
/// # Errors
/// As [`scheduler::Scheduler::set_affinity`].
pub fn set_affinity(task: TaskId, affinity: CpuSet) -> Result<(), Error> {
    with(|state| state.scheduler.set_affinity(task, affinity)).unwrap_or(Err(Error::NoSuchTask))
}

/// How long a thread has run, in nanoseconds; 0 if it has ended. Thread context.
pub fn run_time(task: TaskId) -> u64 {
    with(|state| state.scheduler.run_time(task).unwrap_or(0)).unwrap_or(0)
}
