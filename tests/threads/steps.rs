//! Threads and steps: a reschedule never splits a step (M8), and a debugger's step stays with its thread (I5).

use super::super::rules::{code, signal};
use super::here;
use crate::debug::step::{self, Wish};
use crate::drivers::timer;
use crate::exception::Frame;
use crate::ktest::Outcome;
use crate::sched;
use crate::{check, check_eq, suite};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

suite!("threads-steps":
    a_reschedule_skipped_over_a_step_comes_right_behind_it,
    a_debuggers_step_stays_with_its_thread,
);

/// When the other thread ran, and when the step-over's exception was over at the earliest: in counter ticks.
static RAN: AtomicU64 = AtomicU64::new(0);
static SKIPPED: AtomicBool = AtomicBool::new(false);

fn want_reschedule(_: &mut Frame) {
    SKIPPED.store(crate::debug::this().stash_len.get() == 1, Relaxed);
    sched::want_reschedule();
}

/// The other thread's turn comes without waiting for a tick: the tick is off.
fn a_reschedule_skipped_over_a_step_comes_right_behind_it() -> Outcome {
    RAN.store(0, Relaxed);
    SKIPPED.store(false, Relaxed);
    signal::Signal::Irq.prepare(want_reschedule)?;
    signal::arm(signal::Signal::Irq);
    {
        let _off = crate::irq::off::IrqOff::new();
        crate::time::pause();
    }
    let other = here("other", || RAN.store(timer::now(), Relaxed))?;
    // It may have had its turn already, by the interrupt that told of it: then there is nothing to show.
    let early = other.is_done();
    let id = signal::breakpoint_in_line(signal::interrupt)?;
    let result = code::line();
    let behind = timer::now();
    let ran = RAN.load(Relaxed);
    let hits = signal::remove(id)?;
    crate::time::resume();
    other.join();
    check!(SKIPPED.load(Relaxed), "the interrupt came in the middle of the step-over");
    check_eq!((result, hits), (4, 1));
    check!(early || ran != 0 && ran < behind, "ran at {ran}, the line was done at {behind}");
    Ok(())
}

static STEPS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
/// Which of the two threads runs, as it says itself.
static TURN: AtomicU64 = AtomicU64::new(0);

fn count_for_turn(_: &mut Frame) -> Wish {
    STEPS[TURN.load(Relaxed) as usize].fetch_add(1, Relaxed);
    Wish::Step
}

/// One thread is stepped and gives way in the middle; the other one is not stepped meanwhile.
fn a_debuggers_step_stays_with_its_thread() -> Outcome {
    STEPS.iter().for_each(|steps| steps.store(0, Relaxed));
    TURN.store(0, Relaxed);
    let stepped = here("stepped", || {
        let _ = step::step_with(count_for_turn, || {
            sched::yield_now();
            core::hint::black_box(code::line());
        });
    })?;
    let other = here("other", || {
        TURN.store(1, Relaxed);
        core::hint::black_box(code::line());
        TURN.store(0, Relaxed);
    })?;
    stepped.join();
    other.join();
    check!(STEPS[0].load(Relaxed) > 20, "{} steps", STEPS[0].load(Relaxed));
    check_eq!(STEPS[1].load(Relaxed), 0, "steps in the thread that nobody steps");
    Ok(())
}
