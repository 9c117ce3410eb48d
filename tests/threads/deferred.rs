//! Deferred work. It runs after the handler with interrupts on, and a step that was set aside stays on the stash meanwhile.

use super::super::rules::{code, signal, signal::Signal};
use super::without_tick;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, suite};
use kernel::arch::{barrier, daif};
use kernel::debug;
use kernel::exception::Frame;
use kernel::irq::{deferred, sgi};
use kernel::watcher;

suite!("threads-deferred":
    work_runs_with_interrupts_on_after_the_handler,
    an_fiqs_work_runs_with_interrupts_on_after_the_handler,
    a_step_stays_stashed_under_deferred_work,
    a_step_stays_stashed_under_an_fiqs_deferred_work,
    a_full_queue_says_so_and_loses_nothing,
);

static HANDLED: AtomicU64 = AtomicU64::new(0);
static RUNS: AtomicU64 = AtomicU64::new(0);
static MASKS: AtomicU64 = AtomicU64::new(u64::MAX);
static STASH: AtomicU64 = AtomicU64::new(u64::MAX);
static NESTED: AtomicU64 = AtomicU64::new(0);
static ORDER: AtomicBool = AtomicBool::new(false);

fn reset() {
    for word in [&HANDLED, &RUNS, &NESTED] {
        word.store(0, Relaxed);
    }
    MASKS.store(u64::MAX, Relaxed);
    STASH.store(u64::MAX, Relaxed);
    ORDER.store(false, Relaxed);
}

fn queue_work(_: &mut Frame) {
    // The second call is for the interrupt that the work itself raises. It queues nothing.
    if HANDLED.fetch_add(1, Relaxed) == 0 && deferred::defer(work) {
        ORDER.store(RUNS.load(Relaxed) == 0, Relaxed);
    }
}

fn work() {
    RUNS.fetch_add(1, Relaxed);
    MASKS.store(daif::read().bits(), Relaxed);
    STASH.store(debug::this().stash_len.get() as u64, Relaxed);
    let before = HANDLED.load(Relaxed);
    Signal::Irq.send();
    barrier::isb();
    NESTED.store(HANDLED.load(Relaxed) - before, Relaxed);
    // The work itself hits the breakpoint in `code::line`, too. The interrupted context's step-over stays on the stash.
    core::hint::black_box(code::line());
}

fn work_runs_with_interrupts_on_after_the_handler() -> Outcome {
    after_the_handler(Signal::Irq)
}

fn an_fiqs_work_runs_with_interrupts_on_after_the_handler() -> Outcome {
    after_the_handler(Signal::Fiq)
}

/// The tick is stopped, so the work must be done on the way out of this interrupt, and not of a tick.
fn after_the_handler(signal: Signal) -> Outcome {
    reset();
    Signal::Irq.prepare(queue_work)?;
    signal.prepare(queue_work)?;
    without_tick(|| {
        signal.send();
        barrier::isb();
    });
    check_eq!((HANDLED.load(Relaxed), RUNS.load(Relaxed)), (2, 1));
    check!(ORDER.load(Relaxed), "the work waits for the handler's end");
    check_eq!(MASKS.load(Relaxed), 0, "masks of deferred work");
    check_eq!(NESTED.load(Relaxed), 1, "interrupts taken in the work");
    check_eq!(daif::read().bits(), 0);
    Ok(())
}

fn a_step_stays_stashed_under_deferred_work() -> Outcome {
    a_step_stays_stashed(Signal::Irq)
}

fn a_step_stays_stashed_under_an_fiqs_deferred_work() -> Outcome {
    a_step_stays_stashed(Signal::Fiq)
}

fn a_step_stays_stashed(signal: Signal) -> Outcome {
    reset();
    Signal::Irq.prepare(queue_work)?;
    signal.prepare(queue_work)?;
    signal::arm(signal);
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    let result = without_tick(|| code::line());
    let hits = signal::remove(id)?;
    check_eq!(result, 4);
    check_eq!((HANDLED.load(Relaxed), RUNS.load(Relaxed), NESTED.load(Relaxed)), (2, 1, 1));
    check_eq!(STASH.load(Relaxed), 1);
    check_eq!(hits, 2, "one hit in the interrupted context, one in the work");
    Ok(())
}

fn a_full_queue_says_so_and_loses_nothing() -> Outcome {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    static DONE: AtomicU64 = AtomicU64::new(0);
    fn fill(_: &mut Frame) {
        let taken = (0..100)
            .filter(|_| {
                deferred::defer(|| {
                    DONE.fetch_add(1, Relaxed);
                })
            })
            .count();
        TAKEN.store(taken as u64, Relaxed);
    }
    DONE.store(0, Relaxed);
    kernel::irq::set_handler(sgi::TEST, fill);
    Signal::Irq.send();
    barrier::isb();
    check!((1..100).contains(&TAKEN.load(Relaxed)));
    check_eq!(DONE.load(Relaxed), TAKEN.load(Relaxed));
    Ok(())
}
