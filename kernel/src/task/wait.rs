//! `wait4` and `waitid`: what a process is told of its children.

use super::process::{Pid, Status};
use super::table::{Entry, Listed, Table, table};
use super::told::{Event, Wanted, Which};
use super::trace;
use super::{Task, interrupted};
use crate::errno::Errno;
use crate::sched::TaskId;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general as raw;
use signals::Signal;

impl Entry {
    /// Whether a process traces the first task, which has ended.
    fn first_tracer_is(&self, who: Pid) -> bool {
        self.first_tracer.is_some_and(|tracer| tracer.process == who)
    }

    /// Whether a process traces the first task, which runs.
    fn is_traced_by(&self, who: Pid) -> bool {
        self.members.first().and_then(|member| member.trace.as_deref()).is_some_and(|trace| trace.of == who)
    }
}

enum Found {
    Event(Event, Option<Listed>),
    /// There are such children, and nothing to be told of them.
    Nothing,
    NoChild,
}

impl Table {
    /// The threads of a process that have not ended.
    fn threads_of(&mut self, pid: Pid) -> Vec<TaskId> {
        let members = self.process(pid).map(|entry| &entry.members);
        members.into_iter().flatten().map(|member| member.task.thread()).collect()
    }

    fn look(&mut self, task: &Task, wanted: &Wanted) -> Found {
        let found = self.look_at_children(task, wanted);
        if matches!(found, Found::Event(..)) || task.process.tracees.load(Relaxed) == 0 {
            return found;
        }
        match self.look_at_tracees(task, wanted) {
            trace::wait::Found::Event(event) => Found::Event(event, None),
            trace::wait::Found::Nothing => Found::Nothing,
            trace::wait::Found::NoTracee => found,
        }
    }

    fn look_at_children(&mut self, task: &Task, wanted: &Wanted) -> Found {
        let has = |option: u32| wanted.options & option != 0;
        let me = task.process.pid;
        let threads = if has(raw::__WNOTHREAD) { self.threads_of(me) } else { Vec::new() };
        let of_thread = |creator: TaskId| {
            // The children of a thread that has ended are another one's.
            let first = !threads.contains(&creator) && threads.first() == Some(&task.thread());
            !has(raw::__WNOTHREAD) || creator == task.thread() || first
        };
        let mut found = false;
        let mut event = None;
        let range = match wanted.which {
            Which::Process(pid) => pid..pid.saturating_add(1),
            _ => 0..Pid::MAX,
        };
        let traces =
            |child: &Entry| child.first_tracer.is_some_and(|by| by.process == me && of_thread(by.thread));
        let of_me = |child: &Entry| (child.parent == me && of_thread(child.creator)) || traces(child);
        let dead = &self.dead;
        for (pid, child) in self.processes.range_mut(range).filter(|(_, child)| of_me(child)) {
            let meant = match wanted.which {
                Which::Any => true,
                Which::Process(wanted) => wanted == *pid,
                Which::Group(group) => child.group == group,
            };
            let is_clone = child.exit_signal != Some(Signal::SIGCHLD);
            let traced = child.first_tracer_is(me);
            // Its tracer is told first, and before that the tracers of its other tasks.
            let is_told =
                (traced || child.first_tracer.is_none()) && !dead.iter().any(|dead| dead.of == *pid);
            if !meant || (!traced && !has(raw::__WALL) && is_clone != has(raw::__WCLONE)) {
                continue;
            }
            found = true;
            let told = match child.ends.filter(|_| is_told) {
                Some(Status::Exited(status)) if child.zombie => Some((raw::CLD_EXITED, status.into())),
                Some(Status::Killed(signal)) if child.zombie => Some((raw::CLD_KILLED, signal.into())),
                _ => None,
            };
            // A parent that traces its child is told of stops as its tracer.
            let stop = child.stop_to_tell.filter(|_| has(raw::WUNTRACED) && !child.is_traced_by(me));
            let stop = stop.map(|signal| (raw::CLD_STOPPED, signal.number() as i32));
            let goes_on = (child.continue_to_tell && has(raw::WCONTINUED))
                .then_some((raw::CLD_CONTINUED, Signal::SIGCONT.number() as i32));
            if let Some((code, status)) = told.filter(|_| has(raw::WEXITED)).or(stop).or(goes_on) {
                if !has(raw::WNOWAIT) {
                    match code {
                        raw::CLD_STOPPED => child.stop_to_tell = None,
                        raw::CLD_CONTINUED => child.continue_to_tell = false,
                        _ => {}
                    }
                }
                event =
                    Some(Event { pid: *pid, code, status, run_time: child.run_time + child.children_time });
                break;
            }
        }
        let Some(event) = event else { return if found { Found::Nothing } else { Found::NoChild } };
        let ended = matches!(event.code, raw::CLD_EXITED | raw::CLD_KILLED);
        let mut reaped = None;
        if ended && !has(raw::WNOWAIT) {
            if self.process(event.pid).is_some_and(|child| child.parent != me) {
                // The tracer knows: now the parent is told.
                self.end_first_trace(event.pid);
                return Found::Event(event, None);
            }
            reaped = self.remove(event.pid);
        }
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
    let look = || {
        let found = table().look(task, wanted);
        match found {
            Found::Event(event, reaped) => {
                drop(reaped);
                Some(Ok(Some(event)))
            }
            Found::NoChild => Some(Err(Errno::ECHILD)),
            Found::Nothing if wanted.options & raw::WNOHANG != 0 => Some(Ok(None)),
            Found::Nothing => None,
        }
    };
    task.process.changed.wait_unless(interrupted, look).unwrap_or(Err(Errno::ERESTARTSYS))
}
