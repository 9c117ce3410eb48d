//! Programs at EL0 that storm, too: their threads trap, hit slots of their own, signal each other, move to other CPUs, fork, exec and exit.
//!
//! The first CPU lets them go at the beginning of a round, and stops them at its end. They count what they do (`text`), and the kernel's
//! counters, the events and the signals must come to the same numbers. When all have stopped, as many pages are free as after the round before.
//!
//! In every second round they are traced meanwhile (`tracers`), and must come to the same numbers nevertheless.

mod parts;
mod text;
mod tracer;
mod tracers;

use super::permits;
use crate::el0::{self, EXECUTES, WRITES, Watch};
use ::slots::{Cpus, Kind};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use harness::storm::{Count, Due, Random, Round, Stream, due};
use kernel::arch::barrier;
use kernel::drivers::timer;
use kernel::mm::pages::{self, Page};
use kernel::sched::{self, Policy, TaskState};
use kernel::task::{self, PerfEvent, Task};
use kernel::{percpu, smp};
use spin::Mutex;
use text::{count, word};
use tracers::Tracers;

/// How nice the programs are: the kernel's half of the storm is to get most of the time.
const NICE: i8 = 5;
/// How many seconds the first CPU waits for the programs: fewer than after which the storm counts as hanging.
const PATIENCE: u64 = 20;

/// A process, which exists for the whole storm.
struct Program {
    task: Arc<Task>,
    shared: Page,
    /// What was counted up to the end of the round before.
    before: [u64; count::ALL],
}

/// A round's events of one process.
struct Watched {
    spot: Arc<PerfEvent>,
    stored: Arc<PerfEvent>,
}

struct Troupe {
    programs: Vec<Program>,
    watched: Vec<Watched>,
    tracers: Tracers,
    /// Whether a hit of the watchpoint sends SIGTRAP in this round.
    signals: bool,
    /// How many pages were free at the end of the first round after which nothing more is done for the first time.
    free: Option<usize>,
    rounds: u64,
    sums: [u64; count::ALL],
}

static TROUPE: Mutex<Troupe> = Mutex::new(Troupe {
    programs: Vec::new(),
    watched: Vec::new(),
    tracers: Tracers::NONE,
    signals: false,
    free: None,
    rounds: 0,
    sums: [0; count::ALL],
});

impl Program {
    fn start(path: &str) -> Result<Self, String> {
        let task = el0::start(path)?;
        sched::set_policy(task.thread(), Policy::Fair(NICE)).map_err(|error| format!("{error:?}"))?;
        let page = || task.space()?.page_for_tracer(text::SHARED, true).ok();
        // The memory is there once the program has mapped it.
        let mut shared = None;
        wait("a program has not begun", || {
            shared = shared.take().or_else(page);
            shared.as_ref().is_some_and(|shared| load(shared, word::READY) != 0)
        })?;
        let shared = shared.ok_or("a program has no memory")?;
        Ok(Self { task, shared, before: [0; count::ALL] })
    }

    fn counts(&self) -> [u64; count::ALL] {
        core::array::from_fn(|n| load(&self.shared, word::COUNTS + 8 * n as u64))
    }

    /// Whether the program waits for a round. What it has done in the one before is over then.
    fn waits(&self) -> bool {
        load(&self.shared, word::READY) & 1 == 1
            && matches!(sched::state(self.task.thread()), Some((TaskState::Blocked, _)))
    }

    fn go(&self, random: &mut Random, other: u64) {
        store(&self.shared, word::SEED, random.long() | 1);
        store(&self.shared, word::CPUS, smp::online_count() as u64);
        store(&self.shared, word::OTHER, other);
        store(&self.shared, word::RUN, 1);
        const FUTEX_WAKE: u64 = 1;
        let _ = task::futex(&self.task, [text::SHARED, FUTEX_WAKE, 1, 0, 0, 0]);
    }

    fn watch(&self, signals: bool) -> Result<Watched, String> {
        let watch = |kind, address, length, signals| {
            Watch { kind, address, length, signals }.open_for_all(&self.task)
        };
        Ok(Watched {
            spot: watch(EXECUTES, text::spot(), 4, false)?,
            stored: watch(WRITES, text::STORED, 8, signals)?,
        })
    }
}

fn load(page: &Page, offset: u64) -> u64 {
    let mut bytes = [0; 8];
    page.read(offset as usize, &mut bytes);
    u64::from_le_bytes(bytes)
}

fn store(page: &Page, offset: u64, value: u64) {
    page.write(offset as usize, &value.to_le_bytes());
}

/// Gives way until `done`.
fn wait(what: &str, mut done: impl FnMut() -> bool) -> Result<(), String> {
    let start = timer::now();
    while !done() {
        if timer::now().wrapping_sub(start) > PATIENCE * timer::frequency() {
            return Err(format!("{what} for {PATIENCE} s"));
        }
        sched::yield_now();
        barrier::relax();
    }
    Ok(())
}

/// The slots that the programs need: the same ones for all of them.
const NEEDED: [Kind; 2] = [Kind::Breakpoint, Kind::Watchpoint];

/// Before a round: sets what the programs watch, and lets them go. The first round starts them. Called by every CPU; the first one does it.
///
/// # Errors
/// If programs cannot be started, or cannot watch although nothing stands in the way.
pub fn begin(round: &Round) -> Result<(), String> {
    if percpu::index() != 0 {
        return Ok(());
    }
    let troupe = &mut *TROUPE.lock();
    if troupe.programs.is_empty() {
        el0::install("stormed", text::text(), text::ROOM)?;
        for _ in 0..smp::online_count().div_ceil(2).max(2) {
            troupe.programs.push(Program::start("/stormed")?);
        }
        troupe.tracers.start()?;
    }
    let mut random = round.random(Stream::Programs);
    troupe.signals = random.one_in(2);
    if !NEEDED.into_iter().all(|kind| permits::take(kind, 1, Cpus::ALL)) {
        return Err("slots that nobody holds cannot be had for programs".into());
    }
    for program in &troupe.programs {
        wait("a program has not waited", || program.waits())?;
        troupe.watched.push(program.watch(troupe.signals)?);
    }
    let pids: Vec<u64> = troupe.programs.iter().map(|program| program.task.process.pid.into()).collect();
    for (n, program) in troupe.programs.iter().enumerate() {
        program.go(&mut random, pids[(n + 1) % pids.len()]);
    }
    // The programs go first: a step of one that waits for the round would last until then.
    if random.one_in(2) { troupe.tracers.go(&mut random, &pids) } else { Ok(()) }
}

/// After a round: stops the programs, and compares what they have counted. Called by every CPU; the first one does it.
///
/// # Errors
/// If counts differ that must be the same, or the programs do not stop.
pub fn settle() -> Result<(), String> {
    if percpu::index() != 0 {
        return Ok(());
    }
    let troupe = &mut *TROUPE.lock();
    // The tracers stop first: a step of a program that waits for the next round would not end.
    troupe.tracers.settle(&troupe.programs)?;
    for program in &troupe.programs {
        store(&program.shared, word::RUN, 0);
    }
    wait("programs have not stopped", || task::running() == 0 && troupe.programs.iter().all(Program::waits))?;
    let mut all = [0; count::ALL];
    let mut hits = [0; 2];
    for (program, watched) in troupe.programs.iter_mut().zip(troupe.watched.drain(..)) {
        let now = program.counts();
        for (sum, (now, before)) in all.iter_mut().zip(now.into_iter().zip(program.before)) {
            *sum += now - before;
        }
        program.before = now;
        for (sum, event) in hits.iter_mut().zip([watched.spot, watched.stored]) {
            *sum += event.read().value;
            event.close();
        }
    }
    NEEDED.into_iter().for_each(|kind| permits::give(kind, 1, Cpus::ALL));
    let signalled = if troupe.signals { all[count::STORES] } else { 0 };
    for (what, seen, expected) in [
        ("hits of breakpoints", hits[0], all[count::SPOTS]),
        ("hits of watchpoints", hits[1], all[count::STORES]),
        ("signals of watchpoints", all[count::HITS], signalled),
        ("signals of BRKs", all[count::TRAPS], all[count::BRKS]),
        ("signals that were given", all[count::GIVEN], all[count::SENT]),
        ("children that have ended", all[count::REAPED], all[count::FORKS]),
        ("threads that have ended", all[count::ENDED], all[count::THREADS]),
        ("errors", all[count::ERRORS], 0),
    ] {
        if seen != expected {
            let failed = troupe
                .programs
                .iter()
                .map(|program| [0, 8, 16].map(|n| load(&program.shared, word::FAILED + n)));
            let failed: Vec<_> = failed.collect();
            return Err(format!(
                "programs: {seen} {what} where {expected} are due; {} errors; the last calls that have failed, their results and X1: {failed:x?}",
                all[count::ERRORS]
            ));
        }
    }
    due(Due::Breakpoints, hits[0]);
    due(Due::Watchpoints, hits[1]);
    due(Due::Programs, all[count::BRKS]);
    for (sum, more) in troupe.sums.iter_mut().zip(all) {
        *sum += more;
    }
    troupe.rounds += 1;
    let free = troupe.free;
    keep_stacks()?;
    wait("", || free.is_none_or(|free| pages::free() >= free))
        .map_err(|_| format!("programs: {} pages are free where {free:?} are due", pages::free()))?;
    // When the number was taken, the stack of a task that had just ended may not yet have been given back.
    troupe.free = free.map(|free| free.max(pages::free()));
    let free = troupe.free;
    // The first mapping of a program brings tables for the part of its address space where mappings go, and they stay.
    let have_tables = troupe.programs.iter().all(|program| program.before[count::MAPPED] > 0);
    if free.is_none() && troupe.rounds >= 2 && have_tables {
        troupe.free = Some(pages::free());
    }
    Ok(())
}

/// Has the kernel keep as many stacks without a thread as it keeps at most: how many it keeps otherwise depends on how many threads have
/// ended since others have begun, and their pages are not free.
fn keep_stacks() -> Result<(), String> {
    const KEPT: usize = 4;
    let threads = {
        // All begin before one of them ends.
        let _off = sched::preempt::Off::new();
        core::array::from_fn::<_, KEPT, _>(|_| sched::spawn(percpu::index(), "stack", Box::new(|| ())))
    };
    for thread in threads {
        thread.map_err(|error| format!("{error:?}"))?.join();
    }
    Ok(())
}

/// How often programs have done each thing.
pub fn sums() -> Vec<Count> {
    let troupe = TROUPE.lock();
    let sums = troupe.sums;
    let mut all: Vec<Count> = [
        ("hits of programs' breakpoints", count::SPOTS),
        ("hits of programs' watchpoints", count::STORES),
        ("of these with a signal", count::HITS),
        ("BRKs of programs", count::BRKS),
        ("signals between programs", count::GIVEN),
        ("forks", count::FORKS),
        ("programs that have gone on as others", count::EXECS),
        ("threads of programs", count::THREADS),
        ("moves of programs' threads", count::MOVES),
        ("mappings of programs", count::MAPPED),
    ]
    .map(|(name, n)| (name, sums[n]))
    .into();
    all.extend(troupe.tracers.sums());
    all
}
