//! What the terminal asks of processes.

use super::table::table;
use super::{Pid, current};
use crate::fs::asks::NOBODY;
use signals::{Handler, Signal};
use tty::{Caller, Job};

/// What the terminal has to know of the running task. `signal` is the one that would be sent to it in the background. Thread context.
pub fn terminal_caller(job: &Job, signal: Signal) -> Caller {
    let Some(task) = current() else { return NOBODY };
    let mut table = table();
    let Some((entry, at)) = table.own(task) else { return NOBODY };
    let (session, group) = (entry.session, entry.group);
    let blocked = entry.members[at].blocked.contains(signal);
    let ignores_signal = blocked || entry.actions.get(signal).handler == Handler::Ignore;
    let controlled = job.session == Some(session);
    Caller {
        session,
        group,
        leads_session: session == task.process.pid,
        controlled_by_this: controlled,
        has_terminal: controlled,
        orphaned: table.is_orphaned(group),
        ignores_signal,
    }
}

/// The session of a process group; None if there is no such group. Thread context.
pub fn session_of_group(group: Pid) -> Option<Pid> {
    let mut table = table();
    let member = table.group(group).into_iter().next()?;
    table.process(member).map(|entry| entry.session)
}
