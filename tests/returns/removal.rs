//! A return probe is removed while calls are under way (rule K4).

use super::room::all;
use super::{Probe, wanted};
use crate::failed;
use crate::support::{all_idle, on_other_cpus};
use crate::threads::here;
use crate::{address_of, needs_several_cpus};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::barrier::relax;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Instance, ProbeError, ReturnProbe, WantedReturn};
use kernel::sched;

static STAY: AtomicBool = AtomicBool::new(false);
static INSIDE: AtomicU64 = AtomicU64::new(0);
static RETURNS: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
extern "C" fn stays(n: u64) -> u64 {
    INSIDE.fetch_add(1, Relaxed);
    while STAY.load(Relaxed) {
        sched::yield_now();
        relax();
    }
    core::hint::black_box(n) + 1000
}

fn counts(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
    RETURNS.fetch_add(1, Relaxed);
}

/// After the removal of the probe, calls under way still return to their callers, but no handler is called. Their instances are
/// free only when they have returned.
pub fn calls_under_way_outlive_their_probe() -> Outcome {
    static RESULTS: AtomicU64 = AtomicU64::new(0);
    for counter in [&INSIDE, &RETURNS, &RESULTS] {
        counter.store(0, Relaxed);
    }
    STAY.store(true, Relaxed);
    let probe = Probe::new(&WantedReturn { instances: 17, ..wanted(address_of!(stays), counts) })?;
    let thread = |n: u64| {
        here("stays", move || {
            RESULTS.fetch_add(stays(n), Relaxed);
        })
    };
    let threads = [thread(1)?, thread(10)?, thread(100)?];
    while INSIDE.load(Relaxed) < 3 {
        sched::yield_now();
        relax();
    }
    let counted = probe.counts();
    let removed = probe.remove();
    let meanwhile = all(64)?.len();
    // A second probe on the same function gets other instances.
    let again = Probe::new(&wanted(address_of!(stays), counts));
    STAY.store(false, Relaxed);
    for thread in threads {
        thread.join();
    }
    check_eq!((counted, removed), ((3, 0, 3), (3, 0)));
    check_eq!(meanwhile, 15, "the block with the three calls is not given to others");
    check_eq!((RESULTS.load(Relaxed), RETURNS.load(Relaxed)), (3111, 0));
    let again = again?;
    check_eq!((stays(5), RETURNS.load(Relaxed)), (1005, 1));
    check_eq!(again.remove(), (1, 0));
    check_eq!(all(64)?.len(), 16, "the block is given to others when the calls have returned");
    Ok(())
}

specimen! {
    fn busy(n: u64) -> u64 {
        "add x0, x0, #3", "mov x1, #20", "1: sub x1, x1, #1", "cbnz x1, 1b", "add x0, x0, #10", "ret"
    }
}

static STOP: AtomicBool = AtomicBool::new(false);
static WRONG: AtomicU64 = AtomicU64::new(0);
static PRESENT: AtomicBool = AtomicBool::new(false);
static LATE: AtomicU64 = AtomicU64::new(0);

fn hammer() {
    let mut n = 0;
    while !STOP.load(Relaxed) {
        WRONG.fetch_add(u64::from(busy(n) != n + 13), Relaxed);
        n += 1;
        if n % 64 == 0 {
            relax();
        }
    }
}

fn never_late(probe: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
    LATE.fetch_add(u64::from(!PRESENT.load(Relaxed)), Relaxed);
    counts(probe, instance, frame);
}

pub fn return_probes_come_and_go_while_other_cpus_call() -> Outcome {
    needs_several_cpus!();
    for counter in [&RETURNS, &WRONG, &LATE] {
        counter.store(0, Relaxed);
    }
    STOP.store(false, Relaxed);
    on_other_cpus(hammer);
    let (mut hits, mut result) = (0, Ok(()));
    for _ in 0..8 {
        PRESENT.store(true, Relaxed);
        let begin = RETURNS.load(Relaxed);
        match Probe::new(&wanted(address_of!(busy), never_late)) {
            Ok(probe) => {
                while RETURNS.load(Relaxed) < begin + 10 {
                    relax();
                }
                hits += probe.remove().0;
            }
            Err(error) => result = Err(error),
        }
        PRESENT.store(false, Relaxed);
    }
    STOP.store(true, Relaxed);
    all_idle();
    result?;
    check_eq!((WRONG.load(Relaxed), LATE.load(Relaxed)), (0, 0));
    // A call that is under way at a removal is counted as a hit, but its handler is not called. That is one call of each other CPU
    // at most.
    let returns = RETURNS.load(Relaxed);
    let most = 8 * (kernel::smp::online_count() as u64 - 1);
    check!(returns <= hits && hits <= returns + most, "{returns} handled of {hits}");
    check_eq!(all(64)?.len(), 16);
    Ok(())
}

/// `unregister` removes only probes that were placed with `register`, no return probes.
pub fn unregister_leaves_them_alone() -> Outcome {
    let entry = address_of!(busy);
    RETURNS.store(0, Relaxed);
    let ordinary = kprobe::register(entry, None, None).map_err(failed)?;
    let probe = Probe::new(&wanted(entry, counts))?;
    check_eq!(busy(1), 14);
    check_eq!(ordinary.hits(), 1);
    check_eq!(kprobe::unregister(entry), Ok((1, 0)));
    check_eq!(kprobe::unregister(entry), Err(ProbeError::Absent(entry)));
    check_eq!((busy(1), RETURNS.load(Relaxed)), (14, 2));
    check_eq!(probe.remove(), (2, 0));
    Ok(())
}
