//! The code in which the scripted gdb session (`scripts/gdb-session.gdb`) stops. When no gdb is connected, this is an ordinary
//! suite.

use ::slots::{Cpus, Privilege, Request};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, suite};
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::debug::stats;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::watcher;

suite!("gdb": everything_at_once);

const CALLS: u64 = 5;
const INTERRUPTS: u64 = 10;

static HITS: AtomicU64 = AtomicU64::new(0);
static PRES: AtomicU64 = AtomicU64::new(0);

/// The function that the test sets a hardware breakpoint on.
#[inline(never)]
fn target(n: u64) -> u64 {
    black_box(n) * 3
}

/// The function that the test sets a probe on.
#[inline(never)]
fn probed(n: u64) -> u64 {
    black_box(n) * 5
}

#[inline(never)]
fn hit(_: &Hit, _: &mut DebugFrame) {
    HITS.fetch_add(1, Relaxed);
}

#[inline(never)]
fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    PRES.fetch_add(1, Relaxed);
    Then::Run
}

#[inline(never)]
fn stepped(_: &mut DebugFrame) -> Wish {
    Wish::Step
}

/// The test steps through this loop, which ends once INTERRUPTS interrupts have been taken in the middle of it.
#[inline(never)]
fn stepped_loop() -> u64 {
    let (begin, mut rounds) = (stats::STASHES.here(), 0);
    while stats::STASHES.here() - begin < INTERRUPTS {
        rounds = black_box(rounds + 1);
    }
    rounds
}

fn everything_at_once() -> Outcome {
    let (hits, pres, steps) = (HITS.load(Relaxed), PRES.load(Relaxed), stats::STEPS.here());
    let request = Request::Breakpoint { address: target as *const () as u64, privilege: Privilege::El1 };
    let slot =
        slots::install(&request, Cpus::ALL, Disposition::Call(watcher!(hit))).map_err(super::failed)?;
    let place = probed as *const () as u64;
    kprobe::register(place, Some(pre), None).map_err(super::failed)?;
    let sum = (0..CALLS).map(|n| target(n) + probed(n)).sum::<u64>();
    let mut rounds = 0;
    let outcome = session::step_with(stepped, || rounds = stepped_loop());
    let counts = kprobe::unregister(place).map_err(super::failed)?;
    slots::remove(slot).map_err(super::failed)?;
    outcome.map_err(super::failed)?;
    check_eq!(sum, (0..CALLS).sum::<u64>() * 8);
    check_eq!(HITS.load(Relaxed) - hits, CALLS);
    check_eq!((PRES.load(Relaxed) - pres, counts), (CALLS, (CALLS, 0)));
    check!(stats::STEPS.here() - steps > rounds);
    Ok(())
}
