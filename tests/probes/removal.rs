//! Registration and removal while other CPUs run through the place (rules K3, K4).

use crate::failed;
use crate::support::{all_idle, on_other_cpus};
use crate::{address_of, needs_several_cpus};
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::barrier::relax;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::percpu;

specimen! {
    /// Its first word is none of those that may be exchanged while another CPU executes them (K3).
    fn ordinary(n: u64) -> u64 {
        "add x0, x0, #3", "add x0, x0, #4", "ret"
    }

    /// Its first word is a B, which may be exchanged while another CPU executes it (K3).
    fn branch(n: u64) -> u64 {
        "b 1f", "add x0, x0, #100", "1: add x0, x0, #7", "ret"
    }
}

static STOP: AtomicBool = AtomicBool::new(false);
/// True from before the registration of the probe until after its removal.
static PRESENT: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);
/// How often a handler was called while [`PRESENT`] was false.
static LATE: AtomicU64 = AtomicU64::new(0);
/// How often the probe was hit on this CPU, and on the others.
static MINE: AtomicU64 = AtomicU64::new(0);
static ELSEWHERE: AtomicU64 = AtomicU64::new(0);
static POSTS: AtomicU64 = AtomicU64::new(0);

fn hammer(function: extern "C" fn(u64) -> u64) {
    let mut calls = 0;
    while !STOP.load(Relaxed) {
        WRONG.fetch_add(u64::from(function(calls) != calls + 7), Relaxed);
        calls += 1;
        if calls % 64 == 0 {
            // Under icount the CPUs take turns. While one CPU never yields, QEMU hardly gives a turn to the next CPU.
            relax();
        }
    }
    CALLS.fetch_add(calls, Relaxed);
}

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    LATE.fetch_add(u64::from(!PRESENT.load(SeqCst)), Relaxed);
    if percpu::index() == 0 { &MINE } else { &ELSEWHERE }.fetch_add(1, Relaxed);
    Then::Run
}

fn post(_: &Kprobe, _: &mut DebugFrame) {
    LATE.fetch_add(u64::from(!PRESENT.load(SeqCst)), Relaxed);
    POSTS.fetch_add(1, Relaxed);
}

fn comes_and_goes(function: extern "C" fn(u64) -> u64, work: fn(), times: u64) -> Outcome {
    for counter in [&CALLS, &WRONG, &LATE, &MINE, &ELSEWHERE, &POSTS] {
        counter.store(0, Relaxed);
    }
    STOP.store(false, Relaxed);
    let address = address_of!(function);
    on_other_cpus(work);
    let (mut hits, mut missed, mut unlike) = (0, 0, 0);
    let mut result = Ok(());
    for n in 0..times {
        PRESENT.store(true, SeqCst);
        if let Err(error) = kprobe::register(address, Some(pre), Some(post)) {
            result = Err(failed(error));
            break;
        }
        unlike += u64::from(function(n) != n + 7) + u64::from(function(n) != n + 7);
        // Waits until another CPU has hit the probe.
        let hit = ELSEWHERE.load(Relaxed);
        while ELSEWHERE.load(Relaxed) == hit {
            relax();
        }
        match kprobe::unregister(address) {
            Ok(counts) => (hits, missed) = (hits + counts.0, missed + counts.1),
            Err(error) => result = Err(failed(error)),
        }
        PRESENT.store(false, SeqCst);
        unlike += u64::from(function(n) != n + 7);
    }
    STOP.store(true, Relaxed);
    all_idle();
    result?;
    check_eq!((WRONG.load(Relaxed), unlike), (0, 0), "results");
    check_eq!(LATE.load(Relaxed), 0, "a removed probe never runs again");
    check_eq!(MINE.load(Relaxed), 2 * times, "this CPU's calls with the probe there");
    let elsewhere = ELSEWHERE.load(Relaxed);
    check_eq!((hits, missed), (2 * times + elsewhere, 0));
    check_eq!(POSTS.load(Relaxed), hits);
    check!(elsewhere <= CALLS.load(Relaxed));
    check!(elsewhere >= times, "{elsewhere} of {} calls hit", CALLS.load(Relaxed));
    Ok(())
}

pub fn probes_come_and_go_while_other_cpus_run_through() -> Outcome {
    needs_several_cpus!();
    comes_and_goes(ordinary, || hammer(ordinary), 6)
}

pub fn a_probe_on_a_branch_comes_and_goes_while_other_cpus_run_through() -> Outcome {
    needs_several_cpus!();
    comes_and_goes(branch, || hammer(branch), 6)
}
