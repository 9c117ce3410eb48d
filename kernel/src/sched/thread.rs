//! A thread, and the handle by which others wait for its end.

use super::switch::Context;
use crate::debug::stepping::Stepping;
use crate::mm::stacks::Stack;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};

/// The function that a thread runs. The thread ends when the function returns.
pub type Entry = Box<dyn FnOnce() + Send>;

/// Why a thread was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// No memory for a stack, or too many threads.
    NoStack,
    /// The CPU is not online.
    NoCpu(usize),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStack => f.write_str("no room for another thread's stack"),
            Self::NoCpu(cpu) => write!(f, "cpu{cpu} is not online"),
        }
    }
}

/// A thread, running or not.
pub struct Thread {
    pub(super) context: Context,
    /// The thread's debug state while it does not run; None if nobody steps it (rules I5, I9).
    pub(super) step: Option<Stepping>,
    pub(super) entry: Option<Entry>,
    pub(super) done: Arc<AtomicBool>,
    pub(super) name: &'static str,
    /// None for the thread that a CPU came up with, which runs on the CPU's own stack.
    pub(super) stack: Option<Stack>,
}

impl Thread {
    /// The thread that a CPU came up with. The value is made when the CPU first switches to another thread.
    pub(super) fn of_boot() -> Self {
        Self {
            context: Context::new(),
            step: None,
            entry: None,
            done: Arc::new(AtomicBool::new(false)),
            name: "boot",
            stack: None,
        }
    }

    /// A new thread, whose first switch enters `begin`.
    pub(super) fn new(
        name: &'static str,
        entry: Entry,
        begin: extern "C" fn() -> !,
    ) -> Result<Self, SpawnError> {
        let stack = Stack::new().ok_or(SpawnError::NoStack)?;
        Ok(Self {
            context: Context::starting_at(stack.top(), begin),
            step: None,
            entry: Some(entry),
            done: Arc::new(AtomicBool::new(false)),
            name,
            stack: Some(stack),
        })
    }
}

/// By this value the code that has started a thread can ask whether the thread has ended.
#[derive(Clone)]
pub struct Handle(pub(super) Arc<AtomicBool>);

impl Handle {
    /// Whether the thread has ended. Any context.
    pub fn is_done(&self) -> bool {
        self.0.load(Acquire)
    }
}

/// Marks a thread as ended.
pub(super) fn ended(thread: &Thread) {
    thread.done.store(true, Release);
}
