//! Programs: processes and their threads at EL0, what they share, and how they come and go.
//!
//! A [`Task`] is a thread of a program, a [`Process`] is what the threads of a program share. Each task runs in a thread of the scheduler
//! ([`crate::sched`]), whose kernel stack has the task's registers at its top while the task is in the kernel.
//!
//! What this module does is called through [`exception::el0::Programs`]: nothing below knows of tasks.

pub mod calls;
mod children;
mod clone;
mod cpu;
mod debug;
mod delivery;
mod end;
mod event;
mod exclusive;
mod exec;
mod fault;
mod futex;
mod handlers;
mod hooks;
mod hw_debug;
mod last_words;
mod leave;
mod limits;
mod observe;
mod own;
mod pi;
mod process;
mod robust;
mod signal;
mod start;
mod table;
mod timer;
mod told;
mod trace;
pub mod user;
mod vdso;
mod wait;
mod wake_op;
mod word;

pub use clone::{Clone, clone};
pub use debug::{debug_of_running, report};
pub use end::{exit_process, exit_task};
pub use event::{Attributes, PerfEvent};
pub use exec::{ExecError, exec, execve};
pub use fault::{brk, exception, of_kernel as fault_of_kernel};
pub use futex::{Futex, futex};
pub use handlers::sigreturn;
pub use hooks::{drop_pages, owner_exists, session_of_group, signal_owner, terminal_caller};
pub use leave::leave;
pub use limits::{ResourceLimits, STACK_LIMIT, size_limit};
pub use observe::{Facts, Subject, next_process, run_time, running};
pub use process::{Files, Pid, Process, Status};
pub use signal::{SignalError, broken_pipe, signal_group, too_large};
pub use start::{spawn, spawn_first};
pub use table::PID_LIMIT;
pub use told::{Event, Wanted, Which};
pub use trace::{CallInfo, How, Options as TraceOptions, RegisterSet};
pub use wait::wait;

pub(crate) use event::task_of;
pub(crate) use futex::{time_of, wait as futex_wait};
pub(crate) use own::{count, exchange_limit, run_time_of_process, run_time_of_thread, thread_of};
pub(crate) use signal::{Receiver, send};
pub(crate) use timer::{
    Interval, clock_of_timer, create_timer, delete_timer, overrun, posix_timer, set_posix_timer, set_timer,
    timer,
};
pub(crate) use vdso::set_realtime_offset;

use self::hw_debug::HwDebug;
use crate::arch::fp::Fpsimd;
use crate::debug::task::{TaskDebug, Use};
use crate::exception::{El0Frame, Frame};
use crate::sched::{self, Occupant};
use crate::sched::{TaskId, WaitQueue};
use crate::space::Space;
use crate::sync::IrqMutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// A thread of a program.
pub struct Task {
    /// See [`Task::tid`]. Changes under the table's lock.
    tid: AtomicU32,
    /// What the threads of the program share.
    pub process: Arc<Process>,
    /// The address space that the task runs in; None once the task ends. Others take a reference under the lock; only the task itself
    /// exchanges it.
    space: IrqMutex<Option<Arc<Space>>>,
    /// Where the kernel writes 0, and wakes a futex, when the task ends (CLONE_CHILD_CLEARTID); 0 if nowhere.
    pub clear_child_tid: AtomicU64,
    /// The head of the list of robust futexes; 0 if there is none.
    pub robust_list: AtomicU64,
    /// PR_SET_NAME: up to 15 bytes and a NUL.
    pub name: IrqMutex<[u8; 16]>,
    /// What the system call `personality` has set.
    pub(crate) personality: AtomicU32,
    /// The registers with which the task begins; None once it has, or if it shall not.
    start: IrqMutex<Option<Frame>>,
    /// The number of the thread in the scheduler.
    thread: AtomicU64,
    /// Something is to be done before the task goes on at EL0: a signal, a stop, the end. Sleeping calls end.
    attention: AtomicBool,
    /// The task ends before it goes on at EL0, because another thread of its process has called execve.
    ends: AtomicBool,
    /// SCHED_RESET_ON_FORK: children get no real-time policy, and no nice value below 0.
    pub(crate) reset_on_fork: AtomicBool,
    /// The error by which a system call says that a signal has cut it short, and X0 at its beginning. While there is such an error,
    /// `attention` is set.
    cut: AtomicU32,
    first_argument: AtomicU64,
    /// Where a call that was cut short is made anew, if the registers say so already because a tracer sees them; else 0. Used by the task
    /// itself.
    rewound: AtomicU64,
    /// What `restart_syscall` goes on with. Used by the task itself.
    restart: IrqMutex<Option<Restart>>,
    /// Whether there is something in `restart`.
    restarts: AtomicBool,
    /// Whether the task has left the address space that it was made with, and the parent that waits for that (vfork).
    left_space: AtomicBool,
    parent_waits: WaitQueue,
    /// TPIDR_EL0 while the task does not run.
    tls: AtomicU64,
    /// SIMD and floating point while the task does not run; while it runs the CPU has them. Used by the CPU that runs the task, and read by others
    /// while none does ([`Task::copy_fp`]).
    fp: UnsafeCell<Fpsimd>,
    /// Owners of steps, and hardware slots.
    pub debug: TaskDebug,
    /// The functions of system calls: others if the task is traced. Written under the table's lock.
    pub(crate) calls: AtomicPtr<calls::Table>,
    /// A step that is about to be reported was asked for by a tracer who is gone.
    drops_step: AtomicBool,
    /// What the hardware slots were set for.
    events: IrqMutex<Vec<(Use, Arc<PerfEvent>)>>,
    /// The hardware slots that a tracer has set.
    hw_debug: HwDebug,
}

// SAFETY: `fp` is used by the task itself, by the CPU that switches to or from it, under the scheduler's lock, or under that lock by whoever
// finds that no CPU has the task.
unsafe impl Sync for Task {}
// SAFETY: as above.
unsafe impl Send for Task {}

/// A call that `restart_syscall` goes on with.
#[derive(Clone, Copy)]
pub(crate) enum Restart {
    /// A sleep until this instant of the clock of the machine, in nanoseconds; and where what is left of it is written if a signal ends it.
    Sleep { until: u64, left: u64 },
    /// FUTEX_WAIT.
    Futex(Futex),
}

impl Task {
    /// What [`interrupted`] says of this task, which runs.
    #[inline(always)]
    fn is_interrupted(&self) -> bool {
        self.attention.load(Acquire)
    }

    fn new(tid: Pid, process: Arc<Process>, space: Arc<Space>, tls: u64, fp: Fpsimd) -> Self {
        Self {
            tid: AtomicU32::new(tid),
            process,
            space: IrqMutex::new(Some(space)),
            clear_child_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            name: IrqMutex::new([0; 16]),
            start: IrqMutex::new(None),
            thread: AtomicU64::new(0),
            attention: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            personality: AtomicU32::new(0),
            reset_on_fork: AtomicBool::new(false),
            cut: AtomicU32::new(0),
            first_argument: AtomicU64::new(0),
            rewound: AtomicU64::new(0),
            restart: IrqMutex::new(None),
            restarts: AtomicBool::new(false),
            left_space: AtomicBool::new(false),
            parent_waits: WaitQueue::new(),
            tls: AtomicU64::new(tls),
            fp: UnsafeCell::new(fp),
            debug: TaskDebug::new(),
            calls: AtomicPtr::new(calls::untraced()),
            drops_step: AtomicBool::new(false),
            events: IrqMutex::new(Vec::new()),
            hw_debug: HwDebug::new(),
        }
    }

    /// The number by which programs name the thread. That of the first thread is the process's; a thread that calls execve becomes the first
    /// one. Any context.
    pub fn tid(&self) -> Pid {
        self.tid.load(Relaxed)
    }

    /// The number of the task's thread in the scheduler. Any context.
    pub fn thread(&self) -> TaskId {
        TaskId::from_bits(self.thread.load(Relaxed))
    }

    /// Has the task look at what is to be done, whether it sleeps or runs. Thread and interrupt context.
    pub(super) fn alert(&self) {
        self.attention.store(true, Release);
        sched::interrupt(self.thread());
    }

    /// Called with the error of a system call, and with X0 at its beginning: an error that says that the call was cut short is dealt with on
    /// the way back.
    pub(crate) fn call_fails(&self, error: crate::errno::Errno, first_argument: u64) {
        if signals::Cut::from_errno(error.number()).is_some() {
            self.first_argument.store(first_argument, Relaxed);
            self.cut.store(error.number(), Relaxed);
            self.attention.store(true, Release);
        }
    }

    /// Says what `restart_syscall` is to go on with. Thread context of the task.
    pub(crate) fn restart_with(&self, restart: Restart) {
        *self.restart.lock() = Some(restart);
        self.restarts.store(true, Relaxed);
    }

    /// Takes what `restart_syscall` is to go on with. Thread context of the task.
    #[inline]
    pub(crate) fn take_restart(&self) -> Option<Restart> {
        if !self.restarts.load(Relaxed) {
            return None;
        }
        self.restarts.store(false, Relaxed);
        self.take_known_restart()
    }

    #[cold]
    #[inline(never)]
    fn take_known_restart(&self) -> Option<Restart> {
        self.restart.lock().take()
    }

    /// The address space that the task runs in; None if the task ends. Thread and interrupt context.
    pub fn space(&self) -> Option<Arc<Space>> {
        self.space.lock().clone()
    }

    /// Has the task, which is the running one, use another address space, or none, because it ends. Thread context; may sleep: the last
    /// reference to an address space gives back files.
    fn exchange_space(&self, space: Option<Arc<Space>>) {
        let before = {
            let mut current = self.space.lock();
            match &space {
                Some(space) => space.use_here(),
                None => Space::use_none(),
            }
            core::mem::replace(&mut *current, space)
        };
        drop(before);
    }

    /// The SIMD registers of the running task, in its memory. They stay there for as long as the task is in the kernel and changes none of
    /// them: a switch writes the same values again. Thread context of the task.
    fn saved_fp(&self) -> &Fpsimd {
        // A switch in the middle saves and loads the same values.
        // SAFETY: the task runs. No other reference is in use: the caller is the only one that asks, and its reference is used up before
        // the task goes on.
        unsafe { &mut *self.fp.get() }.save();
        // SAFETY: as above; from here on the value is read only.
        unsafe { &*self.fp.get() }
    }
}

impl Task {
    /// Copies the SIMD registers of a task that is not the running one. Returns false, and has copied nothing, if a CPU has the registers.
    /// Thread context.
    fn copy_fp(&self, to: &mut Fpsimd) -> bool {
        sched::while_off_cpu(self.thread(), || {
            // SAFETY: no CPU runs the task, nor is one about to, until this function has returned.
            to.clone_from(unsafe { &*self.fp.get() });
        })
    }
}

/// Has the running task go on at EL0 with these SIMD registers: V0 to V31, FPSR and FPCR. Thread context of the task.
fn load_fp(v: &[u128; 32], fpsr: u32, fpcr: u32) {
    // A switch in the middle saves and loads those that are loaded already.
    Fpsimd::load_parts(v, fpsr, fpcr);
}

impl Occupant for Task {
    fn leaves(&self) {
        // The task may execute the DSB that its own cache maintenance needs on another CPU, where it would not wait for what was begun on
        // this one (DDI 0487 B2, "Data Synchronization Barrier").
        crate::arch::barrier::dsb_ish();
        self.tls.store(crate::read_sysreg!("tpidr_el0"), Relaxed);
        // SAFETY: the task leaves this CPU, with I masked.
        unsafe { &mut *self.fp.get() }.save();
        self.debug.leaves();
    }

    fn leaves_cpu_empty(&self) {
        Space::use_none();
    }

    fn arrives(&self) {
        crate::write_sysreg!("tpidr_el0", self.tls.load(Relaxed));
        // SAFETY: the task gets this CPU, with I masked.
        unsafe { &*self.fp.get() }.load();
        // SAFETY: only the task itself exchanges its address space, and it does not run before this function has returned.
        match unsafe { self.space.unlocked() } {
            Some(space) => space.use_here(),
            None => Space::use_none(),
        }
        self.debug.arrives();
    }

    fn address(&self) -> *const () {
        core::ptr::from_ref(self).cast()
    }
}

/// The running task; None in a thread that runs no program. Thread context and the handlers that interrupt it.
pub fn current() -> Option<&'static Task> {
    let occupant = sched::current_thread()?.occupant_address();
    // SAFETY: only this module makes occupants, and all of them are tasks. The thread keeps its task for as long as code runs on its
    // stack.
    unsafe { occupant.cast::<Task>().as_ref() }
}

/// The task whose frame this is.
#[inline(always)]
pub fn of(frame: &El0Frame) -> &'static Task {
    // SAFETY: as in `current`. Only threads with a task go to EL0, so there is one.
    unsafe { &*sched::occupant_of(frame).cast::<Task>() }
}

/// Whether the running task has something more urgent to do than to sleep in a system call: a signal, or its end. The call then returns
/// ERESTARTSYS or one of its kin, or what it has done so far. False in a thread that runs no program. Thread context.
pub fn interrupted() -> bool {
    current().is_some_and(Task::is_interrupted)
}
