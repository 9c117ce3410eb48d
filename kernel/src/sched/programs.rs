//! What programs ask of the scheduler about their threads, and how a thread that runs at EL0 is called into the kernel.

use super::run::{wake, with};
use crate::drivers::gic::{self, Target};
use crate::irq::sgi;
use crate::percpu;
use scheduler::{CpuSet, Error, Policy, TaskId, TaskState};

/// Ends the sleep of a thread, and has a thread that runs on another CPU enter the kernel there. Thread and interrupt context.
pub fn interrupt(task: TaskId) {
    wake(task);
    let running = with(|state| match state.scheduler.state(task) {
        Ok(TaskState::Running) => state.scheduler.cpu(task).ok(),
        _ => None,
    });
    if let Some(cpu) = running.flatten()
        && cpu != percpu::index()
    {
        gic::send_sgi(sgi::RESCHEDULE, Target::OneCpu(cpu));
    }
}

/// The policy of a thread. Thread context.
///
/// # Errors
/// [`Error::NoSuchTask`].
pub fn policy(task: TaskId) -> Result<Policy, Error> {
    with(|state| state.scheduler.policy(task)).unwrap_or(Err(Error::NoSuchTask))
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
