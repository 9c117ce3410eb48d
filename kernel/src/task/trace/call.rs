//! Stops at system calls.

use super::super::Task;
use super::super::table::table;
use super::state::{Kind, Options, Stop, Stops};
use crate::errno::Errno;
use crate::exception::Frame;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::ptrace::{PTRACE_EVENTMSG_SYSCALL_ENTRY, PTRACE_EVENTMSG_SYSCALL_EXIT};
use rules::step::Owners;
use signals::{Info, Signal};

impl Task {
    /// A system call of the running task, which is traced, begins. Returns its number, which the tracer may have changed; -1 if the call is
    /// not to be made, and X0 is its result already. Thread context; may sleep.
    pub(crate) fn call_begins(&self, frame: &mut Frame) -> i32 {
        let number = frame.x[8] as i32;
        let mut stops = false;
        if let Some((entry, at)) = table().own(self)
            && let Some(trace) = entry.members[at].trace.as_deref_mut()
        {
            trace.call = number;
            stops = trace.at_calls;
        }
        if !stops {
            return number;
        }
        // The tracer that has said so may have left, and another one may be there by now.
        let call = self.stop_at_call(frame, Kind::CallEntry, PTRACE_EVENTMSG_SYSCALL_ENTRY).unwrap_or(number);
        let mut table = table();
        match table.own(self) {
            // A task that was killed meanwhile, or that another thread's execve ends, makes no call any more.
            Some((entry, _)) if entry.ends.is_some() || self.ends.load(Relaxed) => -1,
            Some((entry, at)) => {
                if let Some(trace) = entry.members[at].trace.as_deref_mut() {
                    trace.call = call;
                }
                call
            }
            None => -1,
        }
    }

    /// A system call of the running task has ended; its result is in X0. Thread context; may sleep.
    pub(crate) fn call_ends(&self, frame: &mut Frame) {
        let state = {
            let mut table = table();
            let trace = table.own(self).and_then(|(entry, at)| entry.members[at].trace.as_deref());
            trace.map(|trace| (trace.at_calls, trace.steps))
        };
        match state {
            Some((true, _)) => {
                self.stop_at_call(frame, Kind::CallExit, PTRACE_EVENTMSG_SYSCALL_EXIT);
                self.has_another_result(frame.x[0]);
            }
            // The step that was asked for inside of the call ends with the call (T2).
            Some((false, true)) if self.debug.is_step_asked(Owners::TRACER) => {
                self.debug.step_is_told(Owners::TRACER, frame);
                self.tell_step(frame, None, Stops::Later);
            }
            _ => {}
        }
        if let Some((entry, at)) = table().own(self)
            && let Some(trace) = entry.members[at].trace.as_deref_mut()
        {
            trace.call = -1;
        }
    }

    /// Stops at a call. Returns the call's number as the tracer has left it.
    fn stop_at_call(&self, frame: &mut Frame, kind: Kind, message: u32) -> Option<i32> {
        let good = {
            let mut table = table();
            let trace = table.own(self).and_then(|(entry, at)| entry.members[at].trace.as_deref());
            trace.is_some_and(|trace| trace.options.contains(Options::SYSGOOD))
        };
        let code = Signal::SIGTRAP.number() | if good { 0x80 } else { 0 };
        let info = Info { code: code.cast_signed(), ..self.info_of(Signal::SIGTRAP, code) };
        let stop = Stop { kind, code };
        let given = self.stop_with(frame, stop, Some(&info), Some(message.into()));
        if let Some(given) = given.signal {
            let _ = table().send(self.process.pid, Some(self.tid()), &Info::kernel(given.signal));
        }
        given.call
    }

    /// The result of the running task's call, which a tracer may have changed. Only a call that says so is made anew after a signal.
    fn has_another_result(&self, result: u64) {
        let cut = self.cut.load(Relaxed);
        if cut != 0 && result != Errno::new(cut).as_result() {
            self.cut.store(0, Relaxed);
        }
    }
}
