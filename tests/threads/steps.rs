//! Threads and steps: a reschedule never splits a step (M8).

use super::super::rules::{code, signal};
use super::here;
use crate::drivers::timer;
use crate::exception::Frame;
use crate::ktest::Outcome;
use crate::sched;
use crate::{check, check_eq, suite};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

suite!("threads-steps":
    a_reschedule_skipped_over_a_step_comes_right_behind_it,
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
