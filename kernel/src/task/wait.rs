//! `wait4` and `waitid`: what a process is told of its children.

use super::Task;
use super::process::{Pid, Status};
use super::table::{Entry, Listed, Table, table_masked};
use super::told::{Event, Told, Wanted, Which};
use super::trace::state::Dead;
use crate::errno::Errno;
use crate::sched::{TaskId, Waiting};
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general as raw;
use signals::Signal;

/// Who asks, and for what.
struct Asker<'a> {
    task: &'a Task,
    wanted: &'a Wanted,
    /// With __WNOTHREAD the threads of the process that have not ended; else none.
    threads: Vec<TaskId>,
}

impl Asker<'_> {
    /// Whether a child that a thread of the process has made, or that it traces, is the asker's.
    fn has_of(&self, creator: TaskId) -> bool {
        if !self.wanted.has(raw::__WNOTHREAD) {
            return true;
        }
        let me = self.task.thread();
        // The children of a thread that has ended are another one's.
        creator == me || (!self.threads.contains(&creator) && self.threads.first() == Some(&me))
    }
}

impl Entry {
    /// Whether a process traces the first task, which runs.
    fn is_traced_by(&self, who: Pid) -> bool {
        self.members.first().and_then(|member| member.trace.as_deref()).is_some_and(|trace| trace.of == who)
    }

    /// What the asker is told of this process, if it is a child of the asker. `dead` are the tasks that have ended and whose tracers were not
    /// told.
    fn look_at_child(&mut self, asker: &Asker, dead: &[Dead]) -> Told {
        let (wanted, me, pid) = (asker.wanted, asker.task.process.pid, self.process.pid);
        let traced = self.first_tracer.is_some_and(|tracer| tracer.process == me);
        let is_first_traced = || self.first_tracer.is_some_and(|by| traced && asker.has_of(by.thread));
        if !((self.parent == me && asker.has_of(self.creator)) || is_first_traced()) {
            return Told::NoneMeant;
        }
        let is_clone = self.exit_signal != Some(Signal::SIGCHLD);
        let is_kind = traced || wanted.has(raw::__WALL) || is_clone == wanted.has(raw::__WCLONE);
        if !is_kind || !wanted.means(pid, self.group) {
            return Told::NoneMeant;
        }
        // Its tracer is told first, and before that the tracers of its other tasks.
        let is_told = || (traced || self.first_tracer.is_none()) && !dead.iter().any(|dead| dead.of == pid);
        let ended = match self.ends.filter(|_| self.zombie && wanted.has(raw::WEXITED) && is_told()) {
            Some(Status::Exited(status)) => Some((raw::CLD_EXITED, status.into())),
            Some(Status::Killed(signal)) => Some((raw::CLD_KILLED, signal.into())),
            None => None,
        };
        // A parent that traces its child is told of stops as its tracer.
        let stop = self.stop_to_tell.filter(|_| wanted.has(raw::WUNTRACED) && !self.is_traced_by(me));
        let stop = stop.map(|signal| (raw::CLD_STOPPED, signal.number() as i32));
        let goes_on = (self.continue_to_tell && wanted.has(raw::WCONTINUED))
            .then_some((raw::CLD_CONTINUED, Signal::SIGCONT.number() as i32));
        let Some((code, status)) = ended.or(stop).or(goes_on) else { return Told::Nothing };
        if !wanted.has(raw::WNOWAIT) {
            match code {
                raw::CLD_STOPPED => self.stop_to_tell = None,
                raw::CLD_CONTINUED => self.continue_to_tell = false,
                _ => {}
            }
        }
        Told::Event(Event { pid, code, status, run_time: self.run_time + self.children_time })
    }
}

/// What was found, and the child that has left the table.
enum Found {
    Event(Event, Option<Listed>),
    /// There are such children, and nothing to be told of them.
    Nothing,
    NoChild,
}

impl Found {
    /// As `told` says; no child leaves the table.
    fn without_end(told: Told) -> Self {
        match told {
            Told::Event(event) => Self::Event(event, None),
            Told::Nothing => Self::Nothing,
            Told::NoneMeant => Self::NoChild,
        }
    }
}

impl Table {
    /// The threads of a process that have not ended.
    fn threads_of(&mut self, pid: Pid) -> Vec<TaskId> {
        let members = self.process(pid).map(|entry| &entry.members);
        members.into_iter().flatten().map(|member| member.task.thread()).collect()
    }

    /// The most frequent question: a tracer asks for one process, of which it traces the first task and nobody is to be told anything else. `None`
    /// in any other case; then nothing has changed.
    #[inline(always)]
    fn look_at_one(&mut self, task: &Task, wanted: &Wanted) -> Option<Told> {
        let Which::Process(pid) = wanted.which else { return None };
        if !self.dead.is_empty() || wanted.has(raw::__WNOTHREAD) {
            return None;
        }
        let entry = self.processes.get_mut(&pid)?;
        if entry.zombie || entry.stop_to_tell.is_some() || entry.continue_to_tell {
            return None;
        }
        let group = entry.group;
        let first = entry.members.first_mut()?;
        let is_traced = first.trace.as_deref().is_some_and(|trace| trace.of == task.process.pid);
        (is_traced && first.task.tid() == pid).then(|| first.look_at_tracee(task, wanted, group, None))
    }

    #[inline(never)]
    fn look(&mut self, task: &Task, wanted: &Wanted) -> Found {
        let threads =
            if wanted.has(raw::__WNOTHREAD) { self.threads_of(task.process.pid) } else { Vec::new() };
        let asker = Asker { task, wanted, threads };
        let traces = task.process.tracees.load(Relaxed) != 0;
        let mut told = Told::NoneMeant;
        if let Which::Process(pid) = wanted.which {
            if let Some(entry) = self.processes.get_mut(&pid) {
                told = entry.look_at_child(&asker, &self.dead);
            }
        } else {
            let Self { processes, dead, .. } = self;
            for child in processes.values_mut() {
                told = told.or(child.look_at_child(&asker, dead));
                if told.is_event() {
                    break;
                }
            }
        }
        match told {
            Told::Event(event) => self.tells_of_child(task, wanted, event),
            _ if traces => Found::without_end(told.or(self.look_at_tracees(task, wanted))),
            _ => Found::without_end(told),
        }
    }

    /// The running task is told of a child, which leaves the table if it has ended.
    fn tells_of_child(&mut self, task: &Task, wanted: &Wanted, event: Event) -> Found {
        let me = task.process.pid;
        let ended = matches!(event.code, raw::CLD_EXITED | raw::CLD_KILLED);
        if !ended || wanted.has(raw::WNOWAIT) {
            return Found::Event(event, None);
        }
        if self.process(event.pid).is_some_and(|child| child.parent != me) {
            // The tracer knows: now the parent is told.
            self.end_first_trace(event.pid);
            return Found::Event(event, None);
        }
        let reaped = self.remove(event.pid);
        if reaped.is_some()
            && let Some(own) = self.process(me)
        {
            own.children_time += event.run_time;
        }
        Found::Event(event, reaped)
    }
}

/// Waits for an event of a child. None if there is none yet and the call does not wait (WNOHANG). Thread context; may sleep.
///
/// # Errors
/// ECHILD, and ERESTARTSYS if a signal ends the wait.
pub fn wait(task: &Task, wanted: &Wanted) -> Result<Option<Event>, Errno> {
    let waits = |waiting: &Waiting<'_>| {
        if wanted.has(raw::WNOHANG) {
            return Some(Ok((None, None)));
        }
        waiting.join();
        None
    };
    let look = |waiting: &Waiting<'_>| {
        let mut table = table_masked();
        match table.look_at_one(task, wanted) {
            Some(Told::Event(event)) => return Some(Ok((Some(event), None))),
            Some(_) => return waits(waiting),
            None => {}
        }
        match table.look(task, wanted) {
            Found::Event(event, reaped) => Some(Ok((Some(event), reaped))),
            Found::NoChild => Some(Err(Errno::ECHILD)),
            Found::Nothing => waits(waiting),
        }
    };
    let interrupted = || task.is_interrupted();
    // The process that has left the table is dropped without the lock.
    let told =
        task.process.changed.wait_under(task.thread(), interrupted, look).unwrap_or(Err(Errno::ERESTARTSYS));
    told.map(|(event, _)| event)
}
