//! The tests with a probe on every instruction that can be probed, or on every N-th: nothing may come out differently, and
//! every execution is a hit or a miss.

use super::clean;
use super::run::{self, Choice, Counts};
use super::{Ended, Outcome, Suite};
use crate::arch::uaccess;
use crate::kprobe::{self, Kprobe, ProbeError, Wanted};
use crate::mm::layout;
use crate::report::symbols::Shown;
use crate::sync::SpinLock;
use crate::{check, check_eq, println, time};
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use probe::Reason;

/// What was placed.
struct Placed {
    /// In the order of their addresses.
    probes: Vec<&'static Kprobe>,
    /// Tests that had been run.
    tests: u64,
    /// Ticks of this CPU.
    ticks: u64,
}

static PLACED: SpinLock<Option<Placed>> = SpinLock::new(None);

/// Places the probes, runs the tests that contain `filter` and can be run so, and checks the probes. `every`: on each so-many-th
/// instruction, from one on that `seed` chooses. Thread context on the first CPU.
pub fn run(suites: &[&Suite], filter: &str, unfit: &[(&str, &str)], every: u64, seed: u64) -> Counts {
    place(every, seed);
    let mut suites = suites.to_vec();
    suites.push(&SUITE);
    run::run(&suites, Choice { filter, always: Some(&SUITE), unfit })
}

/// Probes that there are besides. Thread context.
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
    let simulated = probes.iter().filter(|probe| probe.how() == "simulated").count();
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

/// Where there are probes whatever is chosen: what counts its own calls.
fn references() -> [u64; 2] {
    [run::run_one as *const () as u64, time::account as *const () as u64]
}

fn missing() -> Ended {
    Ended::Failed("nothing was placed".into())
}

fn every_probe_is_there_and_hits_and_misses_add_up() -> Outcome {
    let placed = PLACED.lock();
    let placed = placed.as_ref().ok_or_else(missing)?;
    check_eq!(kprobe::count(), placed.probes.len());
    check_eq!(kprobe::list().count(), placed.probes.len());
    let total = |at: u64| {
        let probe = placed.probes.iter().find(|probe| probe.address == at);
        probe.map(|probe| probe.hits() + probe.missed())
    };
    let [run_one, account] = references();
    check_eq!(total(run_one), Some(run::RUN.load(Relaxed) - placed.tests), "of what runs a test");
    // Ticks that were held back are accounted for together; other CPUs have theirs.
    let ticks = time::ticks() - placed.ticks;
    check!(total(account).is_some_and(|calls| calls > 0), "{:?} of {ticks} ticks", total(account));
    let (mut hits, mut missed, mut hit) = (0, 0, 0);
    for probe in &placed.probes {
        hits += probe.hits();
        missed += probe.missed();
        hit += usize::from(probe.hits() != 0);
    }
    println!("probes: {hits} hits of {hit} probes, {missed} missed");
    check!(hits > 0);
    Ok(())
}

fn all_are_taken_away_and_the_text_is_as_it_was() -> Outcome {
    let placed = PLACED.lock().take().ok_or_else(missing)?;
    let count = placed.probes.len();
    let words: Vec<_> = placed.probes.iter().map(|probe| (probe.address, probe.word)).collect();
    let counts = kprobe::remove_all(&placed.probes);
    clean::taken_away(count);
    check_eq!(counts.len(), count);
    check_eq!((kprobe::count(), kprobe::list().count()), (0, 0));
    for (at, word) in words {
        check_eq!(uaccess::read_u32(at), Ok(word), "{}", Shown(at));
    }
    Ok(())
}

crate::suite!("probes_everywhere":
    every_probe_is_there_and_hits_and_misses_add_up,
    all_are_taken_away_and_the_text_is_as_it_was,
);
