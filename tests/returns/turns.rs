//! Calls that do not return in the reverse order of the calls.

use super::calls::{adds_up, compared, compares, remembers};
use super::{Probe, wanted};
use crate::address_of;
use crate::support::{OnDemand, interrupt_me, on_every_cpu};
use crate::threads::here;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{Instance, ReturnProbe, WantedReturn};
use kernel::{sched, smp};

/// An interrupt comes in the middle of a call that a return probe waits for. Its handler calls another function with a return
/// probe, further down the stack.
pub fn a_call_by_an_interrupt_handler_that_interrupts_one() -> Outcome {
    static SUMS: AtomicU64 = AtomicU64::new(0);
    fn handler(_: &mut Frame) {
        SUMS.fetch_add(adds_up(5), Relaxed);
    }
    #[inline(never)]
    extern "C" fn interrupted(n: u64) -> u64 {
        interrupt_me();
        kernel::arch::barrier::isb();
        core::hint::black_box(n) * 11
    }
    fn times_11(_: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
        let n = instance.data(0).load(Relaxed);
        TIMES.fetch_add(u64::from(frame.x[0] == n * 11), Relaxed);
    }
    static TIMES: AtomicU64 = AtomicU64::new(0);
    let _interrupt = OnDemand::new(handler);
    compared();
    SUMS.store(0, Relaxed);
    TIMES.store(0, Relaxed);
    let all = wanted(address_of!(adds_up), compares);
    let inner = Probe::new(&WantedReturn { entry: Some(remembers), ..all })?;
    let outer =
        Probe::new(&WantedReturn { entry: Some(remembers), ..wanted(address_of!(interrupted), times_11) })?;
    for n in 0..50 {
        check_eq!(interrupted(n), n * 11);
    }
    check_eq!((SUMS.load(Relaxed), TIMES.load(Relaxed)), (50 * 15, 50));
    check_eq!(compared(), (50 * 6, 0));
    check_eq!((outer.remove(), inner.remove()), ((50, 0), (300, 0)));
    Ok(())
}

/// All CPUs call the function at once: the counts are exact (X1), and every call gets back its own data.
pub fn on_every_cpu_at_once() -> Outcome {
    const CALLS: u64 = 100;
    fn work() -> Outcome {
        for n in 0..CALLS {
            check_eq!(adds_up(n % 4), [0, 1, 3, 6][n as usize % 4]);
            kernel::arch::barrier::relax();
        }
        Ok(())
    }
    let cpus = smp::online_count() as u64;
    // `adds_up` calls itself, so that four calls of `work`, with 0 to 3, are 1 + 2 + 3 + 4 calls.
    let calls = cpus * CALLS * 10 / 4;
    compared();
    // First there are instances for all calls, then for one call only.
    for instances in [64, 1] {
        let some =
            WantedReturn { entry: Some(remembers), instances, ..wanted(address_of!(adds_up), compares) };
        let probe = Probe::new(&some)?;
        on_every_cpu(work)?;
        let (hits, missed, active) = probe.counts();
        check_eq!((compared(), hits + missed, active), ((hits, 0), calls, 0));
        if instances == 64 {
            check_eq!(missed, 0);
        } else {
            // While one call is handled, the calls inside of it find no instance.
            check!(hits <= cpus * CALLS && hits > 0);
        }
        check_eq!(probe.remove(), (hits, missed));
    }
    Ok(())
}

static ENTERED: AtomicU64 = AtomicU64::new(0);
static RETURNED: AtomicU64 = AtomicU64::new(0);
static RIGHT: AtomicU64 = AtomicU64::new(0);

/// Returns once three threads are in this function and `n` of them have returned. Meanwhile it does not yield, so only the tick
/// switches threads.
#[inline(never)]
extern "C" fn waits(n: u64) -> u64 {
    ENTERED.fetch_add(1, Relaxed);
    while ENTERED.load(Relaxed) < 3 || RETURNED.load(Relaxed) < n {
        // Under icount the time until the tick passes at once.
        kernel::arch::barrier::wfi();
    }
    core::hint::black_box(n) + 100
}

/// Three threads of one CPU are in the same function, because the tick switches them there. The first to call is the first to
/// return, so the calls do not return in the order of a stack.
pub fn threads_return_in_whatever_order() -> Outcome {
    fn handler(_: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
        let n = instance.data(0).load(Relaxed);
        let right = frame.x[0] == n + 100 && instance.data(1).load(Relaxed) == frame.sp;
        RIGHT.fetch_add(u64::from(right && RETURNED.fetch_add(1, Relaxed) == n), Relaxed);
    }
    static RESULTS: AtomicU64 = AtomicU64::new(0);
    for counter in [&ENTERED, &RETURNED, &RIGHT, &RESULTS] {
        counter.store(0, Relaxed);
    }
    let before = sched::reschedules();
    let some = WantedReturn { entry: Some(remembers), ..wanted(address_of!(waits), handler) };
    let probe = Probe::new(&some)?;
    let thread = |n: u64| {
        here("waits", move || {
            RESULTS.fetch_add(waits(n), Relaxed);
        })
    };
    let threads = [thread(0)?, thread(1)?, thread(2)?];
    for thread in threads {
        thread.join();
    }
    check_eq!((RIGHT.load(Relaxed), RESULTS.load(Relaxed)), (3, 303));
    check_eq!(probe.remove(), (3, 0));
    check!(sched::reschedules() - before >= 4);
    Ok(())
}
