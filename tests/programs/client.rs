//! A client in the kernel that steps one task.
//!
//! The client takes the place of the kernel's [`el0::Programs`], and calls its functions. So it is told of every report of the second phase
//! of M4 in the context of that phase: as a thread, with everything open. A step of its task is written down, and is no signal for the program.

use alloc::vec::Vec;
use core::mem;
use core::ptr;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use hwdebug::Kind as Regset;
use kernel::arch::daif;
use kernel::debug::stats;
use kernel::debug::task::TaskDebug;
use kernel::debug::task::hit::Report;
use kernel::drivers::gic::{self, Target};
use kernel::exception::{DebugFrame, El0Frame, Frame, el0, frame::ec};
use kernel::irq::sgi;
use kernel::kprobe::{self, Kprobe, ProbeError, Then};
use kernel::sync::IrqMutex;
use kernel::task::{self, Task};
use kernel::{percpu, syscall};
use rules::step::Owners;
use signals::Signal;

/// What the kernel does for programs, with the client in front.
struct Watched;

impl el0::Programs for Watched {
    type Task = Task;

    #[inline(always)]
    fn task(frame: &El0Frame) -> &'static Task {
        task::of(frame)
    }

    #[inline(always)]
    fn system_call(own: &'static Task, frame: &mut El0Frame) {
        system_call(own, frame);
    }

    #[inline(always)]
    fn brk(own: &'static Task, frame: &mut El0Frame) {
        handler_begins(frame);
        task::brk(own, frame);
    }

    #[inline(always)]
    fn exception(frame: &mut El0Frame) {
        handler_begins(frame);
        task::exception(frame);
    }

    #[inline(always)]
    fn report(frame: &mut El0Frame, found: &Report) {
        report(frame, found);
    }

    #[inline(always)]
    fn debug() -> Option<&'static TaskDebug> {
        task::debug_of_running()
    }

    #[inline(always)]
    fn is_ready(own: &'static Task) -> bool {
        own.is_ready()
    }

    #[inline(always)]
    fn leave(frame: &mut El0Frame) -> bool {
        task::leave(frame)
    }
}

/// Puts the client between the entry from EL0 and the tasks. Until it watches a task it does nothing.
pub fn install() {
    el0::exchange::<Watched>();
}

/// Where a step has landed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Landing {
    /// The program's PC.
    pub pc: u64,
    /// The CPU that the report was made on.
    pub cpu: usize,
    /// Whose steps were done.
    pub owners: Owners,
    /// X0 to X11.
    pub x: [u64; 12],
}

/// How many landings are written down; all are counted.
const MOST: usize = 512;

/// After so many steps the task is not stepped any more: it goes round in a circle.
const TOO_MANY: u64 = 4096;

/// The task that is stepped; 0 if none is.
static TID: AtomicU32 = AtomicU32::new(0);
/// The process one of whose threads is to be stepped, and the number by which the thread says that it is the one.
static CROWD: AtomicU32 = AtomicU32::new(0);
static CHOSEN: AtomicU64 = AtomicU64::new(0);
/// Where the task is no more stepped.
static UNTIL: AtomicU64 = AtomicU64::new(0);
/// Who asks for the steps.
static OWNER: AtomicU8 = AtomicU8::new(0);
/// Where the task is sent SIGUSR1 when it lands there for the first time; 0 if nowhere.
static SIGNALLED_AT: AtomicU64 = AtomicU64::new(0);
static LANDINGS: IrqMutex<Vec<Landing>> = IrqMutex::new(Vec::new());
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Step exceptions of other tasks.
static STRANGERS: AtomicU64 = AtomicU64::new(0);
/// Set until an interrupt was sent that comes before the next step.
static INTERRUPT: AtomicBool = AtomicBool::new(false);
/// How many of these interrupts were sent.
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);

/// What a handler of M2, M3 or M4 does first: nothing, or what a test wants.
static FIRST: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
/// The classes (ESR_EL1.EC) whose handlers were called, and those of them that had anything masked.
static CLASSES: AtomicU64 = AtomicU64::new(0);
static MASKED: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn handler_begins(frame: &Frame) {
    CLASSES.fetch_or(1 << frame.class(), Relaxed);
    if !daif::read().is_empty() {
        MASKED.fetch_or(1 << frame.class(), Relaxed);
    }
    let first = FIRST.load(SeqCst);
    if !first.is_null() {
        // SAFETY: only `Handlers::new` stores here, a function of this type.
        let first = unsafe { mem::transmute::<*mut (), fn(&Frame)>(first) };
        first(frame);
    }
}

#[inline(never)]
fn system_call(own: &Task, frame: &mut El0Frame) {
    handler_begins(frame);
    const GETTID: u64 = 178;
    let chosen = frame.x[8] == GETTID && frame.x[0] == CHOSEN.load(Relaxed);
    if chosen && own.process.pid == CROWD.load(Relaxed) {
        TID.store(own.tid(), SeqCst);
        own.debug.request_step(owner());
    }
    syscall::call(own, frame);
}

#[inline(never)]
fn report(frame: &mut El0Frame, report: &Report) {
    handler_begins(frame);
    if let Some(own) = task::current()
        && traced(own, frame, report)
    {
        return;
    }
    if let (Report::Step(owners), Some(own)) = (report, task::current()) {
        let stepped = TID.load(SeqCst);
        if own.tid() == stepped {
            return landed(own, frame, *owners);
        }
        STRANGERS.fetch_add(u64::from(stepped != 0), Relaxed);
    }
    task::report(frame, report);
}

/// A hit of a tracer's slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop {
    /// The task.
    pub tid: u32,
    /// The program's PC.
    pub pc: u64,
    /// The address accessed, or that of the instruction.
    pub address: u64,
    /// X20, X21 and X30.
    pub x: [u64; 3],
    /// The CPU that the report was made on.
    pub cpu: usize,
}

/// What the client does as a tracer at each hit of a tracer's slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Tracing {
    /// Nothing: the program is told.
    Tells = 1,
    /// Disables the slots of the task; the program is told.
    Removes = 2,
    /// Disables the slots, steps the task, and enables them again; the program is not told.
    Steps = 3,
}

/// After so many hits the slots stay disabled: the program goes round in a circle.
const TOO_MANY_STOPS: usize = 1024;

static TRACING: AtomicU8 = AtomicU8::new(0);
static STOPS: IrqMutex<Vec<Stop>> = IrqMutex::new(Vec::new());
/// The regsets of the tasks that are being stepped over a hit.
static SAVED: IrqMutex<Vec<(u32, Regset, [u8; hwdebug::SIZE])>> = IrqMutex::new(Vec::new());

/// The client is the tracer of all tasks until the value's end.
pub struct Tracer(());

impl Tracer {
    /// Begins, and forgets earlier hits.
    pub fn new(what: Tracing) -> Self {
        STOPS.lock().clear();
        SAVED.lock().clear();
        TRACING.store(what as u8, SeqCst);
        Self(())
    }

    /// The hits so far.
    pub fn stops(&self) -> Vec<Stop> {
        STOPS.lock().clone()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        TRACING.store(0, SeqCst);
    }
}

/// Does what a tracer does. Returns whether the program is not told of the report.
fn traced(own: &Task, frame: &Frame, report: &Report) -> bool {
    let what = TRACING.load(SeqCst);
    match report {
        Report::Hits(hits) if what != 0 && hits.reported().any(|this| this.stops()) => {
            let x = [20, 21, 30].map(|n: usize| frame.x[n]);
            let stop = Stop { tid: own.tid(), pc: frame.pc, address: hits.address, x, cpu: percpu::index() };
            let count = {
                let mut stops = STOPS.lock();
                stops.push(stop);
                stops.len()
            };
            if what == Tracing::Tells as u8 {
                return false;
            }
            for kind in [Regset::Break, Regset::Watch] {
                let bytes = own.hw_debug(kind);
                if count < TOO_MANY_STOPS {
                    SAVED.lock().push((own.tid(), kind, bytes));
                }
                let mut off = bytes;
                off[8..].chunks_mut(16).for_each(|slot| slot[8..].fill(0));
                let used = used(&bytes);
                own.set_hw_debug(kind, &off[..used]).expect("slots are disabled");
            }
            let steps = what == Tracing::Steps as u8;
            if steps {
                own.debug.request_step(Owners::TRACER);
            }
            steps
        }
        Report::Step(_) if what == Tracing::Steps as u8 => {
            let mut found = false;
            loop {
                let mut saved = SAVED.lock();
                let Some(at) = saved.iter().position(|(tid, ..)| *tid == own.tid()) else { break };
                let (_, kind, bytes) = saved.swap_remove(at);
                drop(saved);
                own.set_hw_debug(kind, &bytes[..used(&bytes)]).expect("slots are enabled again");
                found = true;
            }
            found
        }
        _ => false,
    }
}

/// How many bytes of a regset there are slots for.
fn used(bytes: &[u8; hwdebug::SIZE]) -> usize {
    8 + 16 * usize::from(bytes[0])
}

fn owner() -> Owners {
    Owners::from_bits_truncate(OWNER.load(Relaxed))
}

/// Writes a step down, and asks for the next one.
fn landed(own: &Task, frame: &Frame, owners: Owners) {
    let mut landings = LANDINGS.lock();
    if landings.len() < MOST {
        let mut x = [0; 12];
        x.copy_from_slice(&frame.x[..12]);
        landings.push(Landing { pc: frame.pc, cpu: percpu::index(), owners, x });
    }
    drop(landings);
    let count = COUNT.fetch_add(1, SeqCst) + 1;
    if frame.pc == UNTIL.load(Relaxed) || count == TOO_MANY {
        return;
    }
    INTERRUPT.store(true, SeqCst);
    own.debug.request_step(owner());
    if SIGNALLED_AT.compare_exchange(frame.pc, 0, SeqCst, Relaxed).is_ok() {
        task::signal_group(own.process.pid, Signal::SIGUSR1);
    }
}

/// Called where the task is about to leave the kernel, with everything masked: an interrupt that is sent here is taken once the task is
/// at EL0, before its next instruction.
fn before_the_step(_: &Kprobe, _: &mut DebugFrame) -> Then {
    if task::current().is_some_and(|own| own.tid() == TID.load(Relaxed)) && INTERRUPT.swap(false, SeqCst) {
        INTERRUPTS.fetch_add(1, Relaxed);
        gic::send_sgi(sgi::RESCHEDULE, Target::Me);
    }
    Then::Run
}

/// What is stepped, from when on, and how.
pub struct Watch {
    /// Where the task is no more stepped.
    pub until: u64,
    /// Where the task is sent SIGUSR1 when it lands there for the first time; 0 if nowhere.
    pub signalled_at: u64,
    /// Whether an interrupt comes before every step.
    pub interrupts: bool,
    /// Who asks for the steps.
    pub owner: Owners,
}

impl Watch {
    /// Steps of a tracer, up to this address.
    pub const fn until(until: u64) -> Self {
        Self { until, signalled_at: 0, interrupts: false, owner: Owners::TRACER }
    }
}

/// The client watches a task; its end ends that.
pub struct Watching {
    /// `stats::STEPS` and `stats::LEFT_BEHIND` at the beginning.
    steps: u64,
    left_behind: u64,
    probe: Option<u64>,
}

impl Watching {
    fn begin(watch: &Watch) -> Result<Self, ProbeError> {
        LANDINGS.lock().clear();
        [&COUNT, &STRANGERS, &INTERRUPTS].iter().for_each(|count| count.store(0, SeqCst));
        UNTIL.store(watch.until, SeqCst);
        OWNER.store(watch.owner.bits(), SeqCst);
        SIGNALLED_AT.store(watch.signalled_at, SeqCst);
        let leave = task::leave as *const ();
        let probe = match watch.interrupts {
            true => Some(kprobe::register(leave.addr() as u64, Some(before_the_step), None)?.address),
            false => None,
        };
        Ok(Self { steps: stats::STEPS.sum(), left_behind: stats::LEFT_BEHIND.sum(), probe })
    }

    /// Steps a task, which sleeps in a system call, from there on.
    ///
    /// # Errors
    /// The probe that sends interrupts cannot be placed.
    pub fn task(task: &Task, watch: &Watch) -> Result<Self, ProbeError> {
        let this = Self::begin(watch)?;
        TID.store(task.tid(), SeqCst);
        INTERRUPT.store(true, SeqCst);
        task.debug.request_step(watch.owner);
        Ok(this)
    }

    /// Steps the thread of a process that calls `gettid` with this number, from there on.
    ///
    /// # Errors
    /// As [`task`](Self::task).
    pub fn one_of(task: &Task, chosen: u64, watch: &Watch) -> Result<Self, ProbeError> {
        let this = Self::begin(watch)?;
        // No task has this number: steps of other threads are counted from the beginning.
        TID.store(u32::MAX, SeqCst);
        CHOSEN.store(chosen, SeqCst);
        CROWD.store(task.process.pid, SeqCst);
        Ok(this)
    }

    /// How many steps there were.
    pub fn count(&self) -> u64 {
        COUNT.load(SeqCst)
    }

    /// How many step exceptions all CPUs have taken.
    pub fn exceptions(&self) -> u64 {
        stats::STEPS.sum() - self.steps
    }

    /// How many owners were on the CPU when the kernel was about to leave for a program.
    pub fn left_behind(&self) -> u64 {
        stats::LEFT_BEHIND.sum() - self.left_behind
    }

    /// How many steps of other tasks were reported.
    pub fn strangers(&self) -> u64 {
        STRANGERS.load(SeqCst)
    }

    /// How many interrupts were sent.
    pub fn interrupts(&self) -> u64 {
        INTERRUPTS.load(SeqCst)
    }

    /// The landings that were written down.
    pub fn landings(&self) -> Vec<Landing> {
        LANDINGS.lock().clone()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        TID.store(0, SeqCst);
        CROWD.store(0, SeqCst);
        if let Some(probe) = self.probe {
            let _ = kprobe::unregister(probe);
        }
    }
}

/// The handlers of M2, M3 and M4 call a function first; the value's end ends that.
pub struct Handlers(());

impl Handlers {
    /// Has them call `first`, and forgets which have been called.
    pub fn new(first: fn(&Frame)) -> Self {
        CLASSES.store(0, Relaxed);
        MASKED.store(0, Relaxed);
        FIRST.store(first as *mut (), SeqCst);
        Self(())
    }

    /// Whether a handler of a class (ESR_EL1.EC) was called, and whether it had anything masked.
    pub fn of_class(class: u64) -> (bool, bool) {
        let bit = |set: &AtomicU64| set.load(Relaxed) >> class & 1 != 0;
        (bit(&CLASSES), bit(&MASKED))
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        FIRST.store(ptr::null_mut(), SeqCst);
    }
}

/// The classes of exceptions from EL0 whose handlers open everything.
pub const OPEN: [(u64, &str); 6] = [
    (ec::SVC64, "M2: a system call"),
    (ec::DATA_ABORT_LOWER, "M2: a fault"),
    (ec::BRK64, "M3: a BRK"),
    (ec::STEP_LOWER, "M4: a step"),
    (ec::BREAKPOINT_LOWER, "M4: a breakpoint"),
    (ec::WATCHPOINT_LOWER, "M4: a watchpoint"),
];
