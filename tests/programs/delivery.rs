//! The case that all this is about: a program's debug exception is delivered under a lock that a less important thread holds. The delivery
//! has to sleep, and to lend that thread its priority (M3, M4, T8).

use super::program::{Act, BRKPT, EXECUTES, PERF, Program, TRACE, WRITES, word};
use super::text::{self, data};
use crate::failed;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use harness::ktest::{Ended, Outcome};
use harness::{check_eq, suite};
use kernel::arch::barrier;
use kernel::clock;
use kernel::percpu;
use kernel::sched::{self, CpuSet, Policy};
use rules::step::Owners;

suite!("programs-delivery":
    m3_the_signal_of_a_brk_waits_for_the_lock_of_delivery,
    m4_the_signal_of_a_step_waits_for_the_lock_of_delivery,
    m4_the_signal_of_a_breakpoint_waits_for_the_lock_of_delivery,
    m4_the_signal_of_a_watchpoint_waits_for_the_lock_of_delivery,
);

/// What the holder of the lock has seen.
static WAITED: AtomicU64 = AtomicU64::new(0);
static TOLD_EARLY: AtomicU64 = AtomicU64::new(0);

/// Lets the program go on while a thread of lower priority on the same CPU holds the lock of its process's delivery. The program traps
/// at once, and has to wait until the lock is free; meanwhile the other thread runs on.
fn delivered_under_the_lock(
    act: Act,
    code: u8,
    prepare: impl FnOnce(&Program) -> Outcome,
) -> Result<Program, Ended> {
    let program = Program::start(act, 30)?;
    prepare(&program)?;
    WAITED.store(0, SeqCst);
    TOLD_EARLY.store(0, SeqCst);
    let other = Program { task: program.task.clone() };
    let holder = move || {
        let held = other.task.process.delivery.lock();
        // The program is more important: it runs, and traps. The interrupt (SGI) by which it gets this CPU may be taken a few instructions
        // later than it was sent.
        other.go();
        let me = sched::current_thread().map(|thread| thread.id());
        let waits = || me.and_then(sched::contended_lock).is_some();
        let start = clock::nanoseconds();
        while !waits() && clock::nanoseconds() - start < 1_000_000_000 {
            barrier::relax();
        }
        WAITED.store(waits().into(), SeqCst);
        TOLD_EARLY.store(other.read(word::SIGNALS), SeqCst);
        drop(held);
    };
    let cpu = percpu::index();
    let low = sched::create("holder", Box::new(holder), None, Policy::Fifo(10), CpuSet::of(cpu), Some(cpu));
    sched::wake(low.map_err(failed)?.id());
    check_eq!(program.signals()?, (1, code), "signals, and the last one's code");
    check_eq!(WAITED.load(SeqCst), 1, "the delivery waited for the lock, and its holder ran on");
    check_eq!(TOLD_EARLY.load(SeqCst), 0, "signals before the lock was free");
    Ok(program)
}

fn m3_the_signal_of_a_brk_waits_for_the_lock_of_delivery() -> Outcome {
    delivered_under_the_lock(Act::Brk, BRKPT, |_| Ok(())).map(|_| ())
}

fn m4_the_signal_of_a_step_waits_for_the_lock_of_delivery() -> Outcome {
    delivered_under_the_lock(Act::Spot, TRACE, |program| {
        program.task.debug.request_step(Owners::TRACER);
        Ok(())
    })
    .map(|_| ())
}

fn m4_the_signal_of_a_breakpoint_waits_for_the_lock_of_delivery() -> Outcome {
    let mut event = None;
    delivered_under_the_lock(Act::Spot, PERF, |program| {
        event = Some(program.event(EXECUTES, text::spot(), 4, true)?);
        Ok(())
    })?;
    check_eq!(event.map(|event| event.read().value), Some(1), "hits");
    Ok(())
}

fn m4_the_signal_of_a_watchpoint_waits_for_the_lock_of_delivery() -> Outcome {
    let mut event = None;
    delivered_under_the_lock(Act::Spot, PERF, |program| {
        event = Some(program.event(WRITES, data(word::STORED), 4, true)?);
        Ok(())
    })?;
    check_eq!(event.map(|event| event.read().value), Some(1), "hits");
    Ok(())
}
