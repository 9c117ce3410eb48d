//! Stops at clone, exec and exit.

use super::super::process::{Pid, Status};
use super::super::table::{Member, table};
use super::super::{Task, calls};
use super::state::{Kind, Options, Stop, Trace};
use crate::exception::Frame;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general as raw;
use linux_raw_sys::ptrace::{
    PTRACE_EVENT_CLONE, PTRACE_EVENT_EXEC, PTRACE_EVENT_EXIT, PTRACE_EVENT_FORK, PTRACE_EVENT_VFORK,
    PTRACE_EVENT_VFORK_DONE,
};
use signals::{Info, Signal};

/// The event by which a tracer is told of a new task, and the option that asks for it.
fn event_of(flags: u64, exit_signal: Option<Signal>) -> (u32, Options) {
    if flags & u64::from(raw::CLONE_VFORK) != 0 {
        (PTRACE_EVENT_VFORK, Options::VFORK)
    } else if exit_signal != Some(Signal::SIGCHLD) {
        (PTRACE_EVENT_CLONE, Options::CLONE)
    } else {
        (PTRACE_EVENT_FORK, Options::FORK)
    }
}

impl Trace {
    /// The event by which the tracer is told of a task that is being made with these flags.
    pub fn event_of_clone(&self, flags: u64, exit_signal: Option<Signal>) -> Option<u32> {
        let (event, option) = event_of(flags, exit_signal);
        let untraced = flags & u64::from(raw::CLONE_UNTRACED) != 0;
        (self.options.contains(option) && !untraced).then_some(event)
    }

    /// The trace of a task that is being made with these flags; None if it is not traced from its beginning.
    pub fn of_child(&self, flags: u64, event: Option<u32>) -> Option<alloc::boxed::Box<Self>> {
        if event.is_none() && flags & u64::from(raw::CLONE_PTRACE) == 0 {
            return None;
        }
        let mut trace = Self::new(self.tracer, self.by.clone(), self.seized, self.options);
        trace.trap = self.seized;
        Some(trace)
    }
}

impl Member {
    /// Has a new task that is traced from its beginning stop before its first instruction.
    pub fn begins_traced(&mut self, seized: bool) {
        if !seized {
            let _ = self.pending.push(Info::kill(Signal::SIGSTOP, 0, 0), usize::MAX);
        }
    }
}

impl Task {
    /// Stops the running task at an event of which its tracer wants to know. Thread context; may sleep.
    pub(in super::super) fn stop_at_event(&self, frame: &mut Frame, event: u32, message: u64) {
        let kind = if event == PTRACE_EVENT_EXIT { Kind::Exit } else { Kind::Event };
        let stop = Stop { kind, code: Signal::SIGTRAP.number() | event << 8 };
        let info = self.info_of(Signal::SIGTRAP, stop.code);
        self.stop_with(frame, stop, Some(&info), Some(message));
    }

    /// Whether the tracer of the running task has set this option.
    fn has_option(&self, option: Options) -> bool {
        let mut table = table();
        let own = table.own(self);
        own.and_then(|(entry, at)| entry.members[at].trace.as_deref())
            .is_some_and(|trace| trace.options.contains(option))
    }

    /// Whether the tracer of the running task does not end too: two tasks that trace each other could not let each other go on (T5).
    fn tracer_goes_on(&self) -> bool {
        let mut table = table();
        let trace = table.own(self).and_then(|(entry, at)| entry.members[at].trace.as_deref());
        let of = trace.map(|trace| trace.of);
        of.and_then(|of| table.process(of)).is_some_and(|tracer| tracer.ends.is_none())
    }

    /// The child of a vfork has given the memory back.
    pub(in super::super) fn vfork_is_done(&self, frame: &mut Frame, child: Pid) {
        if self.is_traced() && self.has_option(Options::VFORK_DONE) {
            self.stop_at_event(frame, PTRACE_EVENT_VFORK_DONE, child.into());
        }
    }

    /// The running task has become another program; `before` was its number until then.
    pub(in super::super) fn has_executed(&self, frame: &mut Frame, before: Pid) {
        if !self.is_traced() {
            return;
        }
        if self.has_option(Options::EXEC) {
            return self.stop_at_event(frame, PTRACE_EVENT_EXEC, before.into());
        }
        let mut table = table();
        let traced = table.own(self).and_then(|(entry, at)| entry.members[at].trace.as_deref());
        if traced.is_some_and(|trace| !trace.seized) {
            let pid = self.process.pid;
            let _ = table.send(pid, Some(self.tid()), &Info::kill(Signal::SIGTRAP, pid.cast_signed(), 0));
        }
    }

    /// The running task is about to end.
    pub(crate) fn is_ending(&self, frame: &mut Frame, status: Status) {
        if !self.is_traced() {
            return;
        }
        let status = {
            let mut table = table();
            let Some((entry, at)) = table.own(self) else { return };
            let status = entry.ends.unwrap_or(status);
            entry.members[at].exits.get_or_insert(status);
            status
        };
        if self.has_option(Options::EXIT) && self.tracer_goes_on() {
            self.stop_at_event(frame, PTRACE_EVENT_EXIT, status.as_wait_has_it().into());
        }
    }

    /// Whether the task is traced. The running task's own answer stays true only until its tracer ends.
    pub(in super::super) fn is_traced(&self) -> bool {
        self.calls.load(Relaxed) != calls::untraced()
    }
}
