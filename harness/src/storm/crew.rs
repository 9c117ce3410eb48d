//! The CPUs of a storm: what each does in a round, the points where all wait for each other, and the background threads.

use super::ledger::Ledger;
use super::place::{self, MEETING, PLACES, Place, storm};
use super::verdict::{self, Failure};
use super::{Act, Count, Due, Random, Round, Storm, Stream, fail, failed, interrupts, quiet};
use alloc::boxed::Box;
use alloc::string::String;
use core::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use kernel::arch::mdscr;
use kernel::debug::stats;
use kernel::irq::off;
use kernel::percpu;
use kernel::{idle, println, sched, smp};
use log::LevelFilter;

/// How many actions a CPU begins in a round.
const ACTIONS: u32 = 48;
/// How many lines of progress a storm prints.
const PROGRESS: u64 = 20;
/// In a storm with at least this many exceptions, everything that can happen must have happened.
const LONG: u64 = 500_000;

static SEED: AtomicU64 = AtomicU64::new(0);
static LENGTH: AtomicU64 = AtomicU64::new(0);
static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static OVER: AtomicBool = AtomicBool::new(false);

/// Whether `turn`, a number from a plan, chooses this CPU among the online CPUs.
pub fn in_place(turn: u32) -> bool {
    let mut cpus = smp::online();
    cpus.nth(turn as usize % smp::online_count()) == Some(percpu::index())
}

/// Storms with choices from `seed` until there were `exceptions` debug exceptions. Returns whether all counts were exact. Thread context of
/// the first CPU.
pub fn run(storm: &'static Storm, seed: u64, exceptions: u64) -> bool {
    place::begin(storm);
    SEED.store(seed, Relaxed);
    LENGTH.store(exceptions, Relaxed);
    println!("storm: seed={seed} exceptions={exceptions} cpus={}", smp::online_count());
    let level = log::max_level();
    // A storm raises WARNs again and again, which would fill the console.
    log::set_max_level(LevelFilter::Error);
    verdict::begin(&Round { seed, number: 0 }, exceptions);
    interrupts::take_over();
    idle::on_all(take_part);
    verdict::end();
    log::set_max_level(level);
    if let Some(why) = verdict::why() {
        println!("{}", Failure(why));
    }
    !failed()
}

/// A CPU's part of the whole storm.
fn take_part() {
    let (place, first) = (PLACES.this(), percpu::index() == 0);
    let (seed, length, standing) = (SEED.load(Relaxed), LENGTH.load(Relaxed), mdscr::read());
    let background = sched::spawn(percpu::index(), "storm", Box::new(background));
    if let Err(error) = &background {
        fail(format_args!("no background thread: {error}"));
    }
    let start = Ledger::now();
    let mut shown = 0;
    for number in 0.. {
        let round = Round { seed, number };
        place.round.store(number, Relaxed);
        if first {
            verdict::begin(&round, length);
        }
        let before = Ledger::now();
        meet();
        storm_once(place, &round);
        meet();
        if let Some(what) = quiet::unquiet(standing) {
            fail(format_args!("cpu{} is not quiet: {what}", percpu::index()));
        }
        meet();
        if first {
            let done = !failed() && add_up(&before.since(), &start.since(), number, &mut shown);
            // The first CPU decides for all: if CPUs disagreed, some would wait for the others for ever.
            OVER.store(done || failed(), Relaxed);
        }
        meet();
        if OVER.load(Relaxed) {
            break;
        }
    }
    if let Ok(thread) = background {
        thread.join();
    }
}

/// Compares a round's counts, on the first CPU. Returns whether the storm has had enough exceptions.
fn add_up(here: &Ledger, all: &Ledger, number: u64, shown: &mut u64) -> bool {
    let sums = match (storm().sums)() {
        Ok(sums) => sums,
        Err(why) => {
            fail(format_args!("{why}"));
            return false;
        }
    };
    if let Some(what) = here.difference() {
        fail(format_args!("{what}"));
        return false;
    }
    let (length, done) = (LENGTH.load(Relaxed), all.exceptions());
    let part = done * PROGRESS / length;
    if part != *shown {
        *shown = part;
        println!("storm: {done} of {length} exceptions, round {number}");
    }
    if done >= length {
        summary(all, number + 1, &sums);
    }
    done >= length
}

fn storm_once(place: &Place, round: &Round) {
    let storm = storm();
    interrupts::seed(round);
    told((storm.prepare)(round));
    meet();
    let mut random = round.random(Stream::Thread(percpu::index()));
    let weights: u32 = storm.actions.iter().map(|action| action.weight).sum();
    place.open.store(true, Release);
    for _ in 0..ACTIONS {
        if failed() {
            break;
        }
        let mut chosen = random.below(weights);
        let index = storm.actions.iter().position(|action| {
            let found = chosen < action.weight;
            chosen = chosen.saturating_sub(action.weight);
            found
        });
        let index = index.unwrap_or(0);
        place.doing.store(index, Relaxed);
        place.begun.fetch_add(1, Relaxed);
        match storm.actions[index].act {
            Act::Does(act) => act(&mut random),
            Act::Tries(act) => told(act(&mut random)),
        }
    }
    place.open.store(false, Release);
    while place.busy.load(Acquire) {
        sched::yield_now();
    }
    meet();
    if !failed() {
        told((storm.settle)(round));
    }
}

fn told(result: Result<(), String>) {
    if let Err(why) = result {
        fail(format_args!("cpu{}: {why}", percpu::index()));
    }
}

/// Waits until every CPU has called this.
fn meet() {
    let cpus = smp::online_count();
    PLACES.this().doing.store(MEETING, Relaxed);
    PLACES.this().begun.fetch_add(1, Relaxed);
    let before = ARRIVED.fetch_add(1, AcqRel);
    let goal = (before / cpus + 1) * cpus;
    if before + 1 == goal {
        // The other CPUs sleep: the interrupt wakes them.
        smp::kick_slots();
    }
    while ARRIVED.load(Acquire) < goal {
        // The tick ends the wait at the latest. The CPU sleeps and does not spin: an emulator's host has fewer CPUs than the
        // machine, and they are for the CPUs that work.
        off::wait();
    }
}

/// A CPU's background thread. The tick switches between it and the thread that storms.
fn background() {
    let (place, cpu) = (PLACES.this(), percpu::index());
    let mut round = u64::MAX;
    let mut random = None;
    while !OVER.load(Relaxed) {
        place.busy.store(true, Relaxed);
        if place.open.load(Acquire) {
            let number = place.round.load(Relaxed);
            let mut numbers: Random = match random {
                Some(numbers) if number == round => numbers,
                _ => Round { seed: SEED.load(Relaxed), number }.random(Stream::Background(cpu)),
            };
            round = number;
            (storm().background)(&mut numbers);
            random = Some(numbers);
        }
        place.busy.store(false, Release);
        if place.open.load(Acquire) {
            sched::yield_now();
        } else {
            off::wait();
        }
    }
}

/// Prints the results of a storm. A long storm in which something has never happened fails here.
fn summary(all: &Ledger, rounds: u64, sums: &[Count]) {
    println!("storm: exceptions={} rounds={rounds}", all.exceptions());
    let counted = stats::ALL.iter().map(|&(name, counter)| (name, all.counted(counter)));
    let brks = [
        ("BRKs of probes and the debugger", all.due(Due::Brks)),
        ("switches of threads", sched::reschedules()),
    ];
    for (name, count) in counted.clone().chain(brks).chain(sums.iter().copied()) {
        println!("storm: {count:>12} {name}");
    }
    // A long storm may end with these counters at 0. UNATTENDED and LEFT_BEHIND must: no slot of the
    // storm stops in a debugger, and no step of the kernel's own code is pending where a program is returned to.
    let optional =
        [stats::SPURIOUS, stats::CANCELLED, stats::FREE_RUNS, stats::UNATTENDED, stats::LEFT_BEHIND]
            .map(|counter| stats::ALL[counter.index()].0);
    let mut must =
        counted.filter(|(name, _)| !optional.contains(name)).chain(brks).chain(sums.iter().copied());
    if all.exceptions() >= LONG
        && let Some((name, _)) = must.find(|&(_, count)| count == 0)
    {
        fail(format_args!("this never happened: {name}"));
    }
}
