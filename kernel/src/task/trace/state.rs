//! What is known of a tracee: who traces it, and its stop with the registers.

use super::super::process::{Pid, Process};
use crate::arch::fp::Fpsimd;
use crate::exception::Frame;
use crate::sched::TaskId;
use alloc::boxed::Box;
use alloc::sync::Arc;
use bitflags::bitflags;
use core::ptr::NonNull;
use linux_raw_sys::ptrace as raw;
use signals::frame::Registers;
use signals::{Info, Signal};

bitflags! {
    /// What PTRACE_SETOPTIONS and PTRACE_SEIZE set.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Options: u64 {
        /// Stops at system calls are SIGTRAP with bit 7 set.
        const SYSGOOD = raw::PTRACE_O_TRACESYSGOOD as u64;
        /// Stop at fork, and trace the child.
        const FORK = raw::PTRACE_O_TRACEFORK as u64;
        /// Stop at vfork, and trace the child.
        const VFORK = raw::PTRACE_O_TRACEVFORK as u64;
        /// Stop at clone, and trace the new task.
        const CLONE = raw::PTRACE_O_TRACECLONE as u64;
        /// Stop at execve.
        const EXEC = raw::PTRACE_O_TRACEEXEC as u64;
        /// Stop when the child of a vfork has given the memory back.
        const VFORK_DONE = raw::PTRACE_O_TRACEVFORKDONE as u64;
        /// Stop at the end of the task.
        const EXIT = raw::PTRACE_O_TRACEEXIT as u64;
        /// Stop at what a seccomp filter says. There are no filters, so it never happens.
        const SECCOMP = raw::PTRACE_O_TRACESECCOMP as u64;
        /// The tracee is killed when its tracer ends.
        const EXITKILL = raw::PTRACE_O_EXITKILL as u64;
    }
}

/// What a stop is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Kind {
    /// A signal is about to be delivered.
    Signal,
    /// A system call begins.
    CallEntry,
    /// A system call ends.
    CallExit,
    /// PTRACE_EVENT_*, but for those of [`Self::Exit`] and [`Self::Group`].
    Event,
    /// PTRACE_EVENT_EXIT.
    Exit,
    /// The process stops; for a task that was seized also PTRACE_INTERRUPT, and what changes of a process that has stopped.
    Group,
}

/// A stop of a tracee.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Stop {
    pub kind: Kind,
    /// The signal, and in bits 15 to 8 the event: what the wait status has in bits 23 to 8.
    pub code: u32,
}

impl Stop {
    /// Whether a task that was seized says by this stop that its process stops, or goes on.
    pub fn is_of_process(self) -> bool {
        self.code >> 8 == raw::PTRACE_EVENT_STOP
    }
}

/// When a task that has a tracer stops for the signal of a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Stops {
    /// Here and now, if nothing else comes first: the signal is all that follows from the exception, and the frame is as it is at EL0.
    AtOnce,
    /// On the way to EL0.
    Later,
}

/// The frame of a task that has stopped. The task lends it until it goes on.
pub(super) struct Lent(pub NonNull<Frame>);

// SAFETY: the frame is on the stack of a task that sleeps, and is read by whoever holds the table's lock.
unsafe impl Send for Lent {}

/// What a tracer has of a task.
pub(in super::super) struct Trace {
    /// The tracer's thread.
    pub tracer: TaskId,
    /// The tracer's process, and its number.
    pub by: Arc<Process>,
    pub of: Pid,
    /// The trace began by PTRACE_SEIZE.
    pub seized: bool,
    pub options: Options,
    /// What PTRACE_GETEVENTMSG gives.
    pub message: u64,
    /// The stop that the task is in; None while it goes on.
    pub stop: Option<Stop>,
    /// `wait4` has not yet told of the stop.
    pub to_tell: bool,
    /// PTRACE_LISTEN: the task stays in its stop until its process's state changes.
    pub listens: bool,
    /// The task is to stop before it goes on at EL0, because its process has stopped or goes on.
    pub trap: bool,
    /// The task is to stop before it goes on at EL0, because of PTRACE_INTERRUPT. Any other stop is the answer too, as on Linux.
    pub interrupted: bool,
    /// The task stops at the next entry or exit of a system call.
    pub at_calls: bool,
    /// The task was last let go on by PTRACE_SINGLESTEP.
    pub steps: bool,
    /// The signal with which the tracer lets the task go on.
    pub given: Option<Signal>,
    /// What PTRACE_GETSIGINFO gives.
    pub info: Option<Info>,
    /// The system call that the task is in, as NT_ARM_SYSTEM_CALL has it; -1 for none.
    pub call: i32,
    /// Where the task has its registers while nobody has asked for them since it stopped.
    pub(super) lent: Option<Lent>,
    /// The task's registers at its stop, unless they are `lent`, and whether the tracer has changed them.
    pub(super) registers: Registers,
    pub registers_changed: bool,
    pub tls: u64,
    pub tls_changed: bool,
    /// Whether `fp` has the registers at the stop: whether somebody has asked for them.
    pub(super) fp_known: bool,
    pub(super) fp: Fpsimd,
    pub fp_changed: bool,
}

impl Trace {
    /// The trace of a task that goes on.
    pub fn new(tracer: TaskId, by: Arc<Process>, seized: bool, options: Options) -> Box<Self> {
        Box::new(Self {
            tracer,
            of: by.pid,
            by,
            seized,
            options,
            message: 0,
            stop: None,
            to_tell: false,
            listens: false,
            trap: false,
            interrupted: false,
            at_calls: false,
            steps: false,
            given: None,
            info: None,
            call: -1,
            lent: None,
            registers: Registers::default(),
            registers_changed: false,
            tls: 0,
            tls_changed: false,
            fp_known: false,
            fp: Fpsimd::zeroed(),
            fp_changed: false,
        })
    }

    /// Whether the task is to stop before it goes on at EL0.
    pub fn wants_stop(&self) -> bool {
        self.trap || self.interrupted
    }

    /// The stop in which the tracer can look at the task.
    pub fn stopped(&self) -> Option<Stop> {
        self.stop.filter(|_| !self.listens)
    }
}

/// The tracer of a process whose first task has ended.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Tracer {
    pub thread: TaskId,
    pub process: Pid,
    /// As [`Trace::seized`].
    pub seized: bool,
    /// PTRACE_O_EXITKILL.
    pub kills: bool,
}

/// A task that has ended, other than its process's first one, and whose tracer was not yet told.
pub(in super::super) struct Dead {
    pub tid: Pid,
    /// Its process, whose end is told after the task's.
    pub of: Pid,
    pub group: Pid,
    pub tracer: Tracer,
    /// As `wait4` gives it.
    pub status: u32,
    pub run_time: u64,
}

impl Trace {
    /// Who traces.
    pub fn tracer(&self) -> Tracer {
        let kills = self.options.contains(Options::EXITKILL);
        Tracer { thread: self.tracer, process: self.of, seized: self.seized, kills }
    }
}
