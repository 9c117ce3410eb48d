//! Threads start, take turns and end.

use super::here;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, skip, suite};
use kernel::sched::{self, SpawnError};
use kernel::{percpu, smp};

suite!("threads":
    a_thread_runs_and_ends,
    threads_are_preempted_by_the_tick,
    a_thread_runs_on_every_cpu,
    a_cpu_that_is_not_there_is_an_error,
    no_room_is_an_error_and_room_comes_back,
    registers_survive_switches,
    a_thread_can_use_its_whole_stack,
);

fn a_thread_runs_and_ends() -> Outcome {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    RUNS.store(0, Relaxed);
    let handles: Result<Vec<_>, _> = (0..8)
        .map(|_| {
            here("adder", || {
                RUNS.fetch_add(1, Relaxed);
            })
        })
        .collect();
    for handle in handles? {
        handle.join();
    }
    check_eq!(RUNS.load(Relaxed), 8);
    check_eq!(sched::threads(percpu::index()), 0);
    Ok(())
}

/// Two threads never yield. Each sees the count of the other one move, so the tick has switched them.
fn threads_are_preempted_by_the_tick() -> Outcome {
    static COUNTS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    static STOP: AtomicBool = AtomicBool::new(false);
    fn spin(me: usize) {
        let other = &COUNTS[1 - me];
        let mut moves = 0;
        let mut last = other.load(Relaxed);
        while moves < 3 && !STOP.load(Relaxed) {
            COUNTS[me].fetch_add(1, Relaxed);
            let now = other.load(Relaxed);
            if now != last {
                (last, moves) = (now, moves + 1);
            }
        }
        STOP.store(true, Relaxed);
    }
    COUNTS.iter().for_each(|count| count.store(0, Relaxed));
    STOP.store(false, Relaxed);
    let before = sched::reschedules();
    let (a, b) = (here("a", || spin(0))?, here("b", || spin(1))?);
    a.join();
    b.join();
    check!(COUNTS.iter().all(|count| count.load(Relaxed) > 0));
    check!(sched::reschedules() - before >= 6, "{}", sched::reschedules() - before);
    Ok(())
}

fn a_thread_runs_on_every_cpu() -> Outcome {
    static WHERE: AtomicU64 = AtomicU64::new(0);
    WHERE.store(0, Relaxed);
    let body = || {
        WHERE.fetch_or(1 << percpu::index(), Relaxed);
    };
    let handles: Result<Vec<_>, _> =
        smp::online().map(|cpu| sched::spawn(cpu, "where", Box::new(body))).collect();
    for handle in handles.map_err(super::super::failed)? {
        handle.join();
    }
    check_eq!(WHERE.load(Relaxed), smp::online().fold(0, |all, cpu| all | 1 << cpu));
    Ok(())
}

fn a_cpu_that_is_not_there_is_an_error() -> Outcome {
    check_eq!(sched::spawn(99, "nowhere", Box::new(|| ())).err(), Some(SpawnError::NoCpu(99)));
    Ok(())
}

/// Thousands of stacks are mapped and unmapped. With several CPUs each page of them is told to all CPUs, which takes an emulator a
/// millisecond.
fn no_room_is_an_error_and_room_comes_back() -> Outcome {
    if kernel::smp::online_count() > 1 {
        skip!("it takes an emulator long on several CPUs");
    }
    for _ in 0..2 {
        // With interrupts off no thread gets a turn, so no thread ends before all are spawned.
        let off = kernel::irq::off::IrqOff::new();
        let spawn = || sched::spawn(percpu::index(), "crowd", Box::new(|| ()));
        let mut handles = Vec::new();
        let refused = loop {
            match spawn() {
                Ok(handle) => handles.push(handle),
                Err(error) => break error,
            }
        };
        drop(off);
        handles.iter().for_each(sched::Handle::join);
        check_eq!(refused, SpawnError::NoStack);
        check!(handles.len() >= 2000, "only {} threads", handles.len());
    }
    // The stack of the last thread is free once another thread has run.
    here("last", || ())?.join();
    Ok(())
}

/// Two threads hold a pattern in every register that a call preserves, across switches by the tick and by `yield_now`.
fn registers_survive_switches() -> Outcome {
    static WRONG: AtomicU64 = AtomicU64::new(0);
    fn hold(seed: u64) {
        for round in 0..50 {
            let seed = seed + round;
            let sum: u64;
            // SAFETY: all registers that the code changes are declared, and the call preserves x19 and x29.
            unsafe {
                asm!(
                    "mov x20, {seed}", "add x21, {seed}, #1", "add x22, {seed}, #2", "add x23, {seed}, #3",
                    "add x24, {seed}, #4", "add x25, {seed}, #5", "add x26, {seed}, #6", "add x27, {seed}, #7",
                    "add x28, {seed}, #8",
                    "bl {give_way}",
                    "add x20, x20, x21", "add x20, x20, x22", "add x20, x20, x23", "add x20, x20, x24",
                    "add x20, x20, x25", "add x20, x20, x26", "add x20, x20, x27", "add x0, x20, x28",
                    seed = in(reg) seed,
                    lateout("x0") sum,
                    give_way = sym give_way,
                    out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _, out("x25") _,
                    out("x26") _, out("x27") _, out("x28") _,
                    clobber_abi("C"),
                );
            }
            if sum != 9 * seed + 36 {
                WRONG.fetch_add(1, Relaxed);
            }
        }
    }
    extern "C" fn give_way() {
        sched::yield_now();
    }
    WRONG.store(0, Relaxed);
    let (a, b) = (here("a", || hold(1 << 40))?, here("b", || hold(7 << 50))?);
    a.join();
    b.join();
    check_eq!(WRONG.load(Relaxed), 0);
    Ok(())
}

fn a_thread_can_use_its_whole_stack() -> Outcome {
    static SUM: AtomicU64 = AtomicU64::new(0);
    let thread = here("deep", || {
        let room = core::hint::black_box([1u8; 24 * 1024]);
        SUM.store(room.iter().map(|&byte| u64::from(byte)).sum(), Relaxed);
    })?;
    thread.join();
    check_eq!(SUM.load(Relaxed), 24 * 1024);
    Ok(())
}
