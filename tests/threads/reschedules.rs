//! Reschedules that an interrupt's handler asks for. They happen on the way out of the interrupt, or, if a step forbids that, right
//! after the step (M8). The tick is stopped in each of these tests, so that it cannot make up for a reschedule that is missing.

use super::super::rules::{code, signal, signal::Signal};
use super::{here, without_tick};
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use harness::ktest::Outcome;
use harness::{check_eq, suite};
use kernel::arch::barrier;
use kernel::sched;
use kernel::watcher;

suite!("threads-reschedules":
    an_irq_switches_threads_on_its_way_out,
    an_fiq_switches_threads_on_its_way_out,
    a_reschedule_wanted_by_an_irq_in_a_step_comes_behind_the_step,
    a_reschedule_wanted_by_an_fiq_in_a_step_comes_behind_the_step,
);

static TURNS: AtomicU64 = AtomicU64::new(0);
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether the interrupt's handler has been called.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Runs `work`, which sends an interrupt whose handler asks for a reschedule. Returns how many turns another thread of this CPU has
/// during `work`.
fn turns_during(signal: Signal, work: impl FnOnce()) -> Result<u64, harness::ktest::Ended> {
    signal.prepare(|_| {
        sched::want_reschedule();
        TAKEN.store(true, Relaxed);
    })?;
    TAKEN.store(false, Relaxed);
    STOP.store(false, Relaxed);
    let other = here("other", || {
        while !STOP.load(Acquire) {
            TURNS.fetch_add(1, Relaxed);
            sched::yield_now();
        }
    })?;
    let turns = without_tick(|| {
        // The last tick may have switched away from the other thread between its count and its yield. After this turn the other
        // thread is inside of `yield_now`, so each further turn counts one.
        sched::yield_now();
        let before = TURNS.load(Relaxed);
        work();
        // An interrupt that a CPU sends to itself comes soon, but not at once.
        while !TAKEN.load(Relaxed) {
            barrier::relax();
        }
        TURNS.load(Relaxed) - before
    });
    STOP.store(true, Release);
    other.join();
    Ok(turns)
}

fn on_the_way_out(signal: Signal) -> Outcome {
    let turns = turns_during(signal, || {
        signal.send();
        barrier::isb();
    })?;
    check_eq!(turns, 1, "turns of the other thread");
    Ok(())
}

fn an_irq_switches_threads_on_its_way_out() -> Outcome {
    on_the_way_out(Signal::Irq)
}

fn an_fiq_switches_threads_on_its_way_out() -> Outcome {
    on_the_way_out(Signal::Fiq)
}

/// The interrupt comes in the middle of a step-over. The stash holds the step-over then, and forbids the reschedule.
fn behind_the_step(signal: Signal) -> Outcome {
    signal::arm(signal);
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    let mut result = 0;
    let turns = turns_during(signal, || {
        result = code::line();
        barrier::isb();
    });
    let hits = signal::remove(id)?;
    check_eq!((result, hits, turns?), (4, 1, 1), "result, hits, turns of the other thread");
    Ok(())
}

fn a_reschedule_wanted_by_an_irq_in_a_step_comes_behind_the_step() -> Outcome {
    behind_the_step(Signal::Irq)
}

fn a_reschedule_wanted_by_an_fiq_in_a_step_comes_behind_the_step() -> Outcome {
    behind_the_step(Signal::Fiq)
}
