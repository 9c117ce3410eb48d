//! Who takes part in the scenarios: programs, and a thread of the kernel that lets programs go and sends signals. All are there for good.
//!
//! The thread of the sweep is less important than they are. So when it runs again, the programs have done all that there was to do.

use super::text::{self, Act, noted, register, word};
use super::tracer;
use crate::el0::{self, DATA, Watch};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Release},
};
use kernel::arch::barrier;
use kernel::drivers::timer;
use kernel::irq::off;
use kernel::mm::pages::Page;
use kernel::sched::{self, CpuSet, Policy, TaskId};
use kernel::task::{self, PerfEvent, Task};
use kernel::{percpu, smp};
use signals::Signal;
use spin::{Mutex, Once};

/// The priorities: the thread that lets the others go, a program that is more important than the others, the tracer, the other two.
const CONDUCTS: u8 = 45;
const URGENT: u8 = 40;
const TRACES: u8 = 35;
const USUAL: u8 = 30;

/// How many turns of its own the sweep's thread waits for a program at most.
const PATIENCE: u32 = 10_000;

/// One of the programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// The one that is interrupted.
    First,
    /// Another one of the same priority.
    Second,
    /// One of a higher priority.
    Urgent,
    /// The tracer of the first one (`tracer`), which is more important than that one, and less than [`Self::Urgent`].
    Tracer,
}

const ALL: [Who; 4] = [Who::First, Who::Second, Who::Urgent, Who::Tracer];

/// What the thread is asked for: to let programs go (a bit for each), and to send SIGUSR1 to the first program.
pub const GO: [u32; 4] = [1, 2, 4, 8];
pub const SIGNAL: u32 = 16;

static ASKED: AtomicU32 = AtomicU32::new(0);
static THREAD: AtomicU64 = AtomicU64::new(0);

/// A program that waits.
pub struct Actor {
    pub task: Arc<Task>,
    /// The pages of the words, and of the registers that the program has stored.
    words: Page,
    saved: Page,
    pattern: Mutex<[u64; register::COUNT]>,
}

static ACTORS: Once<Result<[Actor; 4], String>> = Once::new();

/// The programs and the thread, which the first call starts. Thread context; may sleep.
fn actors() -> Result<&'static [Actor; 4], String> {
    ACTORS.call_once(begin).as_ref().map_err(Clone::clone)
}

/// A program. The scenario's `setup` has been called.
///
/// # Panics
/// If the programs could not be started.
pub fn actor(who: Who) -> &'static Actor {
    match ACTORS.get() {
        Some(Ok(actors)) => &actors[who as usize],
        _ => panic!("no programs"),
    }
}

fn begin() -> Result<[Actor; 4], String> {
    el0::install("swept", text::text(), text::ROOM)?;
    el0::install("tracer", tracer::text(), text::ROOM)?;
    let cpu = percpu::index();
    let thread = sched::create(
        "conductor",
        Box::new(conduct),
        None,
        Policy::Fifo(CONDUCTS),
        CpuSet::of(cpu),
        Some(cpu),
    );
    let thread = thread.map_err(|error| format!("{error:?}"))?;
    THREAD.store(thread.id().to_bits(), Release);
    sched::wake(thread.id());
    Ok([
        Actor::start("/swept", USUAL, 1)?,
        Actor::start("/swept", USUAL, 2)?,
        Actor::start("/swept", URGENT, 3)?,
        Actor::start("/tracer", TRACES, 4)?,
    ])
}

/// What the thread does: lets programs go, and sends signals, when it is asked.
fn conduct() {
    loop {
        sched::prepare_to_sleep();
        let asked = ASKED.swap(0, AcqRel);
        if asked == 0 {
            sched::sleep();
            continue;
        }
        for (who, bit) in ALL.into_iter().zip(GO) {
            if asked & bit != 0 {
                actor(who).go();
            }
        }
        if asked & SIGNAL != 0 {
            signal();
        }
    }
}

/// Asks the thread for something. It runs at once, or when the interrupt's handler that calls this has ended.
pub fn ask(what: u32) {
    ASKED.fetch_or(what, AcqRel);
    sched::wake(TaskId::from_bits(THREAD.load(Acquire)));
}

/// Sends SIGUSR1 to the first program. Thread and interrupt context.
pub fn signal() {
    task::signal_group(actor(Who::First).task.process.pid, Signal::SIGUSR1);
}

impl Actor {
    /// Starts the program on this CPU, and returns when it waits.
    fn start(path: &str, priority: u8, seed: u64) -> Result<Self, String> {
        let task = el0::start(path)?;
        sched::set_policy(task.thread(), Policy::Fifo(priority)).map_err(|error| format!("{error:?}"))?;
        sched::set_affinity(task.thread(), CpuSet::of(percpu::index()))
            .map_err(|error| format!("{error:?}"))?;
        let space = task.space().ok_or("a program has no memory")?;
        let page = |address| space.page_for_tracer(address, true).map_err(|_| "a program has no data");
        let (words, saved) = (page(DATA)?, page(DATA + word::SAVED)?);
        let actor = Self { task, words, saved, pattern: Mutex::new(pattern(seed)) };
        actor.write(word::FIRST_CPU, 1);
        actor.write(word::SECOND_CPU, if smp::online_count() > 1 { 2 } else { 1 });
        Ok(actor)
    }

    /// The program runs on this CPU from now on; on the only CPU, if there is no other one.
    ///
    /// # Errors
    /// Those of the scheduler.
    pub fn moves_to(&self, cpu: usize) -> Result<(), String> {
        let cpu = cpu.min(smp::online_count() - 1);
        sched::set_affinity(self.task.thread(), CpuSet::of(cpu)).map_err(|error| format!("{error:?}"))
    }

    /// Writes to a page of the program's data from its beginning on.
    ///
    /// # Errors
    /// If the program has no such page.
    pub fn fill(&self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let space = self.task.space().ok_or("a program has no memory")?;
        let page = space.page_for_tracer(DATA + offset, true).map_err(|_| "a program has no data")?;
        page.write(0, bytes);
        Ok(())
    }

    /// Writes a word of the program's data.
    pub fn write(&self, offset: u64, value: u64) {
        self.words.write(offset as usize, &value.to_le_bytes());
    }

    /// A word of the program's data.
    pub fn read(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        self.words.read(offset as usize, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// What the program does in the next laps.
    pub fn prepare(&self, act: Act) {
        let mut pattern = self.pattern.lock();
        pattern[16] = act.address();
        // Results of the deeds that are to be as they were before.
        pattern[0] = self.task.process.pid.into();
        pattern[2] = DATA + word::STORED;
        pattern[5] = NOWHERE;
        pattern[8] = GETPID;
        pattern[19] = DATA;
        pattern[register::SP] = DATA + word::SAVED;
        for (n, value) in pattern.iter().enumerate() {
            self.write(word::PATTERN + 8 * n as u64, *value);
        }
    }

    /// Forgets what the program and its handler have noted.
    pub fn forget(&self) {
        self.write(word::RESULT, 0);
        self.words.fill(word::NOTES as usize, 32 * noted::LENGTH as usize);
        self.saved.fill(SAVED_IN_PAGE, word::SAVED_ROOM as usize);
    }

    fn go(&self) {
        self.write(word::GO, 1);
        const FUTEX_WAKE: u64 = 1;
        // Nobody waits if a signal has just ended the wait: then the program finds the word.
        let _ = task::futex(&self.task, [DATA + word::GO, FUTEX_WAKE, 1, 0, 0, 0]);
    }

    /// How many laps the program has done.
    pub fn laps(&self) -> u64 {
        self.read(word::LAPS)
    }

    /// The counter right before and right after the program's deed.
    pub fn span(&self) -> (u64, u64) {
        (self.read(word::BEGIN), self.read(word::END))
    }

    /// What [`Act::Touch`] has read.
    pub fn result(&self) -> u64 {
        self.read(word::RESULT)
    }

    /// What the handler has noted of a signal: how many there were, and of the last one `si_code`, `si_addr` and the interrupted PC.
    pub fn noted(&self, signal: Signal) -> [u64; 4] {
        let note = word::NOTES + u64::from(signal.number()) * noted::LENGTH;
        [noted::COUNT, noted::CODE, noted::ADDRESS, noted::PC].map(|offset| self.read(note + offset))
    }

    /// The number of the first register that has not the pattern's value after the deed; None if all have.
    pub fn changed_register(&self) -> Option<usize> {
        let mut saved = [0; register::COUNT * 8];
        self.saved.read(SAVED_IN_PAGE, &mut saved);
        let pattern = self.pattern.lock();
        saved
            .chunks_exact(8)
            .zip(pattern.iter())
            .position(|(bytes, value)| bytes != value.to_le_bytes().as_slice())
    }
}

const SAVED_IN_PAGE: usize = word::SAVED as usize % 4096;
/// An address where no program has anything.
pub const NOWHERE: u64 = 0x10;
/// The number of getpid.
const GETPID: u64 = 172;

/// Values for all registers. Each program has others.
fn pattern(seed: u64) -> [u64; register::COUNT] {
    let mut all = [0; register::COUNT];
    for (n, word) in all.iter_mut().enumerate() {
        *word = (seed << 32 | (n as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    all[register::NZCV] = (seed | 8) << 28;
    // FPCR.RMode; FPSR's cumulative bits.
    all[register::FPCR] = seed << 22;
    all[register::FPSR] = 0x10 | seed;
    all
}

/// What is watched, and how often that is hit in a lap.
pub type Watched = (fn() -> Watch, u64);

/// What a program does in a scenario, and what must come of it.
#[derive(Clone, Copy)]
pub struct Part {
    /// What the program does in each lap.
    pub act: Act,
    /// What it watches, and how often that is hit in each lap.
    pub watches: &'static [Watched],
    /// The signal that follows, once.
    pub trap: Option<Trap>,
}

/// A signal of a debug exception or a fault.
#[derive(Clone, Copy)]
pub struct Trap {
    pub signal: Signal,
    /// `si_code`.
    pub code: u32,
    /// Whether `si_addr` is right.
    pub at: fn(u64) -> bool,
}

struct Cast {
    who: Who,
    part: Part,
    events: Vec<Arc<PerfEvent>>,
    /// The hits of each event, and the program's laps, before the run.
    before: (Vec<u64>, u64),
}

impl Cast {
    fn hits(&self) -> Vec<u64> {
        self.events.iter().map(|event| event.read().value).collect()
    }
}

/// Who takes part in the scenario.
static CAST: Mutex<Vec<Cast>> = Mutex::new(Vec::new());

/// Sets up a scenario: says to each program what it does, and sets what it watches. The events of the scenario before are closed.
///
/// # Errors
/// If the programs cannot be started, or something cannot be watched.
pub fn set_up(parts: &[(Who, Part)]) -> Result<(), String> {
    actors()?;
    clear();
    for (who, part) in parts.iter().copied() {
        let actor = actor(who);
        actor.moves_to(0)?;
        actor.prepare(part.act);
        let events = part.watches.iter().map(|(watch, _)| watch().open(&actor.task));
        let events = events.collect::<Result<Vec<_>, _>>()?;
        CAST.lock().push(Cast { who, part, events, before: (Vec::new(), 0) });
    }
    Ok(())
}

/// Closes the events of the scenario, and gives back the slots that a tracer has set.
pub fn clear() {
    if let Some(Ok(actors)) = ACTORS.get() {
        let first = &actors[Who::First as usize].task;
        for kind in [hwdebug::Kind::Break, hwdebug::Kind::Watch] {
            // One slot, of zeros. A disabled slot is never refused.
            let _ = first.set_hw_debug(kind, &[0; 24]);
        }
        first.give_back_disabled_slots();
    }
    for one in core::mem::take(&mut *CAST.lock()) {
        one.events.iter().for_each(|event| event.close());
    }
}

/// Before a run.
pub fn before() {
    for who in ALL {
        actor(who).forget();
    }
    for one in &mut *CAST.lock() {
        one.before = (one.hits(), actor(one.who).laps());
    }
}

/// What has come of a program's part.
pub struct Outcome {
    pub who: Who,
    pub part: Part,
    /// The hits of each event since [`before`].
    pub hits: Vec<u64>,
    /// How many laps the program has done.
    pub laps: u64,
}

/// What has come of the scenario, once the program `who` has done so many laps and each other one has done one, or does not come to that.
pub fn outcomes(who: Who, laps: u64) -> Vec<Outcome> {
    let done = |one: &Cast| actor(one.who).laps() - one.before.1;
    // A program on the other CPU may need a while.
    let mut patience = PATIENCE;
    while patience > 0 && CAST.lock().iter().any(|one| done(one) < if one.who == who { laps } else { 1 }) {
        sched::yield_now();
        barrier::relax();
        patience -= 1;
    }
    let outcome = |one: &Cast| Outcome {
        who: one.who,
        part: one.part,
        hits: one.hits().iter().zip(&one.before.0).map(|(after, before)| after - before).collect(),
        laps: done(one),
    };
    CAST.lock().iter().map(outcome).collect()
}

/// Lets programs go, and waits until each has done a lap. Returns how many laps they have done. Thread context.
pub fn lap(programs: &[Who]) -> u64 {
    SPAN[0].store(timer::now(), Release);
    let laps = || programs.iter().map(|who| actor(*who).laps()).sum::<u64>();
    let before = laps();
    ask(programs.iter().map(|who| GO[*who as usize]).sum());
    // A program that is on the other CPU comes back, and its coming back is an interrupt.
    while laps() - before < programs.len() as u64 {
        off::wait_unless(|| laps() - before >= programs.len() as u64);
    }
    SPAN[1].store(timer::now(), Release);
    laps() - before
}

/// The counter at the beginning and at the end of the last [`lap`].
static SPAN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// The counter at the beginning and at the end of the last [`lap`]: with the calls in which programs wait, and the switches to and from them.
pub fn whole_lap() -> (u64, u64) {
    (SPAN[0].load(Acquire), SPAN[1].load(Acquire))
}
