//! What system calls ask and change of the running task, its process and others in the table.

use super::Task;
use super::handlers::STACK_MIN;
use super::limits::Limit;
use super::process::Pid;
use super::table::{Entry, table};
use crate::errno::Errno;
use crate::sched::{self, TaskId};
use signals::{Action, Info, SigSet, Signal, Stack, take_waited};

/// How many tasks there are. Thread context.
pub(crate) fn count() -> u64 {
    table().processes.values().map(|entry| entry.members.len() as u64).sum()
}

/// How long a thread of the task's process ran, in nanoseconds. Thread context.
///
/// # Errors
/// EINVAL if there is no such thread in the process.
pub(crate) fn run_time_of_thread(task: &Task, tid: Pid) -> Result<u64, Errno> {
    let mut table = table();
    let (entry, _) = table.own(task).ok_or(Errno::EINVAL)?;
    let member = entry.members.iter().find(|member| member.task.tid() == tid).ok_or(Errno::EINVAL)?;
    Ok(sched::run_time(member.task.thread()))
}

/// How long the tasks of a process ran, in nanoseconds. Thread context.
///
/// # Errors
/// EINVAL if there is no such process.
pub(crate) fn run_time_of_process(pid: Pid) -> Result<u64, Errno> {
    let mut table = table();
    Ok(table.process(pid).ok_or(Errno::EINVAL)?.own_time())
}

/// The thread of a task. Thread context.
///
/// # Errors
/// ESRCH.
pub(crate) fn thread_of(tid: Pid) -> Result<TaskId, Errno> {
    table().task(tid).map(|task| task.thread()).ok_or(Errno::ESRCH)
}

/// The limit of a resource of a process, which is replaced if `new` is given. Thread context.
///
/// # Errors
/// ESRCH, and as [`super::limits::ResourceLimits::exchange`].
pub(crate) fn exchange_limit(pid: Pid, resource: u32, new: Option<Limit>) -> Result<Limit, Errno> {
    let process = {
        let mut table = table();
        let of = table.process_of(pid).unwrap_or(pid);
        table.process(of).ok_or(Errno::ESRCH)?.process.clone()
    };
    process.resources.exchange(resource, new)
}

impl Entry {
    /// How long the tasks of the process ran, in nanoseconds. Thread context.
    pub(super) fn own_time(&self) -> u64 {
        let running: u64 = self.members.iter().map(|member| sched::run_time(member.task.thread())).sum();
        self.run_time + running
    }
}

/// All of these are called in thread context.
impl Task {
    /// The parent's number; 0 if there is none.
    pub fn parent(&self) -> Pid {
        self.process.parent.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// The process group.
    pub fn group(&self) -> Pid {
        table().own(self).map_or(0, |(entry, _)| entry.group)
    }

    /// The session.
    pub fn session(&self) -> Pid {
        table().own(self).map_or(0, |(entry, _)| entry.session)
    }

    /// The group and the session of a process; 0 is the task's own.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn group_and_session_of(&self, pid: Pid) -> Result<(Pid, Pid), Errno> {
        let pid = if pid == 0 { self.process.pid } else { pid };
        let mut table = table();
        let found = table.process(pid).map(|entry| (entry.group, entry.session));
        if found.is_none()
            && let Some(of) = table.process_of(pid)
        {
            return table.process(of).map(|entry| (entry.group, entry.session)).ok_or(Errno::ESRCH);
        }
        found.ok_or(Errno::ESRCH)
    }

    /// setpgid: puts the own process, or a child, into a group of the session.
    ///
    /// # Errors
    /// ESRCH, EPERM, EINVAL.
    pub(crate) fn set_group(&self, pid: Pid, group: Pid) -> Result<(), Errno> {
        let own = self.process.pid;
        let pid = if pid == 0 { own } else { pid };
        let group = if group == 0 { pid } else { group };
        let mut table = table();
        let session = table.process(own).map_or(0, |entry| entry.session);
        let exists = table.processes.values().any(|entry| entry.group == group && entry.session == session);
        let entry = table.process(pid).ok_or(Errno::ESRCH)?;
        if pid != own && entry.parent != own {
            return Err(Errno::ESRCH);
        }
        if entry.session != session || entry.session == pid || (group != pid && !exists) {
            return Err(Errno::EPERM);
        }
        entry.group = group;
        Ok(())
    }

    /// setsid: the process becomes the first of a new session and of a new group. Returns its number.
    ///
    /// # Errors
    /// EPERM if the process leads a group.
    pub(crate) fn begin_session(&self) -> Result<Pid, Errno> {
        let own = self.process.pid;
        let mut table = table();
        if table.processes.values().any(|entry| entry.group == own) {
            return Err(Errno::EPERM);
        }
        let (entry, _) = table.own(self).ok_or(Errno::EPERM)?;
        (entry.group, entry.session) = (own, own);
        Ok(own)
    }

    /// How long the tasks of the process ran, and its children that were waited for, in nanoseconds.
    pub(crate) fn run_times(&self) -> (u64, u64) {
        let mut table = table();
        let Some((entry, _)) = table.own(self) else { return (0, 0) };
        (entry.own_time(), entry.children_time)
    }

    /// The action of a signal before it is set, if `new` is given.
    ///
    /// # Errors
    /// EINVAL.
    pub(crate) fn action(&self, signal: Signal, new: Option<Action>) -> Result<Action, Errno> {
        let _delivery = self.process.delivery.lock();
        let mut table = table();
        let (entry, _) = table.own(self).ok_or(Errno::ESRCH)?;
        let Some(new) = new else { return Ok(entry.actions.get(signal)) };
        let replaced = entry.actions.set(signal, new)?;
        entry.flush(replaced.flush);
        Ok(replaced.old)
    }

    /// The blocked signals.
    pub(crate) fn blocked(&self) -> SigSet {
        table().own(self).map_or(SigSet::EMPTY, |(entry, at)| entry.members[at].blocked)
    }

    /// Blocks these signals, and no others.
    pub(crate) fn set_blocked(&self, set: SigSet) {
        if let Some((entry, at)) = table().own(self) {
            entry.members[at].blocked = set.blockable();
            entry.refresh(at);
            // Signals for the process that this task does not take any more are another one's.
            entry.hand_over();
        }
    }

    /// Blocks these signals until the call has ended: then, or in a handler's frame, the mask from before comes back.
    pub(crate) fn set_blocked_for_call(&self, set: SigSet) {
        if let Some((entry, at)) = table().own(self) {
            let member = &mut entry.members[at];
            let before = core::mem::replace(&mut member.blocked, set.blockable());
            member.saved.get_or_insert(before);
            entry.refresh(at);
        }
    }

    /// Puts back the mask that [`Task::set_blocked_for_call`] has set aside: for calls that end without having been interrupted. A call that was
    /// interrupted leaves this to the way back to EL0, where the mask goes into the frame of a handler.
    pub(crate) fn restore_blocked(&self) {
        if let Some((entry, at)) = table().own(self) {
            let member = &mut entry.members[at];
            if let Some(saved) = member.saved.take() {
                member.blocked = saved;
                entry.refresh(at);
            }
        }
    }

    /// The signals that wait for the task or its process.
    pub(crate) fn pending(&self) -> SigSet {
        table().own(self).map_or(SigSet::EMPTY, |(entry, at)| {
            entry.members[at].pending.signals() | entry.pending.signals()
        })
    }

    /// Takes a signal of a set, blocked or not.
    pub(crate) fn take_waited(&self, set: SigSet) -> Option<Info> {
        let mut table = table();
        let (entry, at) = table.own(self)?;
        let mut info = take_waited(&mut entry.members[at].pending, &mut entry.pending, set);
        if let Some(info) = &mut info {
            entry.timers.delivered(info, crate::clock::nanoseconds);
        }
        entry.refresh(at);
        info
    }

    /// The alternate stack before it is set, if `new` is given.
    ///
    /// # Errors
    /// EPERM, EINVAL, ENOMEM.
    pub(crate) fn alternate_stack(&self, new: Option<Stack>, sp: u64) -> Result<Stack, Errno> {
        let mut table = table();
        let (entry, at) = table.own(self).ok_or(Errno::ESRCH)?;
        let alternate = &mut entry.members[at].alternate;
        let before = alternate.describe(sp);
        if let Some(new) = new {
            alternate.set(new, sp, STACK_MIN)?;
        }
        Ok(before)
    }
}
