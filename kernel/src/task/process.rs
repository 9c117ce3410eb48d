//! What the threads of a program share, and the end of tasks and processes.

use super::table::table;
use super::{Task, futex, robust};
use crate::fs::{OpenFiles, Place};
use crate::sched::{self, Mutex, WaitQueue};
use crate::sync::IrqMutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use core::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{AcqRel, Relaxed, Release},
};
use maps::Limits;

/// The number of a process or thread.
pub type Pid = u32;

/// How a process has ended, as `wait4` gives it: `status << 8` or a signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By `exit`.
    Exited(u8),
    /// By a signal.
    Killed(u8),
}

impl Status {
    /// The number that a shell shows: 128 and the signal for a process that was killed.
    pub fn as_shells_show_it(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => signal.wrapping_add(128),
        }
    }
}

/// The descriptors of a process, which processes that were made with CLONE_FILES share. They are closed when the last of these ends.
pub struct Files {
    users: AtomicUsize,
    open: Mutex<OpenFiles>,
}

impl Files {
    /// For one process.
    pub(super) fn new(open: OpenFiles) -> Arc<Self> {
        Arc::new(Self { users: AtomicUsize::new(1), open: Mutex::new(open) })
    }

    /// For one more process.
    pub(super) fn share(self: &Arc<Self>) -> Arc<Self> {
        self.users.fetch_add(1, Relaxed);
        self.clone()
    }

    /// A process has them no more. Thread context; may sleep.
    pub(super) fn leave(&self) {
        if self.users.fetch_sub(1, AcqRel) == 1 {
            let open = core::mem::take(&mut *self.open.lock());
            drop(open);
        }
    }
}

impl Deref for Files {
    type Target = Mutex<OpenFiles>;

    fn deref(&self) -> &Mutex<OpenFiles> {
        &self.open
    }
}

/// A program that runs: what its threads share. The rest is in the table.
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// The program's name, for messages: what it was started by.
    pub name: Mutex<Vec<u8>>,
    /// Its open files.
    pub files: Arc<Files>,
    /// Its current directory and umask.
    pub place: Mutex<Place>,
    /// Whether the process ends: each of its threads ends when it would return to EL0.
    pub(super) ends: AtomicBool,
    /// How it has ended, once all its threads have.
    pub(super) status: IrqMutex<Option<Status>>,
    /// Threads that wait for children of the process, or for the end of its other threads.
    pub(super) changed: WaitQueue,
}

impl Process {
    pub(super) fn new(pid: Pid, name: Vec<u8>, files: Arc<Files>) -> Self {
        Self {
            pid,
            name: Mutex::new(name),
            files,
            place: Mutex::new(Place::default()),
            ends: AtomicBool::new(false),
            status: IrqMutex::new(None),
            changed: WaitQueue::new(),
        }
    }

    /// The limits of its address space.
    pub fn limits(&self) -> Limits {
        Limits { stack: STACK_LIMIT, ..Limits::UNLIMITED }
    }

    /// How it has ended; None while it runs. Thread context.
    pub fn status(&self) -> Option<Status> {
        *self.status.lock()
    }
}

/// RLIMIT_STACK: Linux's 8 MiB.
pub const STACK_LIMIT: u64 = 8 << 20;

/// Ends the running task's process: this task at once, its other threads when they would return to EL0. Thread context.
pub fn exit_process(status: Status) -> ! {
    if let Some(task) = super::current()
        && let Some((entry, _)) = table().own(task)
    {
        entry.end(status);
    }
    end_task()
}

/// Ends the running task, and with the last one the process. Thread context.
pub fn exit_task(task: &Task, status: u8) -> ! {
    // The process's status is that of its first thread, whichever thread ends last.
    if let Some((entry, _)) = table().own(task)
        && (task.tid == task.process.pid || entry.members.len() == 1)
    {
        entry.exits.get_or_insert(Status::Exited(status));
    }
    end_task()
}

/// Ends the running task. Thread context.
pub(super) fn end_task() -> ! {
    if let Some(task) = super::current() {
        task.leave_space(None);
        let run_time = sched::run_time(task.thread());
        let mut last = false;
        let mut left = None;
        if let Some((entry, at)) = table().own(task) {
            left = Some(entry.members.remove(at));
            entry.run_time += run_time;
            last = entry.members.is_empty();
            // A signal for the process that this task was to take is another one's.
            entry.hand_over();
        }
        drop(left);
        task.process.changed.wake_all();
        if last {
            task.process.files.leave();
            let place = core::mem::take(&mut *task.process.place.lock());
            drop(place);
            table().finish(task.process.pid);
            super::start::ended(&task.process);
        } else {
            // The others may wait for this one to stop.
            table().check_stop(task.process.pid);
        }
    }
    sched::exit()
}

impl Task {
    /// Leaves the address space, for another one or none: tells other threads by the futex at `clear_child_tid`, and a parent that waits since
    /// vfork. Thread context; may sleep.
    pub(super) fn leave_space(&self, next: Option<Arc<crate::space::Space>>) {
        robust::leave_robust_list(self);
        let clear = self.clear_child_tid.swap(0, Relaxed);
        if clear != 0 && self.space().is_some_and(|space| Arc::strong_count(&space) > 2) {
            // A bad address is the program's own affair.
            let written = super::user::put(clear, 0_u32);
            if written.is_ok() {
                futex::wake(self, clear, 1, u32::MAX, false);
            }
        }
        self.exchange_space(next);
        self.left_space.store(true, Release);
        self.parent_waits.wake_all();
    }
}
