//! The threads that run and wait: the scheduler's state behind its lock, and the switches that it decides.

use super::switch::switch;
use super::thread::{
    Entry, Handle, Occupant, SpawnError, Thread, current, ended, no_thread_on_stack, put_on_stack,
};
use crate::arch::daif;
use crate::clock;
use crate::debug::{self, step};
use crate::drivers::gic::{self, Target};
use crate::irq::off::{self, IrqOff};
use crate::irq::sgi;
use crate::kprobe;
use crate::mm::layout;
use crate::percpu::{self, MAX_CPUS, PerCpu};
use crate::smp::cpus;
use crate::sync::{IrqMutex, IrqMutexGuard, MaskedGuard};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};
use scheduler::{CpuSet, Policy, Scheduler, TaskId};

/// How many switches each CPU has made.
pub(super) static RESCHEDULES: PerCpu<AtomicU64> = crate::per_cpu!(AtomicU64::new(0));

/// The scheduler, and the threads by the number of their task.
pub(super) struct State {
    pub scheduler: Scheduler,
    threads: Vec<Option<Arc<Thread>>>,
}

static STATE: IrqMutex<Option<State>> = IrqMutex::new(None);

/// What a CPU runs. Only this CPU uses the values, with I masked.
struct Running {
    /// The thread that runs.
    thread: Cell<*const Thread>,
    /// The thread that runs when the scheduler has none.
    idle: Cell<*const Thread>,
}

static RUNNING: PerCpu<Running> =
    crate::per_cpu!(Running { thread: Cell::new(core::ptr::null()), idle: Cell::new(core::ptr::null()) });

/// Each CPU's first thread, for those who wake it.
static FIRST: PerCpu<AtomicPtr<Thread>> = crate::per_cpu!(AtomicPtr::new(core::ptr::null_mut()));

/// Does something with the scheduler, and tells the CPUs that have to switch because of it. None before the first CPU's scheduler has
/// started. Thread and interrupt context.
pub(super) fn with<R>(act: impl FnOnce(&mut State) -> R) -> Option<R> {
    let (result, kicks) = locked(STATE.lock(), act)?;
    kick(kicks);
    Some(result)
}

/// As [`with`], in an interrupt's handler: this CPU needs no interrupt to be told, because it looks at the end of the handler.
pub(super) fn with_in_handler<R>(act: impl FnOnce(&mut State) -> R) -> Option<R> {
    let (result, mut kicks) = locked(STATE.lock(), act)?;
    if kicks.remove(percpu::index()) {
        debug::this().want_pick();
    }
    kick(kicks);
    Some(result)
}

/// As [`with`], at the end of the tick's handler: this CPU is not told, but finds by the result that it has to switch. None also if another
/// CPU has the lock: the next tick does what this one would have done. If all CPUs waited for the lock at each tick, a virtual CPU that
/// its host has put aside would hold up all others.
pub(super) fn with_at_tick<R>(act: impl FnOnce(&mut State) -> R) -> Option<R> {
    let (result, mut kicks) = locked(STATE.try_lock()?, act)?;
    kicks.remove(percpu::index());
    kick(kicks);
    Some(result)
}

fn locked<R>(
    mut guard: IrqMutexGuard<'_, Option<State>>,
    act: impl FnOnce(&mut State) -> R,
) -> Option<(R, CpuSet)> {
    let state = guard.as_mut()?;
    let result = act(state);
    Some((result, state.scheduler.take_kicks()))
}

/// Tells CPUs that they have to switch.
#[inline(always)]
fn kick(cpus: CpuSet) {
    if !cpus.is_empty() {
        kick_each(cpus);
    }
}

#[inline(never)]
fn kick_each(cpus: CpuSet) {
    for cpu in cpus.iter() {
        // This CPU may be in a handler, or about to switch anyway; an interrupt to itself is right everywhere.
        let target = if cpu == percpu::index() { Target::Me } else { Target::OneCpu(cpu) };
        gic::send_sgi(sgi::RESCHEDULE, target);
    }
}

impl State {
    fn add(
        &mut self,
        thread: &Arc<Thread>,
        policy: Policy,
        affinity: CpuSet,
        home: Option<usize>,
    ) -> Result<TaskId, scheduler::Error> {
        let id = self.scheduler.spawn(policy, affinity, home)?;
        let missing = (id.index() + 1).saturating_sub(self.threads.len());
        if self.threads.try_reserve(missing).is_err() {
            let discarded = self.scheduler.discard(id);
            debug_assert!(discarded.is_ok());
            return Err(scheduler::Error::NoMemory);
        }
        self.threads.extend((0..missing).map(|_| None));
        self.threads[id.index()] = Some(thread.clone());
        thread.set_id(id);
        Ok(id)
    }
}

/// Makes the code that this CPU has come up with a thread of the scheduler. Called once on each CPU, with interrupts off, when the heap
/// works.
///
/// # Panics
/// If there is no memory.
pub fn init_cpu() {
    const OUT_OF_MEMORY: &str = "no memory for the scheduler";
    let cpu = percpu::index();
    let boot = Arc::new(Thread::of_boot());
    put_on_stack(layout::stack_top(cpu), &boot);
    no_thread_on_stack(layout::overflow_stack_top(cpu));
    let running = RUNNING.this();
    running.thread.set(Arc::as_ptr(&boot));
    FIRST.this().store(Arc::as_ptr(&boot).cast_mut(), Relaxed);
    let mut guard = STATE.lock();
    let state = guard.get_or_insert_with(|| State {
        scheduler: Scheduler::new(MAX_CPUS).expect(OUT_OF_MEMORY),
        threads: Vec::new(),
    });
    state.scheduler.online(cpu).expect("the scheduler has room for every CPU");
    let id = state.add(&boot, Policy::Fair(0), CpuSet::of(cpu), Some(cpu)).expect(OUT_OF_MEMORY);
    state.scheduler.wake(id, clock::nanoseconds()).expect("the thread exists");
    let picked = state.scheduler.pick(cpu, clock::nanoseconds());
    assert!(picked == Some(id), "a CPU's first thread is alone");
    let _ = state.scheduler.take_kicks();
    drop(guard);
    if cpu == 0 {
        // The first CPU's own thread goes on with the image's work, and may sleep.
        let idle = Thread::new("idle", Box::new(idle), None, begin).expect(OUT_OF_MEMORY);
        running.idle.set(Arc::into_raw(idle));
    } else {
        running.idle.set(Arc::into_raw(boot));
    }
}

/// What the first CPU does when no thread is ready.
fn idle() {
    loop {
        off::wait_unless(|| false);
    }
}

/// Waits, in the idle thread of a CPU, until [`wake_first`] is called for the CPU or an interrupt has been handled. `ready` says whether
/// there is something to do already. Interrupts on.
pub fn wait_in_idle(ready: impl Fn() -> bool) {
    let cpu = percpu::index();
    daif::set::<{ daif::IF }>();
    if !ready() {
        let blocked = with(|state| {
            state.scheduler.current(cpu).is_some() && state.scheduler.block(cpu, clock::nanoseconds())
        });
        if blocked == Some(true) {
            schedule(false);
        }
    }
    daif::clear::<{ daif::IF }>();
    off::wait_unless(ready);
}

/// Tells the first thread of a CPU that there is something to do. Thread and interrupt context.
pub fn wake_first(cpu: usize) {
    // SAFETY: a CPU's first thread never ends.
    if let Some(first) = unsafe { FIRST.of(cpu).load(Relaxed).as_ref() } {
        wake(first.id());
    }
}

/// How many threads wait for their turn on a CPU. Thread and interrupt context.
pub fn threads(cpu: usize) -> usize {
    with(|state| state.scheduler.ready(cpu)).unwrap_or(0)
}

/// Starts a thread on a CPU, which it does not leave. Thread context.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn(cpu: usize, name: &'static str, entry: Entry) -> Result<Handle, SpawnError> {
    if !cpus::online().any(|online| online == cpu) {
        return Err(SpawnError::NoCpu(cpu));
    }
    let thread = create(name, entry, None, Policy::Fair(0), CpuSet::of(cpu), Some(cpu))?;
    wake(thread.id());
    Ok(Handle(thread.done.clone()))
}

/// Makes a thread that does not run before it is woken. Thread context.
///
/// # Errors
/// See [`SpawnError`].
pub fn create(
    name: &'static str,
    entry: Entry,
    occupant: Option<Arc<dyn Occupant>>,
    policy: Policy,
    affinity: CpuSet,
    home: Option<usize>,
) -> Result<Arc<Thread>, SpawnError> {
    let thread = Thread::new(name, entry, occupant, begin)?;
    match with(|state| state.add(&thread, policy, affinity, home)) {
        Some(Ok(_)) => Ok(thread),
        Some(Err(scheduler::Error::NoMemory)) | None => Err(SpawnError::NoStack),
        Some(Err(_)) => Err(SpawnError::NoCpu(home.unwrap_or(0))),
    }
}

/// Ends the sleep of a thread; a thread that does not sleep will not sleep the next time. Thread and interrupt context.
pub fn wake(task: TaskId) {
    let _off = IrqOff::new();
    wake_masked(task);
}

/// As [`wake`], for a caller who has interrupts off.
pub fn wake_masked(task: TaskId) {
    let kicks = {
        let mut guard = STATE.lock_masked();
        let Some(state) = guard.as_mut() else { return };
        // A task that has ended meanwhile needs no waking.
        let _ = state.scheduler.wake(task, clock::nanoseconds());
        state.scheduler.take_kicks()
    };
    kick(kicks);
}

/// Sleeps until somebody wakes the thread. Returns at once if somebody has tried to since the thread last slept, or since
/// [`prepare_to_sleep`]. Thread context; may sleep.
///
/// The caller must look again at what it waits for: others may wake the thread for other reasons.
#[track_caller]
pub fn sleep() {
    super::preempt::might_sleep();
    let before = daif::read();
    daif::set::<{ daif::IF }>();
    let now = clock::nanoseconds();
    let mut guard = STATE.lock_masked();
    let blocked = guard.as_mut().is_some_and(|state| state.scheduler.block(percpu::index(), now));
    if blocked {
        schedule_at(guard, false, now);
    } else {
        drop(guard);
    }
    daif::write(before);
}

/// Says that the thread is about to look at a condition, and to sleep if it does not hold: whoever makes it hold afterwards and wakes
/// the thread ends the sleep, even if the sleep begins later. Thread context.
pub fn prepare_to_sleep() {
    let before = daif::read();
    daif::set::<{ daif::IF }>();
    if let Some(state) = STATE.lock_masked().as_mut() {
        state.scheduler.prepare_to_wait(percpu::index());
    }
    daif::write(before);
}

/// Gives way to the next thread, if there is one. Thread context, interrupts on.
pub fn yield_now() {
    let before = daif::read();
    daif::set::<{ daif::IF }>();
    schedule(true);
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
    let thread = current().expect("a CPU's first thread does not end");
    assert!(thread.stack.is_some(), "a CPU's first thread does not end");
    debug::runs::end_of_stack();
    ended(thread);
    let exited = with(|state| state.scheduler.exit(percpu::index(), clock::nanoseconds()));
    assert!(exited == Some(Ok(())), "a thread ends while others wait for a lock that it has");
    schedule(false);
    unreachable!("a thread that has ended runs")
}

/// Switches to the thread that the scheduler chooses, and returns when the caller runs again. With `rotate` the caller gives way to
/// equals. I is masked, D is open (rule I5).
pub(super) fn schedule(rotate: bool) {
    let now = clock::nanoseconds();
    schedule_at(STATE.lock_masked(), rotate, now);
}

/// As [`schedule`], with the scheduler's lock held, and at a time that was read already.
#[inline]
fn schedule_at(mut guard: MaskedGuard<'_, Option<State>>, rotate: bool, now: u64) {
    let running = RUNNING.this();
    let me = running.thread.get();
    let cpu = percpu::index();
    let Some(state) = guard.as_mut() else { return };
    if rotate {
        state.scheduler.yield_now(cpu);
    }
    let next = match state.scheduler.pick(cpu, now) {
        Some(task) => state.threads[task.index()].as_ref().map_or(core::ptr::null(), Arc::as_ptr),
        None => running.idle.get(),
    };
    if next == me {
        // The CPU's first thread is its idle thread too: nothing is switched between the two.
        let ended = state.scheduler.switched(cpu);
        debug_assert!(ended.is_none());
    }
    let kicks = state.scheduler.take_kicks();
    drop(guard);
    kick(kicks);
    if next == me {
        return;
    }
    // SAFETY: both threads exist: the scheduler's table has a reference to each that runs, and this CPU's idle thread never ends.
    let (from, to) = unsafe { (&*me, &*next) };
    // A debugger's step is saved with the thread that is stepped.
    if let Some(stepping) = step::save() {
        from.step.set(Some(stepping));
        from.is_stepped.set(true);
    }
    debug::check_switchable();
    let count = RESCHEDULES.this();
    count.store(count.load(Relaxed) + 1, Relaxed);
    if let Some(occupant) = &from.occupant {
        occupant.leaves();
        if to.occupant.is_none() {
            occupant.leaves_cpu_empty();
        }
    }
    running.thread.set(next);
    // SAFETY: the scheduler has given `to` to this CPU, and gives `from` to no CPU before `finish_switch` says so. I is masked, D open.
    unsafe { switch(from.context.get(), to.context.get()) };
    finish_switch();
}

/// Finishes a switch in the thread that was switched to: frees a thread that has ended, and restores the debug state of the thread.
/// I is masked.
#[inline]
fn finish_switch() {
    let running = RUNNING.this();
    let cpu = percpu::index();
    // SAFETY: the thread that runs exists.
    let thread = unsafe { &*running.thread.get() };
    // Before others may run the thread that was left: until here the CPU may use that thread's address space.
    if let Some(occupant) = &thread.occupant {
        occupant.arrives();
    }
    let (ended, kicks) = {
        let mut guard = STATE.lock_masked();
        let state = guard.as_mut().expect("the scheduler runs");
        let ended = state.scheduler.switched(cpu);
        let ended = ended.and_then(|task| state.threads[task.index()].take());
        (ended, state.scheduler.take_kicks())
    };
    kick(kicks);
    if let Some(thread) = ended {
        forget(thread);
    }
    if thread.is_stepped.get() {
        thread.is_stepped.set(false);
        if let Some(stepping) = thread.step.take() {
            step::restore(&stepping);
        }
    }
}

/// Frees a thread that has ended and left its CPU.
#[cold]
#[inline(never)]
fn forget(thread: Arc<Thread>) {
    // The return probes' instances of the ended thread's calls are freed only here, when nothing runs on that thread's stack
    // any more: until the switch, the thread called functions, whose return probes may have taken instances.
    if let Some(stack) = &thread.stack {
        kprobe::end_of_stack(stack.top() as u64);
    }
}

/// The first Rust function of a thread. I and F are masked, because a switch does not change the masks.
extern "C" fn begin() -> ! {
    finish_switch();
    let entry = current().and_then(|thread| thread.entry.take());
    daif::clear::<{ daif::IF }>();
    if let Some(entry) = entry {
        entry();
    }
    exit()
}
