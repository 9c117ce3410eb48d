//! What the threads of a program share.

use super::limits::ResourceLimits;
use crate::fs::{OpenFiles, Place};
use crate::sched::{Mutex, WaitQueue};
use crate::sync::IrqMutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{AcqRel, Relaxed},
};
use linux_raw_sys::general::{CLD_EXITED, CLD_KILLED};
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
    /// CLD_*, and the exit status or the signal.
    pub(super) fn change(self) -> (u32, i32) {
        match self {
            Self::Exited(status) => (CLD_EXITED, status.into()),
            Self::Killed(signal) => (CLD_KILLED, signal.into()),
        }
    }

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
    /// Held while a task of the process is given a signal, from the choice of the signal to the first frame of its handler, and while
    /// actions change: who has changed an action knows that no task begins an old handler any more. Its waiters sleep and lend their
    /// priority (T8). Taken before the table's lock.
    pub delivery: Mutex<()>,
    /// Its resource limits.
    pub resources: ResourceLimits,
    /// The parent's number, as the table has it, for `getppid` without the table's lock.
    pub(super) parent: AtomicU32,
    /// Where its entry in the table is; null if it has none. Used by [`super::table`], under the table's lock.
    pub(super) entry: AtomicPtr<()>,
    /// How many tasks the process's threads trace, those that have ended included until it was told of them.
    pub(super) tracees: AtomicUsize,
    /// Whether the process ends: each of its threads ends when it would return to EL0.
    pub(super) ends: AtomicBool,
    /// How it has ended, once all its threads have.
    status: IrqMutex<Option<Status>>,
    /// Threads of the process that wait for its children and tracees, or for the end of its other threads.
    pub(super) changed: WaitQueue,
    /// Threads that wait for the end of the process. They have a queue of their own, so that what wakes the process's threads does not wake
    /// them.
    ended: WaitQueue,
}

impl Process {
    pub(super) fn new(pid: Pid, name: Vec<u8>, files: Arc<Files>, resources: ResourceLimits) -> Self {
        Self {
            pid,
            name: Mutex::new(name),
            files,
            place: Mutex::new(Place::default()),
            delivery: Mutex::new(()),
            resources,
            parent: AtomicU32::new(0),
            entry: AtomicPtr::new(core::ptr::null_mut()),
            tracees: AtomicUsize::new(0),
            ends: AtomicBool::new(false),
            status: IrqMutex::new(None),
            changed: WaitQueue::new(),
            ended: WaitQueue::new(),
        }
    }

    /// The limits of its address space.
    pub fn limits(&self) -> Limits {
        self.resources.of_address_space()
    }

    /// How it has ended; None while it runs. Thread context.
    pub fn status(&self) -> Option<Status> {
        *self.status.lock()
    }

    /// Says how it has ended. Under the table's lock.
    pub(super) fn set_status(&self, status: Status) {
        *self.status.lock() = Some(status);
    }

    /// Tells those who wait for its end. After [`set_status`](Self::set_status).
    pub(super) fn tell_end(&self) {
        self.ended.wake_all();
    }

    /// Waits for its end, and returns how it has ended. Thread context; may sleep.
    pub fn wait_for_end(&self) -> Status {
        self.ended.wait(|| self.status())
    }
}
