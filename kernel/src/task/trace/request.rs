//! The tracer's side: what it asks of a tracee.

use super::super::Task;
use super::super::process::Pid;
use super::super::table::{Table, table, with_table};
use super::registers::{self, RegisterSet};
use super::state::{Kind, Options, Stop, Trace};
use crate::arch::barrier;
use crate::errno::Errno;
use crate::sched;
use crate::space::Space;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::{Relaxed, Release};
use rules::step::Owners;
use signals::{Info, SigSet, Signal};

/// How a tracee goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Until something happens.
    Cont,
    /// Until a system call begins or ends.
    Syscall,
    /// By one instruction.
    Step,
    /// Without a tracer.
    Detach,
}

/// What PTRACE_GET_SYSCALL_INFO tells.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo {
    /// The call that the task is about to make, with its arguments.
    pub entry: Option<(u64, [u64; 6])>,
    /// The result of the call that the task has made.
    pub exit: Option<u64>,
    /// PC and SP.
    pub place: (u64, u64),
}

/// Has a tracee of the running task do something when it has stopped. All of these are called in thread context.
impl Task {
    fn with_stopped<R>(
        &self,
        tid: Pid,
        act: impl FnOnce(&mut Trace) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        with_table(|table| {
            let member = table.stopped(self, tid)?;
            act(member.trace.as_deref_mut().ok_or(Errno::ESRCH)?)
        })
    }

    /// As [`with_stopped`](Self::with_stopped), when the trace has the set of registers.
    fn with_registers<R>(
        &self,
        tid: Pid,
        set: RegisterSet,
        mut act: impl FnMut(&mut Trace) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        loop {
            let done = with_table(|table| {
                let member = table.stopped(self, tid)?;
                let trace = member.trace.as_deref_mut().ok_or(Errno::ESRCH)?;
                if set == RegisterSet::Fpsimd && !trace.has_fp(&member.task) {
                    return Ok(None);
                }
                act(trace).map(Some)
            });
            match done? {
                Some(result) => return Ok(result),
                // The task is about to leave its CPU, and may need the table's lock for that.
                None => barrier::relax(),
            }
        }
    }

    /// A tracee that has stopped. It does not go on before the running task, its tracer, has it do so; it only may be killed.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn stopped_tracee(&self, tid: Pid) -> Result<Arc<Self>, Errno> {
        with_table(|table| Ok(table.stopped(self, tid)?.task.clone()))
    }

    /// PTRACE_TRACEME.
    ///
    /// # Errors
    /// EPERM.
    pub(crate) fn trace_me(&self) -> Result<(), Errno> {
        super::attach::trace_me(self)
    }

    /// PTRACE_ATTACH; with options PTRACE_SEIZE.
    ///
    /// # Errors
    /// ESRCH, EPERM.
    pub(crate) fn attach_to(&self, tid: Pid, seize: Option<Options>) -> Result<(), Errno> {
        super::attach::attach(self, tid, seize)
    }

    /// Lets a tracee go on, with the signal that has this number; 0 for none.
    ///
    /// # Errors
    /// ESRCH; EIO if no signal has the number.
    pub(crate) fn let_go_on(&self, tid: Pid, how: How, signal: u64) -> Result<(), Errno> {
        if how == How::Detach {
            self.give_slots_back(tid)?;
        }
        with_table(|table| self.let_stopped_go_on(table, tid, how, signal))
    }

    #[cold]
    #[inline(never)]
    fn give_slots_back(&self, tid: Pid) -> Result<(), Errno> {
        self.stopped_tracee(tid)?.give_back_disabled_slots();
        Ok(())
    }

    #[inline(always)]
    fn let_stopped_go_on(&self, table: &mut Table, tid: Pid, how: How, signal: u64) -> Result<(), Errno> {
        let member = table.stopped(self, tid)?;
        let signal = match signal {
            0 => None,
            number => Some(u32::try_from(number).ok().and_then(Signal::new).ok_or(Errno::EIO)?),
        };
        let thread = member.task.thread();
        let trace = member.trace.as_deref_mut().ok_or(Errno::ESRCH)?;
        trace.given = signal;
        trace.to_tell = false;
        if how == How::Detach {
            let (pid, at) = table.place_of(tid).ok_or(Errno::ESRCH)?;
            table.end_trace(pid, at);
        } else {
            trace.at_calls = how == How::Syscall;
            let debug = &member.task.debug;
            if how == How::Step {
                // The task has stopped, so no step of an earlier tracer is about to be reported.
                member.task.drops_step.store(false, Relaxed);
                debug.request_step(Owners::TRACER);
            } else if trace.steps {
                debug.cancel_step(Owners::TRACER);
            }
            trace.steps = how == How::Step;
            trace.stop = None;
        }
        // The table's lock keeps interrupts off. A tracer that lets its tracee go on waits for the next stop, as a rule.
        if how == How::Detach {
            sched::wake_masked(thread);
        } else {
            sched::wake_before_sleep(thread);
        }
        Ok(())
    }

    /// PTRACE_INTERRUPT.
    ///
    /// # Errors
    /// ESRCH; EIO if the tracee was not seized.
    pub(crate) fn interrupt_tracee(&self, tid: Pid) -> Result<(), Errno> {
        let mut table = table();
        let Some((pid, at)) = table.place_of(tid) else {
            let seized = table.ended_tracee(self, tid)?.seized;
            return if seized { Ok(()) } else { Err(Errno::EIO) };
        };
        let entry = table.process(pid).ok_or(Errno::ESRCH)?;
        let member = &mut entry.members[at];
        let trace = member.trace.as_deref_mut().filter(|trace| trace.tracer == self.thread());
        let trace = trace.ok_or(Errno::ESRCH)?;
        if !trace.seized {
            return Err(Errno::EIO);
        }
        trace.interrupt();
        member.task.alert();
        Ok(())
    }

    /// PTRACE_LISTEN.
    ///
    /// # Errors
    /// ESRCH; EIO if the tracee was not seized, or its stop is not one of its process.
    pub(crate) fn have_listen(&self, tid: Pid) -> Result<(), Errno> {
        let mut table = table();
        let member = table.stopped(self, tid)?;
        let trace = member.trace.as_deref_mut().ok_or(Errno::ESRCH)?;
        if !trace.seized || !trace.stop.is_some_and(Stop::is_of_process) {
            return Err(Errno::EIO);
        }
        (trace.listens, trace.to_tell) = (true, false);
        if trace.wants_stop() {
            trace.stop = None;
            member.task.alert();
        }
        Ok(())
    }

    /// PTRACE_KILL.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn kill_tracee(&self, tid: Pid) -> Result<(), Errno> {
        let mut table = table();
        let Some((pid, at)) = table.place_of(tid) else { return table.ended_tracee(self, tid).map(|_| ()) };
        let entry = table.process(pid).ok_or(Errno::ESRCH)?;
        if entry.members[at].trace.as_deref().is_none_or(|trace| trace.tracer != self.thread()) {
            return Err(Errno::ESRCH);
        }
        let _ = table.send(pid, Some(tid), &Info::kernel(Signal::SIGKILL));
        Ok(())
    }

    /// PTRACE_SETOPTIONS.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn set_options(&self, tid: Pid, options: Options) -> Result<(), Errno> {
        self.with_stopped(tid, |trace| {
            trace.options = options;
            Ok(())
        })
    }

    /// PTRACE_GETEVENTMSG.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn event_message(&self, tid: Pid) -> Result<u64, Errno> {
        self.with_stopped(tid, |trace| Ok(trace.message))
    }

    /// PTRACE_GETSIGINFO.
    ///
    /// # Errors
    /// ESRCH; EINVAL at a stop that has none.
    pub(crate) fn signal_info(&self, tid: Pid) -> Result<Info, Errno> {
        self.with_stopped(tid, |trace| trace.info.ok_or(Errno::EINVAL))
    }

    /// PTRACE_SETSIGINFO.
    ///
    /// # Errors
    /// ESRCH; EINVAL at a stop that has none.
    pub(crate) fn set_signal_info(&self, tid: Pid, new: Info) -> Result<(), Errno> {
        self.with_stopped(tid, |trace| {
            *trace.info.as_mut().ok_or(Errno::EINVAL)? = new;
            Ok(())
        })
    }

    /// PTRACE_PEEKSIGINFO: the signals in a queue from a place on, at most `count`. `shared` is the process's queue.
    ///
    /// # Errors
    /// ESRCH, ENOMEM.
    pub(crate) fn peek_signals(
        &self,
        tid: Pid,
        shared: bool,
        from: u64,
        count: usize,
    ) -> Result<Vec<Info>, Errno> {
        let mut table = table();
        table.stopped(self, tid)?;
        let (pid, at) = table.place_of(tid).ok_or(Errno::ESRCH)?;
        let entry = table.process(pid).ok_or(Errno::ESRCH)?;
        let queue = if shared { &entry.pending } else { &entry.members[at].pending };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        for info in queue.iter().skip(from).take(count) {
            found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            found.push(*info);
        }
        Ok(found)
    }

    /// PTRACE_GETSIGMASK, and PTRACE_SETSIGMASK if `new` is given.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn mask_of_tracee(&self, tid: Pid, new: Option<SigSet>) -> Result<SigSet, Errno> {
        let mut table = table();
        let member = table.stopped(self, tid)?;
        // The task looks which signals it takes now.
        member.task.attention.store(true, Release);
        // What a call has set aside is the mask that the program knows.
        let mask = member.saved.as_mut().unwrap_or(&mut member.blocked);
        let before = *mask;
        if let Some(new) = new {
            *mask = new.blockable();
        }
        Ok(before)
    }

    /// PTRACE_GET_SYSCALL_INFO.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn call_info(&self, tid: Pid) -> Result<CallInfo, Errno> {
        self.with_stopped(tid, |trace| {
            let kind = trace.stop.map(|stop| stop.kind);
            let call = trace.call;
            let registers = trace.registers();
            let [x0, x1, x2, x3, x4, x5, ..] = registers.x;
            Ok(CallInfo {
                entry: (kind == Some(Kind::CallEntry))
                    .then_some((i64::from(call).cast_unsigned(), [x0, x1, x2, x3, x4, x5])),
                exit: (kind == Some(Kind::CallExit)).then_some(x0),
                place: (registers.pc, registers.sp),
            })
        })
    }

    /// The memory of a tracee.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn memory_of_tracee(&self, tid: Pid) -> Result<Arc<Space>, Errno> {
        self.stopped_tracee(tid)?.space().ok_or(Errno::ESRCH)
    }

    /// A set of registers of a tracee, as bytes; none for those of slots, which [`Task::hw_debug`] gives.
    ///
    /// # Errors
    /// ESRCH.
    pub(crate) fn registers_of_tracee(&self, tid: Pid, set: RegisterSet) -> Result<Vec<u8>, Errno> {
        self.with_registers(tid, set, |trace| Ok(registers::get(trace, set)))
    }

    /// Replaces the first bytes of a set of registers of a tracee.
    ///
    /// # Errors
    /// ESRCH; EINVAL if the task could not go on with these registers (T7), and for slots, which [`Task::set_hw_debug_of_stopped`] changes.
    pub(crate) fn set_registers_of_tracee(
        &self,
        tid: Pid,
        set: RegisterSet,
        bytes: &[u8],
    ) -> Result<(), Errno> {
        self.with_registers(tid, set, |trace| registers::set(trace, set, bytes))
    }
}

impl Trace {
    /// The process, which was stopped, goes on.
    pub fn process_goes_on(&mut self) {
        self.trap = false;
        if self.seized {
            self.ask_to_stop();
        }
    }

    /// PTRACE_INTERRUPT: has the task stop before it goes on at EL0.
    fn interrupt(&mut self) {
        self.interrupted = true;
        if self.listens {
            self.stop = None;
        }
    }

    /// Has the task stop before it goes on at EL0, because its process stops or goes on.
    pub fn ask_to_stop(&mut self) {
        self.trap = true;
        if self.listens {
            self.stop = None;
        }
    }
}

impl Task {
    /// Whether a step that was about to be reported is nobody's any more.
    pub(in super::super) fn drops_step(&self) -> bool {
        self.drops_step.load(Relaxed) && self.drops_step.swap(false, Relaxed)
    }
}
