//! What files and terminals ask of processes, of which nothing is known here: [`set_processes`] names who answers.

use super::receiver::Receiver;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};
use files::InodeId;
use signals::{Info, Signal};
use tty::{Caller, Job};

/// What the terminal knows of a task that is no program's.
pub const NOBODY: Caller = Caller {
    session: 0,
    group: 0,
    leads_session: false,
    controlled_by_this: false,
    has_terminal: false,
    orphaned: false,
    ignores_signal: false,
};

/// Who answers.
pub struct Processes {
    /// Whether the running task has something more urgent to do than to wait. Thread context.
    pub interrupted: fn() -> bool,
    /// The running task has written to a pipe that nobody reads: SIGPIPE. Thread context.
    pub broken_pipe: fn(),
    /// RLIMIT_FSIZE of the running task. Thread context.
    pub size_limit: fn() -> u64,
    /// The running task wants to make a file larger than that: SIGXFSZ. Thread context.
    pub too_large: fn(),
    /// Sends a signal to each process of a group. Thread and interrupt context.
    pub signal_group: fn(u32, Signal),
    /// Sends a signal that a file's owner has asked for. Returns whether somebody got it. Thread and interrupt context.
    pub signal: fn(Receiver, &Info) -> bool,
    /// What the terminal has to know of the running task. Thread context.
    pub terminal_caller: fn(&Job, Signal) -> Caller,
    /// Takes the pages of a file from an index on out of the memory of all programs: the file has become shorter. Thread context; may sleep.
    pub drop_pages: fn(InodeId, u64),
}

static PROCESSES: AtomicPtr<Processes> = AtomicPtr::new(core::ptr::null_mut());

/// Names who answers. Called before the first program starts.
pub fn set_processes(processes: &'static Processes) {
    PROCESSES.store(core::ptr::from_ref(processes).cast_mut(), Release);
}

fn processes() -> Option<&'static Processes> {
    // SAFETY: the pointer is null, or the argument of `set_processes`, a `'static` reference.
    unsafe { PROCESSES.load(Acquire).as_ref() }
}

/// Whether the running task has something more urgent to do than to wait. Thread context.
pub fn interrupted() -> bool {
    processes().is_some_and(|processes| (processes.interrupted)())
}

/// Sends SIGPIPE to the running task. Thread context.
pub fn broken_pipe() {
    if let Some(processes) = processes() {
        (processes.broken_pipe)();
    }
}

/// How large the running task may make files: RLIMIT_FSIZE. Thread context.
pub fn size_limit() -> u64 {
    processes().map_or(u64::MAX, |processes| (processes.size_limit)())
}

/// Sends SIGXFSZ to the running task. Thread context.
pub fn too_large() {
    if let Some(processes) = processes() {
        (processes.too_large)();
    }
}

/// Sends a signal to each process of a group. Thread and interrupt context.
pub fn signal_group(group: u32, signal: Signal) {
    if let Some(processes) = processes() {
        (processes.signal_group)(group, signal);
    }
}

/// Sends a signal that a file's owner has asked for. Returns whether somebody got it. Thread and interrupt context.
pub fn signal(receiver: Receiver, info: &Info) -> bool {
    processes().is_some_and(|processes| (processes.signal)(receiver, info))
}

/// Takes the pages of a file from an index on out of the memory of all programs. Called when the file has become shorter, without locks: a
/// fault that comes later finds the new end. Thread context; may sleep.
pub fn drop_pages(inode: InodeId, first: u64) {
    if let Some(processes) = processes() {
        (processes.drop_pages)(inode, first);
    }
}

/// What the terminal has to know of the running task. `signal` is the one that would be sent to it in the background. Thread context.
pub fn terminal_caller(job: &Job, signal: Signal) -> Caller {
    match processes() {
        Some(processes) => (processes.terminal_caller)(job, signal),
        None => NOBODY,
    }
}
