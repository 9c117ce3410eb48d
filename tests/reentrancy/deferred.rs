//! Deferred work, and the bits that say which work waits for the way out of an interrupt.

use super::at_each::{Subject, try_each};
use crate::rules::signal::Signal;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::barrier;
use kernel::debug;
use kernel::irq::deferred::defer;
use kernel::irq::off::IrqOff;
use kernel::time;

/// Pieces of work that the operation and the handler have deferred: how many were queued, and how many were done.
static OURS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static ITS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
const QUEUED: usize = 0;
const DONE: usize = 1;

fn our_work() {
    OURS[DONE].fetch_add(1, Relaxed);
}

fn its_work() {
    ITS[DONE].fetch_add(1, Relaxed);
}

fn queue_ours() {
    if defer(our_work) {
        OURS[QUEUED].fetch_add(1, Relaxed);
    }
}

fn queue_its() {
    if defer(its_work) {
        ITS[QUEUED].fetch_add(1, Relaxed);
    }
}

/// Takes an interrupt. On the way out of it the waiting work is done.
fn interrupt() {
    Signal::Irq.send();
    barrier::isb();
}

fn reset() {
    let _ = Signal::Irq.prepare(|_| ());
    interrupt();
    OURS.iter().chain(&ITS).for_each(|count| count.store(0, Relaxed));
}

/// Checks that all queued work has been done once, at the latest by the interrupt that this takes.
fn everything_is_done(nested: u64, ours: u64) -> Outcome {
    interrupt();
    let [ours, its] = [(&OURS, ours), (&ITS, nested)]
        .map(|(counts, all)| ((counts[QUEUED].load(Relaxed), counts[DONE].load(Relaxed)), (all, all)));
    check_eq!(ours.0, ours.1, "of the operation's own: queued, done");
    check_eq!(its.0, its.1, "of the handler's: queued, done");
    Ok(())
}

pub fn work_is_deferred_in_the_middle_of_deferring() -> Outcome {
    fn three() {
        let _off = IrqOff::new();
        queue_ours();
        queue_ours();
        queue_ours();
    }
    let subject = Subject {
        outer: three,
        nested: queue_its,
        also: &[],
        prepare: reset,
        check: |nested| everything_is_done(nested, 3),
    };
    try_each(&subject, 20)
}

pub fn work_is_deferred_while_deferred_work_runs() -> Outcome {
    fn two_done() {
        queue_ours();
        queue_ours();
        interrupt();
    }
    let also = &["kernel::irq::deferred::"];
    let check = |nested| everything_is_done(nested, 2);
    try_each(&Subject { outer: two_done, nested: queue_its, also, prepare: reset, check }, 40)
}

pub fn a_queue_that_gets_full_loses_nothing() -> Outcome {
    fn many() {
        {
            let _off = IrqOff::new();
            for _ in 0..31 {
                queue_ours();
            }
        }
        interrupt();
    }
    fn two_more() {
        queue_its();
        queue_its();
    }
    fn check(_: u64) -> Outcome {
        interrupt();
        let counts = [&OURS, &ITS].map(|counts| (counts[QUEUED].load(Relaxed), counts[DONE].load(Relaxed)));
        check!(counts.iter().all(|(queued, done)| queued == done), "queued, done: {counts:?}");
        check!((25..=31).contains(&counts[0].0), "{counts:?}");
        Ok(())
    }
    let also = &["kernel::irq::deferred::"];
    try_each(&Subject { outer: many, nested: two_more, also, prepare: reset, check }, 40)
}

/// Runs `test` without ticks. The tests look at what waits for the way out of an interrupt after the operation, so no interrupt may
/// come in between.
fn without_ticks(test: impl FnOnce() -> Outcome) -> Outcome {
    reset();
    time::pause();
    let outcome = test();
    time::resume();
    outcome
}

fn nothing_wanted() {
    interrupt();
    debug::this().reschedule_done();
}

pub fn a_reschedule_is_wanted_while_deferred_work_begins_and_ends() -> Outcome {
    #[inline(never)]
    fn begin_and_end() {
        let _off = IrqOff::new();
        let cpu = debug::this();
        cpu.want_deferred();
        if cpu.begin_deferred() {
            cpu.end_deferred();
        }
    }
    fn check(nested: u64) -> Outcome {
        check_eq!(debug::this().reschedule_wanted(), nested != 0, "a reschedule is wanted");
        Ok(())
    }
    let nested = || debug::this().want_reschedule();
    let also = &["kernel::debug::pending"];
    let subject = Subject { outer: begin_and_end, nested, also, prepare: nothing_wanted, check };
    without_ticks(|| try_each(&subject, 10))
}

pub fn deferred_work_is_wanted_in_the_middle_of_a_reschedule() -> Outcome {
    #[inline(never)]
    fn reschedule() {
        let _off = IrqOff::new();
        let cpu = debug::this();
        cpu.want_reschedule();
        cpu.reschedule_done();
    }
    fn check(nested: u64) -> Outcome {
        let cpu = debug::this();
        let wanted = cpu.begin_deferred();
        cpu.end_deferred();
        check_eq!(
            (wanted, cpu.reschedule_wanted()),
            (nested != 0, false),
            "whether deferred work waits, whether a reschedule is wanted"
        );
        Ok(())
    }
    let nested = || debug::this().want_deferred();
    let also = &["kernel::debug::pending"];
    let subject = Subject { outer: reschedule, nested, also, prepare: nothing_wanted, check };
    without_ticks(|| try_each(&subject, 6))
}
