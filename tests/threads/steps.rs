//! Threads and steps: a reschedule never splits a step (M8).

use super::super::rules::signal;
use super::here;
use crate::support::NoTick;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq, suite};
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::{Hit, Watcher};
use kernel::debug::stats;
use kernel::exception::{DebugFrame, Frame};
use kernel::sched;
use kernel::watcher;

suite!("threads-steps":
    a_reschedule_skipped_over_a_step_comes_right_behind_it,
    a_reschedule_skipped_over_a_debuggers_steps_comes_behind_the_last_one,
    a_handler_that_is_stepped_may_ask_for_a_reschedule,
);

/// 1 once the other thread has run; in the last test, how often it has run.
static RAN: AtomicU64 = AtomicU64::new(0);
static STARTED: AtomicBool = AtomicBool::new(false);
static SKIPPED: AtomicBool = AtomicBool::new(false);
const STEPS: u64 = 3;

specimen! {
    /// Reads `ran` with each of its first five instructions, and returns the five values, one bit for each.
    fn looks(ran: *const AtomicU64) -> u64 {
        "ldr x1, [x0]",
        "ldr x2, [x0]",
        "ldr x3, [x0]",
        "ldr x4, [x0]",
        "ldr x5, [x0]",
        "orr x0, x1, x2, lsl #1",
        "orr x0, x0, x3, lsl #2",
        "orr x0, x0, x4, lsl #3",
        "orr x0, x0, x5, lsl #4",
        "ret",
    }
}

fn want_reschedule(_: &mut Frame) {
    SKIPPED.store(kernel::debug::this().stash_len.get() == 1, Relaxed);
    sched::want_reschedule();
}

/// Runs [`looks`] with a breakpoint on its first instruction. `handler` is called there, and sends an interrupt whose handler asks
/// for a reschedule. Another thread of this CPU is ready to run, and no tick comes that would switch to it.
fn looks_under(watcher: &'static Watcher) -> Result<u64, Ended> {
    RAN.store(0, Relaxed);
    STARTED.store(false, Relaxed);
    SKIPPED.store(false, Relaxed);
    signal::Signal::Irq.prepare(want_reschedule)?;
    let id = signal::breakpoint(looks as *const () as u64, watcher)?;
    {
        let _off = kernel::irq::off::IrqOff::new();
        kernel::time::pause();
    }
    let other = here("other", || {
        STARTED.store(true, Relaxed);
        sched::yield_now();
        RAN.store(1, Relaxed);
    });
    while other.is_ok() && !STARTED.load(Relaxed) {
        sched::yield_now();
    }
    let seen = looks(&RAN);
    kernel::time::resume();
    other?.join();
    check_eq!(signal::remove(id)?, 1);
    check!(SKIPPED.load(Relaxed), "the interrupt came in the middle of the step");
    Ok(seen)
}

/// The reschedule comes right after the stepped-over instruction, before the next one.
fn a_reschedule_skipped_over_a_step_comes_right_behind_it() -> Outcome {
    fn interrupts(_: &Hit, _: &mut DebugFrame) {
        signal::Signal::Irq.send();
    }
    check_eq!(looks_under(watcher!(interrupts))?, 0b1_1110);
    Ok(())
}

/// No reschedule comes between a debugger's steps. It comes after the last of them.
fn a_reschedule_skipped_over_a_debuggers_steps_comes_behind_the_last_one() -> Outcome {
    static CLIENT: Client = Client { tell: client, data: 0 };

    fn client(_: &Client, _: Stop, _: &mut DebugFrame) -> Resume {
        Resume::Run
    }
    fn interrupts(_: &Hit, frame: &mut DebugFrame) {
        if debugger::step(frame, Plan::Count(STEPS), &CLIENT).is_ok() {
            signal::Signal::Irq.send();
        }
    }
    check_eq!(looks_under(watcher!(interrupts))?, 0b1_1000);
    Ok(())
}

/// Rule I2: a step that an interrupt's handler has begun ends with the handler, and MDSCR_EL1.SS is cleared before D opens for
/// another thread.
fn a_handler_that_is_stepped_may_ask_for_a_reschedule() -> Outcome {
    fn on(_: &mut DebugFrame) -> Wish {
        Wish::Step
    }
    fn handler(_: &mut Frame) {
        let begun = session::step_from_here(on);
        SKIPPED.store(begun.is_ok(), Relaxed);
        STARTED.store(true, Relaxed);
        sched::want_reschedule();
    }
    let spurious = stats::SPURIOUS.sum();
    signal::Signal::Irq.prepare(handler)?;
    // Without a tick nothing else asks for a reschedule.
    let _no_tick = NoTick::new();
    RAN.store(0, Relaxed);
    let other = here("other", || {
        for _ in 0..10 {
            RAN.fetch_add(1, Relaxed);
            sched::yield_now();
        }
    })?;
    for _ in 0..10 {
        SKIPPED.store(false, Relaxed);
        STARTED.store(false, Relaxed);
        signal::Signal::Irq.send();
        while !STARTED.load(Relaxed) {
            kernel::arch::barrier::relax();
        }
        check!(SKIPPED.load(Relaxed), "the handler is stepped");
    }
    let ran = RAN.load(Relaxed);
    other.join();
    check_eq!((stats::SPURIOUS.sum() - spurious, ran, RAN.load(Relaxed)), (0, 10, 10));
    Ok(())
}
