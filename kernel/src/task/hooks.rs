//! What the terminal and files ask of processes.

use super::table::table;
use super::{Pid, current, signal};
use crate::errno::Errno;
use crate::fs::Receiver;
use crate::fs::asks::NOBODY;
use crate::space::Space;
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::InodeId;
use signals::{Handler, Info, Signal};
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

fn of_owner(receiver: Receiver) -> signal::Receiver {
    match receiver {
        Receiver::Process(pid) => signal::Receiver::Process(pid),
        Receiver::Group(group) => signal::Receiver::Group(group),
        Receiver::Task(tid) => signal::Receiver::Task(tid, None),
    }
}

/// Sends a signal that a file's owner has asked for. Returns whether somebody got it. Thread and interrupt context.
pub fn signal_owner(receiver: Receiver, info: &Info) -> bool {
    signal::send(of_owner(receiver), Some(info)).is_ok()
}

/// Whether there is somebody who can own a file. Thread context.
///
/// # Errors
/// ESRCH.
pub fn owner_exists(receiver: Receiver) -> Result<(), Errno> {
    signal::send(of_owner(receiver), None)
}

/// Takes the pages of a file from an index on out of the memory of all programs. Thread context; may sleep.
pub fn drop_pages(inode: InodeId, first: u64) {
    let mut spaces: Vec<Arc<Space>> = Vec::new();
    // Under the table's lock only references are taken: the locks of address spaces sleep.
    for member in table().processes.values().flat_map(|entry| &entry.members) {
        if let Some(space) = member.task.space()
            && !spaces.iter().any(|other| Arc::ptr_eq(other, &space))
        {
            spaces.push(space);
        }
    }
    spaces.iter().for_each(|space| space.drop_pages(inode, first));
}

/// The session of a process group; None if there is no such group. Thread context.
pub fn session_of_group(group: Pid) -> Option<Pid> {
    let mut table = table();
    let member = table.group(group).into_iter().next()?;
    table.process(member).map(|entry| entry.session)
}
