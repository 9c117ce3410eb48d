//! Runs the tests with a probe on every instruction that can be probed, or on every N-th. The results must be the same as without
//! probes, and every execution must be a hit or a miss.

use super::clean;
use super::run::{self, Choice, Counts};
use super::{Ended, Outcome, Suite, swept};
use crate::sweep::Scenario;
use crate::{check, check_eq};
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use kernel::arch::uaccess;
use kernel::exception::extable;
use kernel::kprobe::{self, Kprobe, ProbeError, Wanted};
use kernel::mm::layout;
use kernel::report::symbols::{self, Shown};
use kernel::sync::SpinLock;
use kernel::{println, time};
use probe::Reason;

/// The probes that were placed, and what was counted at that moment.
struct Placed {
    /// The probes in the order of their addresses.
    probes: Vec<&'static Kprobe>,
    /// The number of tests that had been run.
    tests: u64,
    /// The number of this CPU's ticks.
    ticks: u64,
}

static PLACED: SpinLock<Option<Placed>> = SpinLock::new(None);

/// What cannot be run with a probe on every instruction, and why.
pub struct Unfit {
    /// The tests, each as `suite.test`.
    pub tests: &'static [(&'static str, &'static str)],
    /// The scenarios of the sweep.
    pub scenarios: &'static [(&'static str, &'static str)],
    /// Functions in which a handler moves PC somewhere else than behind a displaced instruction. They are run, but [`in_a_row`] does not
    /// check pairs of instructions there.
    pub departures: &'static [Departure],
}

/// A function's address, and why a handler moves PC there.
pub type Departure = (fn() -> u64, &'static str);

/// Places a probe on every `every`-th instruction, beginning with one that `seed` chooses. Runs the tests whose names contain `filter` and
/// that are not unfit, sweeps the scenarios, and checks the probes' counts. Thread context on the first CPU.
pub fn run(
    suites: &[&Suite],
    scenarios: &'static [&'static [Scenario]],
    filter: &str,
    unfit: &'static Unfit,
    every: u64,
    seed: u64,
) -> Counts {
    swept::prepare(scenarios, unfit.scenarios);
    *UNKNOWN.lock() = unknown(suites, scenarios, unfit);
    *DEPARTURES.lock() = unfit.departures;
    place(every, seed);
    let mut suites = suites.to_vec();
    suites.extend([&swept::SUITE, &SUITE]);
    run::run(&suites, Choice { filter, always: Some(&SUITE), unfit: unfit.tests })
}

static DEPARTURES: SpinLock<&[Departure]> = SpinLock::new(&[]);

/// A name in `unfit` that no test and no scenario has.
static UNKNOWN: SpinLock<Option<&'static str>> = SpinLock::new(None);

fn unknown(suites: &[&Suite], scenarios: &[&[Scenario]], unfit: &Unfit) -> Option<&'static str> {
    let is_test = |name: &str| {
        let mut tests = suites.iter().flat_map(|suite| suite.tests.iter().map(move |test| (suite, test)));
        tests.any(|(suite, test)| name.strip_prefix(suite.name) == Some(&format!(".{}", test.name)))
    };
    let is_scenario =
        |name: &str| scenarios.iter().flat_map(|group| group.iter()).any(|one| one.name == name);
    let tests = unfit.tests.iter().filter(|(name, _)| !is_test(name));
    let scenarios = unfit.scenarios.iter().filter(|(name, _)| !is_scenario(name));
    tests.chain(scenarios).map(|(name, _)| *name).next()
}

/// The number of probes besides those that `place` has placed. Thread context.
pub fn others() -> usize {
    kprobe::count() - PLACED.lock().as_ref().map_or(0, |placed| placed.probes.len())
}

fn place(every: u64, seed: u64) {
    let all = (layout::noprobe_text_end() as u64..layout::text_end() as u64).step_by(4);
    let chosen = all.filter(|at| at / 4 % every == seed % every || references().contains(at));
    let mut refused: Vec<(Reason, usize)> = Vec::new();
    let mut others = 0;
    let (tests, ticks) = (run::RUN.load(Relaxed), time::ticks());
    let probes = kprobe::register_possible(chosen.map(Wanted::at), |_, why| match why {
        ProbeError::Refused(_, reason) => match refused.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => refused.push((reason, 1)),
        },
        _ => others += 1,
    });
    let simulated = probes.iter().filter(|probe| probe.is_simulated()).count();
    println!(
        "probes: {} placed: {simulated} simulated, {} out of line",
        probes.len(),
        probes.len() - simulated
    );
    for (reason, count) in &refused {
        println!("probes: {count} refused: {reason}");
    }
    if others != 0 {
        println!("probes: {others} refused for another reason");
    }
    *PLACED.lock() = Some(Placed { probes, tests, ticks });
}

/// Functions that count their own calls. They have probes whichever instructions are chosen.
fn references() -> [u64; 2] {
    [run::run_one as *const () as u64, time::account as *const () as u64]
}

fn missing() -> Ended {
    Ended::Failed("no probes were placed".into())
}

/// The counts of a probe that was removed.
struct Total {
    address: u64,
    word: u32,
    /// Whether its instruction was displaced, and execution goes on with the next instruction in memory.
    goes_on: bool,
    hits: u64,
    missed: u64,
}

/// The counts of all probes, after they were removed.
struct Taken {
    totals: Vec<Total>,
    /// The tests that were run, and the ticks of this CPU, while the probes were there.
    tests: u64,
    ticks: u64,
}

static TAKEN: SpinLock<Option<Taken>> = SpinLock::new(None);

fn what_is_left_out_exists() -> Outcome {
    check_eq!(*UNKNOWN.lock(), None);
    Ok(())
}

fn every_probe_is_there_and_all_are_taken_away() -> Outcome {
    let placed = PLACED.lock().take().ok_or_else(missing)?;
    let count = placed.probes.len();
    let there = kprobe::count();
    let (tests, ticks) = (run::RUN.load(Relaxed) - placed.tests, time::ticks() - placed.ticks);
    // Memory for the counts is allocated before the probes are removed, since the allocator is probed too.
    let mut totals: Vec<_> = placed.probes.iter().map(|probe| total(probe)).collect();
    for (total, (hits, missed)) in totals.iter_mut().zip(kprobe::remove_all(&placed.probes)) {
        (total.hits, total.missed) = (hits, missed);
    }
    clean::taken_away(count);
    *TAKEN.lock() = Some(Taken { totals, tests, ticks });
    check_eq!((there, kprobe::count(), kprobe::list().count()), (count, 0, 0));
    Ok(())
}

fn total(probe: &Kprobe) -> Total {
    Total { address: probe.address, word: probe.word, goes_on: !probe.is_simulated(), hits: 0, missed: 0 }
}

fn the_text_is_as_it_was() -> Outcome {
    let taken = TAKEN.lock();
    for total in &taken.as_ref().ok_or_else(missing)?.totals {
        check_eq!(uaccess::read_u32(total.address), Ok(total.word), "{}", Shown(total.address));
    }
    Ok(())
}

fn hits_and_misses_add_up() -> Outcome {
    let taken = TAKEN.lock();
    let taken = taken.as_ref().ok_or_else(missing)?;
    let sum = |at: u64| {
        let total = taken.totals.iter().find(|total| total.address == at);
        total.map(|total| total.hits + total.missed)
    };
    let [run_one, account] = references();
    check_eq!(sum(run_one), Some(taken.tests), "hits and misses of run_one");
    // One interrupt can account for several delayed ticks, and other CPUs have ticks of their own.
    let calls = sum(account);
    check!(calls.is_some_and(|calls| calls > 0 || taken.ticks <= 1), "{calls:?} of {} ticks", taken.ticks);
    let (mut hits, mut missed, mut hit) = (0, 0, 0);
    for total in &taken.totals {
        hits += total.hits;
        missed += total.missed;
        hit += usize::from(total.hits != 0);
    }
    println!("probes: {hits} hits of {hit} probes, {missed} missed");
    check!(hits > 0);
    in_a_row(&taken.totals)
}

/// Checks pairs of neighbours. After a displaced instruction the next one is executed, so the next one's probe has counted as often, or
/// more often if something branches there. Excepted are executions that were under way when the probes came or went, and functions
/// whose handlers move PC.
fn in_a_row(totals: &[Total]) -> Outcome {
    let slack = kernel::percpu::MAX_CPUS as u64;
    let (mut pairs, mut short) = (0, 0);
    for pair in totals.windows(2) {
        let [one, next] = pair else { continue };
        let executed = one.hits + one.missed;
        if !one.goes_on || next.address != one.address + 4 || executed == 0 {
            continue;
        }
        pairs += 1;
        if next.hits + next.missed + slack >= executed {
            continue;
        }
        // After a fault that is fixed up, execution goes on elsewhere.
        if extable::fixup(one.address).is_none() && !departs(one.address) {
            println!("probes: {} {executed}, the next one {}", Shown(one.address), next.hits + next.missed);
            short += 1;
        }
    }
    println!("probes: {pairs} pairs in a row that were executed");
    check_eq!(short, 0, "instructions that were executed more often than the probe on the next one counted");
    Ok(())
}

fn departs(at: u64) -> bool {
    let departures = *DEPARTURES.lock();
    symbols::at(at).is_some_and(|symbol| departures.iter().any(|(function, _)| function() == symbol.address))
}

crate::suite!("probes_everywhere":
    what_is_left_out_exists,
    every_probe_is_there_and_all_are_taken_away,
    the_text_is_as_it_was,
    hits_and_misses_add_up,
);
