//! A thread, the handle by which others wait for its end, and how code finds the thread that it runs in.

use super::preemption::Preemption;
use super::switch::Context;
use crate::debug::stepping::Stepping;
use crate::exception::El0Frame;
use crate::mm::layout::{self, STACK_ROOM, STACK_SIZE};
use crate::mm::stacks::Stack;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::ptr;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use scheduler::TaskId;

/// The function that a thread runs. The thread ends when the function returns.
pub type Entry = Box<dyn FnOnce() + Send>;

/// What a thread has on its CPU beside the kernel's registers: the registers and the address space of a program. The scheduler calls
/// these functions with I masked and D open.
pub trait Occupant: Send + Sync {
    /// The thread leaves its CPU. The address space may stay: another thread's arrival replaces it before this thread can run again, or
    /// [`leaves_cpu_empty`](Self::leaves_cpu_empty) is called.
    fn leaves(&self);
    /// The thread that comes next, after [`leaves`](Self::leaves), has no occupant, so that nothing would replace the address space.
    fn leaves_cpu_empty(&self);
    /// The thread has got a CPU again.
    fn arrives(&self);
    /// Where the value is, for its owner, who knows its type.
    fn address(&self) -> *const ();
}

/// Why a thread was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// No memory for the thread or its stack, or too many threads.
    NoStack,
    /// The CPU is not online, or none of the CPUs that the thread may run on is.
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

/// A thread, running or not. The scheduler's table has a reference until the thread has ended and left its CPU.
pub struct Thread {
    /// The thread's number in the scheduler; 0 until the scheduler has one.
    id: AtomicU64,
    /// The registers while the thread does not run. Its CPU writes them when it switches away, with I masked; the scheduler hands the
    /// thread to a CPU only when that is over.
    pub(super) context: UnsafeCell<Context>,
    /// The thread's debug state while it does not run; None if nobody steps it (rules I5, I9). Used like `context`.
    pub(super) step: Cell<Option<Stepping>>,
    /// Whether `step` has a value. Used like `context`.
    pub(super) is_stepped: Cell<bool>,
    /// Whether the thread may be switched away. Only code of this thread changes the value, and handlers that interrupt the thread.
    pub(super) preemption: Preemption,
    /// Taken by the thread itself when it begins.
    pub(super) entry: Cell<Option<Entry>>,
    pub(super) occupant: Option<Arc<dyn Occupant>>,
    /// [`Occupant::address`] of `occupant`; null if there is none.
    occupant_address: *const (),
    pub(super) done: Arc<AtomicBool>,
    pub(super) name: &'static str,
    /// None for the thread that a CPU came up with, which runs on the CPU's own stack.
    pub(super) stack: Option<Stack>,
}

// SAFETY: the fields that are not atomic are used by one CPU at a time, as each of them says.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

impl Thread {
    /// The thread that a CPU came up with.
    pub(super) fn of_boot() -> Self {
        Self {
            id: AtomicU64::new(0),
            context: UnsafeCell::new(Context::new()),
            step: Cell::new(None),
            is_stepped: Cell::new(false),
            preemption: Preemption::new(),
            entry: Cell::new(None),
            occupant: None,
            occupant_address: core::ptr::null(),
            done: Arc::new(AtomicBool::new(false)),
            name: "boot",
            stack: None,
        }
    }

    /// A new thread, whose first switch enters `begin`.
    pub(super) fn new(
        name: &'static str,
        entry: Entry,
        occupant: Option<Arc<dyn Occupant>>,
        begin: extern "C" fn() -> !,
    ) -> Result<Arc<Self>, SpawnError> {
        let stack = Stack::new().ok_or(SpawnError::NoStack)?;
        let top = stack.top();
        let thread = Arc::new(Self {
            context: UnsafeCell::new(Context::starting_at(top - STACK_ROOM, begin)),
            entry: Cell::new(Some(entry)),
            occupant_address: occupant.as_ref().map_or(core::ptr::null(), |occupant| occupant.address()),
            occupant,
            name,
            stack: Some(stack),
            ..Self::of_boot()
        });
        put_on_stack(top, &thread);
        Ok(thread)
    }

    /// The thread's number in the scheduler. Any context.
    pub fn id(&self) -> TaskId {
        TaskId::from_bits(self.id.load(Relaxed))
    }

    pub(super) fn set_id(&self, id: TaskId) {
        self.id.store(id.to_bits(), Relaxed);
    }

    /// The thread's name. Any context.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the thread has beside the kernel's registers. Any context.
    pub fn occupant(&self) -> Option<&Arc<dyn Occupant>> {
        self.occupant.as_ref()
    }

    /// [`Occupant::address`] of what the thread has beside the kernel's registers; null if it has nothing. Any context.
    #[inline(always)]
    pub fn occupant_address(&self) -> *const () {
        self.occupant_address
    }
}

/// Writes the pointers to a thread and to what it has beside the kernel's registers at the top of its stack.
pub(super) fn put_on_stack(top: usize, thread: &Arc<Thread>) {
    occupant_place(top).store(thread.occupant_address.cast_mut(), Release);
    place(top).store(Arc::as_ptr(thread).cast_mut(), Release);
}

/// Says that no thread belongs to a stack: to a CPU's stack for overflows.
pub(super) fn no_thread_on_stack(top: usize) {
    place(top).store(core::ptr::null_mut(), Release);
}

fn place(top: usize) -> &'static AtomicPtr<Thread> {
    // SAFETY: the top of a mapped stack, above everything that its code uses.
    unsafe { &*((top - STACK_ROOM) as *const AtomicPtr<Thread>) }
}

fn occupant_place(top: usize) -> &'static AtomicPtr<()> {
    // SAFETY: as in `place`; the second word there.
    unsafe { &*((top - STACK_ROOM + size_of::<usize>()) as *const AtomicPtr<()>) }
}

/// What the thread of a program's frame has beside the kernel's registers: [`Occupant::address`].
#[inline(always)]
pub fn occupant_of(frame: &El0Frame) -> *const () {
    let end = ptr::from_ref(frame).addr() + size_of::<El0Frame>();
    // SAFETY: the frame of a program lies right below the room at the top of its thread's stack, in which `put_on_stack` has written.
    unsafe { *((end + size_of::<usize>()) as *const *const ()) }
}

/// The running thread; None before the CPU's scheduler has started. Any context on a thread's stack: a handler gets the thread that it
/// has interrupted.
///
/// The thread is found by SP, so the answer stays right if the caller moves to another CPU meanwhile (rule I10).
#[inline(always)]
pub fn current() -> Option<&'static Thread> {
    let sp: u64;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    if !layout::is_on_stack(sp) {
        return None;
    }
    let top = (sp as usize | (STACK_SIZE - 1)) + 1;
    // SAFETY: the top of a mapped stack has the pointer, which is null or that of a thread that exists as long as code runs on its stack.
    unsafe { place(top).load(Acquire).as_ref() }
}

/// Where the stack of the running thread begins, below the room for the pointer to the thread.
#[inline(always)]
pub fn stack_top() -> usize {
    let sp: usize;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    (sp | (STACK_SIZE - 1)) + 1 - STACK_ROOM
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
