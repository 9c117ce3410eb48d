//! The hardest item: a breakpoint and a probe on the same function (K6). The probe's pre-handler calls another function, which is probed
//! too (K5, M14). All of this happens on every CPU at the same time.

use super::{Finding, Outcome, crowd};
use ::slots::{Cpus, Privilege, Request};
use alloc::format;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::debug::slots::{self, Disposition};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};

/// How many calls each CPU makes.
const CALLS: u64 = 1000;

static OUTER: AtomicU64 = AtomicU64::new(0);
static INNER: AtomicU64 = AtomicU64::new(0);

pub fn show() -> Outcome {
    OUTER.store(0, Relaxed);
    INNER.store(0, Relaxed);
    let (address, called) = (outer as *const () as u64, inner as *const () as u64);
    let request = Request::Breakpoint { address, privilege: Privilege::El1 };
    kprobe::register(called, Some(nothing), None)?;
    kprobe::register(address, Some(calls_inner), None)?;
    let id = slots::install(&request, Cpus::ALL, Disposition::Count)?;
    let cpus = crowd::run(work);
    let breakpoint = slots::hits(id).unwrap_or(0);
    slots::remove(id)?;
    let (probe, missed) = kprobe::unregister(address)?;
    let (nested, nested_missed) = kprobe::unregister(called)?;
    let [outer, inner] = [&OUTER, &INNER].map(|counter| counter.load(Relaxed));
    let missed = missed + nested_missed;
    Ok(Finding {
        counts: format!(
            "outer(): {outer} calls, {breakpoint} breakpoint hits, {probe} probe hits; inner(), from the probe: {inner} calls, {nested} hits; {missed} missed"
        ),
        agree: outer == CALLS * cpus as u64
            && [breakpoint, probe, inner, nested] == [outer; 4]
            && missed == 0,
    })
}

#[inline(never)]
fn outer(n: u64) -> u64 {
    black_box(n).rotate_left(1)
}

#[inline(never)]
fn inner(n: u64) -> u64 {
    black_box(n) ^ 1
}

fn calls_inner(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    let n = frame.x[0];
    INNER.fetch_add(u64::from(inner(n) == n ^ 1), Relaxed);
    Then::Run
}

fn nothing(_: &Kprobe, _: &mut DebugFrame) -> Then {
    Then::Run
}

fn work() {
    crowd::line_up();
    let right = (0..CALLS).filter(|&n| outer(n) == n.rotate_left(1)).count();
    OUTER.fetch_add(right as u64, Relaxed);
}
