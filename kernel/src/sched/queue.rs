//! The threads of a CPU: the running thread, the threads that wait for their turn, and the thread that has just ended.

use super::switch::{Context, switch};
use super::thread::{Entry, Handle, SpawnError, Thread, ended};
use crate::arch::daif;
use crate::debug::{self, step};
use crate::drivers::gic::{self, Target};
use crate::irq::sgi;
use crate::kprobe;
use crate::percpu::PerCpu;
use crate::smp;
use crate::sync::IrqMutex;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// How many switches each CPU has made.
pub static RESCHEDULES: PerCpu<AtomicU64> = crate::per_cpu!(AtomicU64::new(0));

struct Queue {
    /// The threads that wait for their turn. Other CPUs add threads too.
    ready: IrqMutex<VecDeque<Box<Thread>>>,
    /// The length of `ready`, to be read without the lock.
    waiting: AtomicUsize,
    /// The thread that runs; None until the CPU has a second thread. Only this CPU touches it, with I masked.
    running: UnsafeCell<Option<Box<Thread>>>,
    /// A thread that has ended, whose stack can be freed once another thread runs. Only this CPU touches it, with I masked.
    ended: Cell<Option<Box<Thread>>>,
}

static QUEUES: PerCpu<Queue> = crate::per_cpu!(Queue {
    ready: IrqMutex::new(VecDeque::new()),
    waiting: AtomicUsize::new(0),
    running: UnsafeCell::new(None),
    ended: Cell::new(None),
});

/// `ready` and `waiting` of any CPU's queue, which all CPUs may use.
fn shared(cpu: usize) -> (&'static IrqMutex<VecDeque<Box<Thread>>>, &'static AtomicUsize) {
    // SAFETY: only the two fields that are `Sync` are used.
    let queue = unsafe { QUEUES.of_unchecked(cpu) };
    (&queue.ready, &queue.waiting)
}

/// Whether a thread waits for its turn on this CPU. Any context.
pub fn others_wait() -> bool {
    QUEUES.this().waiting.load(Relaxed) != 0
}

/// How many threads wait for their turn on a CPU. Any context.
pub fn threads(cpu: usize) -> usize {
    shared(cpu).1.load(Relaxed)
}

/// The name of the running thread. Thread context.
pub fn current() -> &'static str {
    let _masked = daif::AllMasked::new();
    // SAFETY: `running` is used by this CPU only, with I masked; the reference ends here.
    unsafe { &*QUEUES.this().running.get() }.as_ref().map_or("boot", |thread| thread.name)
}

/// Starts a thread on a CPU. Thread context.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn(cpu: usize, name: &'static str, entry: Entry) -> Result<Handle, SpawnError> {
    if !smp::online().any(|online| online == cpu) {
        return Err(SpawnError::NoCpu(cpu));
    }
    let thread = Box::new(Thread::new(name, entry, begin)?);
    let handle = Handle(thread.done.clone());
    let (ready, waiting) = shared(cpu);
    let mut ready = ready.lock();
    ready.push_back(thread);
    waiting.store(ready.len(), Relaxed);
    drop(ready);
    // The CPU would find the thread at its next tick. That is soon enough for fairness, but the caller may wait for the thread.
    gic::send_sgi(sgi::RESCHEDULE, Target::OneCpu(cpu));
    Ok(handle)
}

/// Gives way to the next thread, if there is one. Thread context, interrupts on.
pub fn yield_now() {
    let before = daif::read();
    daif::set::<{ daif::IF }>();
    switch_to_next();
    daif::write(before);
}

impl Handle {
    /// Waits until the thread has ended, and gives way meanwhile. Thread context.
    pub fn join(&self) {
        while !self.is_done() {
            yield_now();
            crate::arch::barrier::relax();
        }
    }
}

/// Ends the running thread.
///
/// # Panics
/// If it is the thread that the CPU has come up with.
pub fn exit() -> ! {
    daif::set::<{ daif::IF }>();
    let queue = QUEUES.this();
    // SAFETY: `running` is used by this CPU only, with I masked; the reference ends with the statement.
    let thread = unsafe { &mut *queue.running.get() }.as_ref().expect("a CPU's first thread does not end");
    assert!(thread.stack.is_some(), "a CPU's first thread does not end");
    debug::runs::end_of_stack();
    ended(thread);
    loop {
        switch_to_next();
        // The switch does not return here: the CPU's first thread never ends, so a thread is always ready, and this thread is not.
    }
}

/// Switches to the thread that has waited longest, and returns when it is the caller's turn again. I is masked, D is open (rule
/// I5).
pub fn switch_to_next() {
    let queue = QUEUES.this();
    let next = {
        let mut ready = queue.ready.lock();
        let Some(next) = ready.pop_front() else { return };
        queue.waiting.store(ready.len(), Relaxed);
        next
    };
    // A debugger's step is saved with the thread that is stepped.
    let step = step::save();
    debug::check_switchable();
    let count = RESCHEDULES.this();
    count.store(count.load(Relaxed) + 1, Relaxed);

    let to: *const Context = &raw const next.context;
    // SAFETY: `running` is used by this CPU only, with I masked; no reference into it lives across the switch.
    let running = unsafe { &mut *queue.running.get() };
    let mut previous = running.replace(next).unwrap_or_else(|| Box::new(Thread::of_boot()));
    previous.step = step;
    let from: *mut Context = &raw mut previous.context;
    if previous.done.load(Relaxed) {
        queue.ended.set(Some(previous));
    } else {
        let mut ready = queue.ready.lock();
        ready.push_back(previous);
        queue.waiting.store(ready.len(), Relaxed);
    }
    // SAFETY: `from` and `to` point into boxes that this CPU's queue keeps. No other CPU takes a thread out of the queue, and this
    // CPU has I masked until the switch is done.
    unsafe { switch(from, to) };
    finish_switch();
}

/// Finishes a switch in the thread that was switched to: frees a thread that has ended, and restores the debug state of the thread.
/// I is masked.
fn finish_switch() {
    let queue = QUEUES.this();
    if let Some(ended) = queue.ended.take() {
        // The return probes' instances of the ended thread's calls are freed only here, when nothing runs on that thread's stack
        // any more: until the switch, the thread called functions, whose return probes may have taken instances.
        if let Some(stack) = &ended.stack {
            kprobe::end_of_stack(stack.top() as u64);
        }
        drop(ended);
    }
    // SAFETY: `running` is used by this CPU only, with I masked; the reference ends with the function, which does not switch.
    let Some(thread) = (unsafe { &mut *queue.running.get() }) else { return };
    if let Some(stepping) = &thread.step {
        step::restore(stepping);
        thread.step = None;
    }
}

/// The first Rust function of a thread. I and F are masked, because a switch does not change the masks.
extern "C" fn begin() -> ! {
    finish_switch();
    // SAFETY: as in `finish_switch`.
    let entry = unsafe { &mut *QUEUES.this().running.get() }.as_mut().and_then(|thread| thread.entry.take());
    daif::clear::<{ daif::IF }>();
    if let Some(entry) = entry {
        entry();
    }
    exit()
}
