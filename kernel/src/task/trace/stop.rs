//! The tracee's side: how a task stops for its tracer, and goes on.

use super::super::Task;
use super::super::children::Change;
use super::super::handlers::{registers_in, registers_of};
use super::super::process::Pid;
use super::super::table::{Member, Table, table, table_masked};
use super::attach::is_of_step;
use super::state::{Kind, Lent, Stop, Trace, Tracer};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::sched::{self, Look};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general::{CLD_STOPPED, CLD_TRAPPED};
use linux_raw_sys::ptrace::PTRACE_EVENT_STOP;
use rules::pstate::SPSR_SS;
use signals::frame::Registers;
use signals::{Cut, Info, Signal};

/// What a task goes on with that has stopped, or was to stop.
pub(in super::super) struct Given {
    /// The signal that is delivered in place of the one that the task has stopped for.
    pub signal: Option<Info>,
    /// NT_ARM_SYSTEM_CALL; None if no tracer has said anything.
    pub call: Option<i32>,
}

impl Given {
    /// No signal.
    #[inline(always)]
    pub fn nothing() -> Self {
        Self { signal: None, call: None }
    }

    /// What a task goes on with that was to stop and has no tracer any more.
    fn untold(&mut self, stop: Stop, info: Option<&Info>) {
        self.signal = info.filter(|info| stop.kind == Kind::Signal && !is_of_step(info)).copied();
    }
}

impl Trace {
    fn begin(&mut self, stop: Stop, info: Option<&Info>, frame: &mut Frame) {
        self.stop = Some(stop);
        self.to_tell = true;
        self.listens = false;
        self.given = None;
        match (&mut self.info, info) {
            // Without a detour by a value on the stack.
            (Some(place), Some(info)) => *place = *info,
            (place, info) => *place = info.copied(),
        }
        self.lent = Some(Lent(NonNull::from(frame)));
        self.tls = crate::read_sysreg!("tpidr_el0");
        self.fp_known = false;
    }

    /// The registers of the task at its stop. The task is in the stop: [`Table::stopped`] has found it.
    pub(super) fn registers(&mut self) -> &mut Registers {
        if let Some(lent) = self.lent.take() {
            // SAFETY: the task sleeps in its stop, with its frame on its stack. Before the task uses the frame again it takes back what it has
            // lent, under the table's lock, which the caller holds.
            self.registers = *registers_in(unsafe { lent.0.as_ref() });
            match self.stop.map(|stop| stop.kind) {
                // As Linux: X7 says whether the call begins or ends.
                Some(Kind::CallEntry) => self.registers.x[7] = 0,
                Some(Kind::CallExit) => self.registers.x[7] = 1,
                _ => {}
            }
        }
        &mut self.registers
    }

    /// Fetches the SIMD registers of the task, which is in its stop. Returns whether it could: the task's CPU may not have saved them yet.
    pub(super) fn has_fp(&mut self, task: &Task) -> bool {
        if !self.fp_known {
            let fp = &mut self.fp;
            self.fp_known = task.copy_fp(fp);
        }
        self.fp_known
    }

    /// Has the task take over what the tracer has changed. Interrupts are off.
    fn take_over(&mut self, kind: Kind, frame: &mut Frame) {
        self.lent = None;
        if core::mem::take(&mut self.registers_changed) {
            let own = registers_of(frame);
            let (x7, pc, pstate) = (own.x[7], own.pc, own.pstate);
            *own = self.registers;
            if matches!(kind, Kind::CallEntry | Kind::CallExit) {
                own.x[7] = x7;
            }
            // Whether the task is stepped is for the owners of its steps to say (T7).
            own.pstate |= pstate & SPSR_SS;
            if own.pc != pc {
                frame.move_to(frame.pc);
            }
        }
        if core::mem::take(&mut self.tls_changed) {
            crate::write_sysreg!("tpidr_el0", self.tls);
        }
        if core::mem::take(&mut self.fp_changed) {
            self.fp.load();
        }
    }
}

impl Member {
    /// Whether the task's tracer has let it go on.
    fn goes_on(&self) -> bool {
        self.left.is_some() || self.trace.as_deref().is_none_or(|trace| trace.stop.is_none())
    }

    fn take_given(&mut self, kind: Kind, frame: &mut Frame, given: &mut Given) {
        let mut left = self.left.take();
        let Some(trace) = left.as_deref_mut().or(self.trace.as_deref_mut()) else { return };
        trace.take_over(kind, frame);
        given.call = Some(trace.call);
        if let Some(signal) = trace.given.take() {
            // What PTRACE_GETSIGINFO gave last, or PTRACE_SETSIGINFO has set. As Linux: another signal than that of the stop is one that the
            // tracer has sent.
            let same = trace.info.filter(|info| info.signal == signal);
            given.signal = Some(same.unwrap_or(Info::kill(signal, trace.of.cast_signed(), 0)));
        }
    }
}

impl Task {
    /// Stops the running task for its tracer until that lets it go on. `frame` has its registers. A task that is not traced, or is
    /// being killed, does not stop. Thread context; may sleep.
    pub(in super::super) fn stop(&self, frame: &mut Frame, stop: Stop, info: Option<&Info>) -> Given {
        self.stop_with(frame, stop, info, None)
    }

    /// As [`Self::stop`], with what PTRACE_GETEVENTMSG gives.
    pub(super) fn stop_with(
        &self,
        frame: &mut Frame,
        stop: Stop,
        info: Option<&Info>,
        message: Option<u64>,
    ) -> Given {
        let (mut given, mut begun) = (Given::nothing(), false);
        sched::sleep_until(|| {
            let mut table = table_masked();
            if begun {
                return table.stays_stopped(self, frame, stop.kind, &mut given);
            }
            begun = true;
            table.begin_stop(self, frame, stop, info, message, &mut given)
        });
        given
    }

    /// The running task is about to take a signal: its tracer decides whether, and which. Returns what is delivered. Thread context; may
    /// sleep.
    pub(in super::super) fn stop_for_signal(&self, frame: &mut Frame, info: &Info) -> Option<Info> {
        self.rewind(frame);
        let stop = Stop { kind: Kind::Signal, code: info.signal.number() };
        let given = self.stop(frame, stop, Some(info)).signal?;
        self.takes_given(given)
    }

    /// What is delivered after a stop for a signal: nothing yet, if the running task blocks what the tracer has given.
    pub(in super::super) fn takes_given(&self, given: Info) -> Option<Info> {
        let mut table = table();
        let (entry, at) = table.own(self)?;
        let member = &mut entry.members[at];
        if member.blocked.contains(given.signal) {
            let _ = member.pending.push(given, usize::MAX);
            entry.refresh(at);
            return None;
        }
        Some(given)
    }

    /// The running task stops with its process, or because its tracer has asked for that. Thread context; may sleep.
    pub(in super::super) fn stop_with_process(&self, frame: &mut Frame) {
        self.rewind(frame);
        // The signal is looked up under the lock under which the stop begins.
        self.stop(frame, Stop { kind: Kind::Group, code: 0 }, None);
    }

    /// How the running task stops with its process, which was stopped by a signal or goes on; None if its tracer is not told.
    fn stop_of_process(&self, stopped: Option<Signal>, seized: bool) -> Option<(Stop, Option<Info>)> {
        let signal = stopped.or(seized.then_some(Signal::SIGTRAP))?;
        let event = if seized { PTRACE_EVENT_STOP << 8 } else { 0 };
        let stop = Stop { kind: Kind::Group, code: signal.number() | event };
        Some((stop, seized.then(|| self.info_of(signal, stop.code))))
    }

    /// What PTRACE_GETSIGINFO gives at a stop that no signal has caused.
    pub(super) fn info_of(&self, signal: Signal, code: u32) -> Info {
        Info { code: code.cast_signed(), ..Info::kill(signal, self.tid().cast_signed(), 0) }
    }

    /// A system call of the running task was cut short: puts the registers to where the call is made anew, so that a tracer sees them so, and
    /// can have the task go on elsewhere. [`resume`](super::super::leave) decides afterwards.
    pub(in super::super) fn rewind(&self, frame: &mut Frame) {
        if self.rewound.load(Relaxed) != 0 || Cut::from_errno(self.cut.load(Relaxed)).is_none() {
            return;
        }
        frame.x[0] = self.first_argument.load(Relaxed);
        frame.move_to(frame.pc.wrapping_sub(4));
        self.rewound.store(frame.pc, Relaxed);
    }
}

impl Table {
    /// Begins a stop of the running task, whose registers are in `frame`, and tells its tracer. The task goes on if it is not traced or is being
    /// killed; `given` then has what it goes on with.
    pub(in super::super) fn begin_stop(
        &mut self,
        task: &Task,
        frame: &mut Frame,
        stop: Stop,
        info: Option<&Info>,
        message: Option<u64>,
        given: &mut Given,
    ) -> Look<()> {
        let Some((entry, at)) = self.own(task) else { return Look::GoOn(()) };
        // The end of a task is told even if somebody else kills it, as on Linux; only the tracer ends that stop.
        if stop.kind != Kind::Exit && (entry.ends.is_some() || task.ends.load(Relaxed)) {
            return Look::GoOn(());
        }
        let member = &mut entry.members[at];
        // The tracer may have ended since the signal was taken, which is then delivered without it.
        let Some(trace) = member.trace.as_deref_mut() else {
            given.untold(stop, info);
            return Look::GoOn(());
        };
        if let Some(message) = message {
            trace.message = message;
        }
        // From here on SIGCONT takes away the stop that the tracer may give.
        member.may_stop = true;
        let tracer = trace.by.clone();
        trace.interrupted = false;
        if stop.kind == Kind::Group {
            // What is told now includes what would be told next. Signals may have stopped the process, or had it go on, up to now.
            trace.trap = false;
            let Some((stop, info)) = task.stop_of_process(entry.stopped, trace.seized) else {
                entry.refresh(at);
                return Look::GoOn(());
            };
            trace.begin(stop, info.as_ref(), frame);
            member.halted = entry.stopped.is_some();
        } else {
            trace.begin(stop, info, frame);
        }
        // As Linux: SIGCHLD for a stop with the process has the signal that has stopped the process, and 0 if none has.
        let (code, status) = match stop.kind {
            Kind::Group => (CLD_STOPPED, entry.stopped.map_or(0, Signal::number)),
            _ => (CLD_TRAPPED, stop.code & 0x7f),
        };
        let change = Change { id: task.tid(), code, status: status.cast_signed() };
        let waiter = self.tell_but_one(&tracer, Some(Signal::SIGCHLD), &change, false);
        if stop.kind == Kind::Group {
            self.check_stop(task.process.pid);
        }
        Look::Sleep(waiter)
    }

    /// Looks whether the running task, which has slept in its stop, goes on, and with what. Who lets it go on changes its entry and then wakes it. A wake-up from
    /// before ends the sleep too, and the task sleeps again.
    #[inline]
    pub(in super::super) fn stays_stopped(
        &mut self,
        task: &Task,
        frame: &mut Frame,
        kind: Kind,
        given: &mut Given,
    ) -> Look<()> {
        let Some((entry, at)) = self.own(task) else { return Look::GoOn(()) };
        let ended = entry.ends.is_some() || task.ends.load(Relaxed);
        let member = &mut entry.members[at];
        if ended
            && kind != Kind::Exit
            && let Some(trace) = member.trace.as_deref_mut()
        {
            (trace.stop, trace.to_tell) = (None, false);
        }
        if !member.goes_on() {
            // What is lent is derived from the reference that this call was given.
            if let Some(trace) = member.trace.as_deref_mut().filter(|trace| trace.lent.is_some()) {
                trace.lent = Some(Lent(NonNull::from(frame)));
            }
            return Look::Sleep(None);
        }
        member.take_given(kind, frame, given);
        // Whatever there is to do now has set the flag.
        if task.attention.load(Relaxed) {
            entry.refresh(at);
        }
        Look::GoOn(())
    }

    /// The tracer of a task that has ended, if it is this one, which was not yet told.
    ///
    /// # Errors
    /// ESRCH.
    pub(super) fn ended_tracee(&mut self, tracer: &Task, tid: Pid) -> Result<Tracer, Errno> {
        let dead = self.dead.iter().find(|dead| dead.tid == tid).map(|dead| dead.tracer);
        let of = dead.or_else(|| self.process(tid).and_then(|entry| entry.first_tracer));
        of.filter(|of| of.thread == tracer.thread()).ok_or(Errno::ESRCH)
    }

    /// A task and its process, if the task has stopped for the tracer.
    ///
    /// # Errors
    /// ESRCH.
    pub(super) fn stopped(&mut self, tracer: &Task, tid: Pid) -> Result<&mut Member, Errno> {
        let member = self.member(tid).ok_or(Errno::ESRCH)?;
        let trace = member.trace.as_deref().ok_or(Errno::ESRCH)?;
        if trace.tracer != tracer.thread() || trace.stopped().is_none() {
            return Err(Errno::ESRCH);
        }
        Ok(member)
    }
}
