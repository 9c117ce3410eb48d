//! What the threads of a program share.

use super::Task;
use crate::fs::{OpenFiles, Place};
use crate::sched::{self, Mutex};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
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

/// A program that runs: what its threads share.
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// The program's name, for messages: what it was started by.
    pub name: Mutex<Vec<u8>>,
    /// Its open files.
    pub files: Mutex<OpenFiles>,
    /// Its current directory and umask.
    pub place: Mutex<Place>,
    /// Its threads that have not ended.
    pub(super) tasks: Mutex<BTreeMap<Pid, Arc<Task>>>,
    /// Whether the process ends: each of its threads ends when it would return to EL0.
    pub(super) ends: AtomicBool,
    /// How it has ended, once all its threads have.
    pub(super) status: Mutex<Option<Status>>,
}

impl Process {
    pub(super) fn new(pid: Pid, files: OpenFiles) -> Self {
        Self {
            pid,
            name: Mutex::new(Vec::new()),
            files: Mutex::new(files),
            place: Mutex::new(Place::default()),
            tasks: Mutex::new(BTreeMap::new()),
            ends: AtomicBool::new(false),
            status: Mutex::new(None),
        }
    }

    /// The limits of its address space.
    pub fn limits(&self) -> Limits {
        Limits { stack: STACK_LIMIT, ..Limits::UNLIMITED }
    }

    /// How it has ended; None while it runs. Thread context; may sleep.
    pub fn status(&self) -> Option<Status> {
        *self.status.lock()
    }
}

/// RLIMIT_STACK: Linux's 8 MiB.
pub const STACK_LIMIT: u64 = 8 << 20;

/// The number that the next process or thread gets.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// A number for a new process or thread.
pub(super) fn next_pid() -> Pid {
    NEXT.fetch_add(1, Relaxed)
}

/// Ends the running task's process: this task at once, its other threads when they would return to EL0. Thread context.
pub fn exit_process(status: Status) -> ! {
    if let Some(task) = super::current() {
        let mut own = task.process.status.lock();
        if !task.process.ends.swap(true, Relaxed) {
            *own = Some(status);
        }
    }
    end_task()
}

/// Ends the running task, and with the last one the process. Thread context.
pub fn exit_task(task: &Task, status: u8) -> ! {
    if task.process.tasks.lock().len() == 1 {
        exit_process(Status::Exited(status));
    }
    end_task()
}

/// Ends the running task. Thread context.
pub(super) fn end_task() -> ! {
    if let Some(task) = super::current() {
        // What may have to sleep to be given back is given back here, and not when the scheduler drops the thread.
        task.exchange_space(None);
        let mut tasks = task.process.tasks.lock();
        tasks.remove(&task.tid);
        let last = tasks.is_empty();
        drop(tasks);
        if last {
            let files = core::mem::take(&mut *task.process.files.lock());
            drop(files);
            let place = core::mem::take(&mut *task.process.place.lock());
            drop(place);
            super::start::ended(&task.process);
        }
    }
    sched::exit()
}
