//! The threads that run and wait: the scheduler's state behind its lock, and the switches that it decides.

use super::switch::switch;
use super::thread::{
    Entry, Handle, Occupant, SpawnError, Thread, current, ended, no_thread_on_stack, put_on_stack,
};
use crate::arch::{self, daif};
use crate::clock;
use crate::debug::{self, record, step};
use crate::drivers::gic::{self, Target};
use crate::irq::off::{self, IrqOff};
use crate::irq::sgi;
use crate::kprobe;
use crate::mm::layout;
use crate::percpu::{self, MAX_CPUS, PerCpu};
use crate::smp::cpus;
use crate::sync::{IrqMutex, IrqMutexGuard, MaskedGuard};
use crate::trace;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};
use rules::step::Owners;
use scheduler::{CpuSet, Policy, Scheduler, TaskId};

/// The scheduler, and the threads by the number of their task.
pub(super) struct State {
    pub scheduler: Scheduler,
    threads: Vec<Option<Arc<Thread>>>,
}

static STATE: IrqMutex<Option<State>> = IrqMutex::new(None);

/// What a CPU runs. Only this CPU uses the values, with I masked; others only read `switches`.
struct Running {
    /// How many switches the CPU has made.
    switches: AtomicU64,
    /// The thread that runs.
    thread: Cell<*const Thread>,
    /// The thread that runs when the scheduler has none.
    idle: Cell<*const Thread>,
    /// A thread that has ended, and whose stack this CPU may still use.
    ended: Cell<Option<Arc<Thread>>>,
}

static RUNNING: PerCpu<Running> = crate::per_cpu!(Running {
    switches: AtomicU64::new(0),
    thread: Cell::new(core::ptr::null()),
    idle: Cell::new(core::ptr::null()),
    ended: Cell::new(None),
});

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
    record::runs(number(&boot, cpu, cpu != 0));
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

/// How many switches all CPUs have made so far. Any context.
pub fn reschedules() -> u64 {
    // SAFETY: an atomic is `Sync`.
    let of = |cpu| unsafe { RUNNING.of_unchecked(cpu) }.switches.load(Relaxed);
    (0..percpu::MAX_CPUS).map(of).sum()
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
    wake_by(|scheduler, now| scheduler.wake(task, now));
}

/// As [`wake_masked`], for a thread that is about to sleep itself: it is not preempted by a thread that is no more important.
pub fn wake_before_sleep(task: TaskId) {
    wake_by(|scheduler, now| scheduler.wake_before_wait(percpu::index(), task, now));
}

#[inline(always)]
fn wake_by(wake: impl FnOnce(&mut Scheduler, u64) -> Result<(), scheduler::Error>) {
    let kicks = {
        let mut guard = arch::in_register(&STATE).lock_masked();
        let Some(state) = guard.as_mut() else { return };
        // A task that has ended meanwhile needs no waking.
        let _ = wake(&mut state.scheduler, clock::nanoseconds());
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
    sleep_masked(|scheduler, cpu, now| scheduler.wait(cpu, now));
    daif::write(before);
}

/// What a thread does that has looked whether it has to sleep ([`sleep_until`]).
pub enum Look<R> {
    /// It goes on with this value.
    GoOn(R),
    /// It sleeps. The thread that the value may name is woken in the same moment, and so can have this CPU at once.
    Sleep(Option<TaskId>),
}

/// Calls `look`, and sleeps, until `look` says that the thread goes on. Interrupts are off in `look` and up to the sleep: whoever makes the
/// condition hold under the lock under which `look` asks for it, and then wakes the thread, ends the sleep. Thread context; may sleep.
#[track_caller]
#[inline(always)]
pub fn sleep_until<R>(mut look: impl FnMut() -> Look<R>) -> R {
    super::preempt::might_sleep();
    let before = daif::read();
    daif::set::<{ daif::IF }>();
    let value = loop {
        match look() {
            Look::GoOn(value) => break value,
            Look::Sleep(None) => sleep_masked(|scheduler, cpu, now| scheduler.wait(cpu, now)),
            Look::Sleep(Some(woken)) => hand_over_masked(woken),
        }
    };
    daif::write(before);
    value
}

#[inline(never)]
fn hand_over_masked(woken: TaskId) {
    sleep_masked(|scheduler, cpu, now| scheduler.hand_over(cpu, woken, now));
}

/// Switches to the thread that `wait` gives. I is masked, D is open.
#[inline(always)]
fn sleep_masked(wait: impl FnOnce(&mut Scheduler, usize, u64) -> Option<Option<TaskId>>) {
    let now = clock::nanoseconds();
    let mut guard = arch::in_register(&STATE).lock_masked();
    let Some(state) = guard.as_mut() else { return };
    match wait(&mut state.scheduler, percpu::index(), now) {
        Some(next) => switch_to(guard, next),
        None => stay(guard),
    }
}

/// The thread does not sleep after all. Another one may have been woken nevertheless.
#[cold]
#[inline(never)]
fn stay(mut guard: MaskedGuard<'_, Option<State>>) {
    let kicks = guard.as_mut().map_or(CpuSet::EMPTY, |state| state.scheduler.take_kicks());
    drop(guard);
    kick(kicks);
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
    let mut guard = STATE.lock_masked();
    let Some(state) = guard.as_mut() else { return };
    let cpu = percpu::index();
    if rotate {
        state.scheduler.yield_now(cpu);
    }
    let next = state.scheduler.pick(cpu, now);
    // Before the switch, because the lock is kept until the registers are saved and nothing of the thread that is left is in use on this CPU any
    // more. Until then no other CPU runs that thread, whatever the scheduler does with it now.
    if let Some(ended) = state.scheduler.switched(cpu) {
        RUNNING.this().ended.set(state.threads[ended.index()].take());
    }
    switch_to(guard, next);
}

/// Switches to the thread of `next`, or to the CPU's idle thread, and returns when the caller runs again. The scheduler has chosen `next` under
/// the lock that `guard` holds. I is masked, D is open.
#[inline]
fn switch_to(mut guard: MaskedGuard<'_, Option<State>>, next: Option<TaskId>) {
    let running = RUNNING.this();
    let me = running.thread.get();
    let Some(state) = guard.as_mut() else { return };
    let next = match next {
        Some(task) => state.threads[task.index()].as_ref().map_or(core::ptr::null(), Arc::as_ptr),
        None => running.idle.get(),
    };
    if next == me {
        // The CPU's first thread is its idle thread too: nothing is switched between the two.
        let kicks = state.scheduler.take_kicks();
        drop(guard);
        return kick(kicks);
    }
    // SAFETY: both threads exist: the scheduler's table, or `running.ended`, has a reference to each that runs, and this CPU's idle thread never
    // ends.
    let (from, to) = unsafe { (&*me, &*next) };
    // A debugger's step is saved with the thread that is stepped.
    if let Some(stepping) = step::save() {
        from.step.set(Some(stepping));
        from.is_stepped.set(true);
    }
    debug::check_switchable();
    if trace::is_on() {
        trace_switch(running, from, next);
    }
    running.switches.store(running.switches.load(Relaxed) + 1, Relaxed);
    if let Some(occupant) = &from.occupant {
        occupant.leaves();
        if to.occupant.is_none() {
            occupant.leaves_cpu_empty();
        }
    }
    running.thread.set(next);
    IrqMutex::keep(guard);
    // SAFETY: the scheduler has given `to` to this CPU, and no CPU can be given `from` before `finish_switch` releases the lock. I is masked, D
    // open.
    unsafe { switch(from.context.get(), to.context.get()) };
    finish_switch(to_here());
}

/// Records a switch from a thread, whose debug state is saved, to another one. I is masked.
#[cold]
#[inline(never)]
fn trace_switch(running: &Running, from: &Thread, next: *const Thread) {
    // SAFETY: as in `switch_to`.
    let to = unsafe { &*next };
    let saved = from.step.take();
    let owners = saved.as_ref().map_or(Owners::empty(), |saved| saved.owners);
    from.step.set(saved);
    let ended = running.ended.take();
    let has_ended = ended.as_deref().is_some_and(|ended| core::ptr::eq(ended, from));
    running.ended.set(ended);
    record::switches(number(to, percpu::index(), next == running.idle.get()), owners, has_ended);
}

/// The number by which a trace knows a thread: a CPU's idle thread has none in the scheduler.
fn number(thread: &Thread, cpu: usize, is_idle: bool) -> u32 {
    const IDLE: u32 = 0xffff_ff00;
    let bits = thread.id().to_bits();
    if is_idle {
        IDLE | cpu as u32
    } else {
        (bits as u32 + 1) & 0xf_ffff | ((bits >> 32) as u32 & 0x7ff) << 20
    }
}

/// The thread that this CPU has switched to. I is masked.
#[inline(always)]
fn to_here() -> &'static Thread {
    // SAFETY: the thread that runs exists.
    unsafe { &*RUNNING.this().thread.get() }
}

/// Finishes a switch in the thread that was switched to: releases the scheduler's lock, frees a thread that has ended, and restores the
/// debug state of the thread. I is masked.
#[inline(always)]
fn finish_switch(thread: &Thread) {
    // Before others may run the thread that was left: until here the CPU may use that thread's address space.
    if let Some(occupant) = &thread.occupant {
        occupant.arrives();
    }
    // SAFETY: whatever switched to this thread has kept the lock, and I is masked since.
    let mut guard = unsafe { arch::in_register(&STATE).resume() };
    let kicks = guard.as_mut().map_or(CpuSet::EMPTY, |state| state.scheduler.take_kicks());
    drop(guard);
    kick(kicks);
    let running = RUNNING.this();
    // SAFETY: only this CPU uses the value, with I masked.
    if unsafe { &*running.ended.as_ptr() }.is_some() {
        forget(running);
    }
    if thread.is_stepped.get() {
        resume_step(thread);
    }
}

/// The thread has a debugger's step, which becomes that of this CPU.
#[cold]
#[inline(never)]
fn resume_step(thread: &Thread) {
    thread.is_stepped.set(false);
    if let Some(stepping) = thread.step.take() {
        step::restore(&stepping);
    }
}

/// Frees a thread that has ended and left its CPU.
#[cold]
#[inline(never)]
fn forget(running: &Running) {
    let Some(thread) = running.ended.take() else { return };
    // The return probes' instances of the ended thread's calls are freed only here, when nothing runs on that thread's stack
    // any more: until the switch, the thread called functions, whose return probes may have taken instances.
    if let Some(stack) = &thread.stack {
        kprobe::end_of_stack(stack.top() as u64);
    }
}

/// The first Rust function of a thread. I and F are masked, because a switch does not change the masks.
extern "C" fn begin() -> ! {
    finish_switch(to_here());
    let entry = current().and_then(|thread| thread.entry.take());
    daif::clear::<{ daif::IF }>();
    if let Some(entry) = entry {
        entry();
    }
    exit()
}
