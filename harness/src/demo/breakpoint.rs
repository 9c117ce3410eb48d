//! A hardware breakpoint on a function that every CPU calls at the same time: each hit is stepped over.

use super::{Finding, Outcome, crowd};
use ::slots::{Cpus, Privilege, Request};
use alloc::format;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::debug::slots::{self, Disposition};
use kernel::debug::stats;

/// How many calls each CPU makes.
const CALLS: u64 = 1000;

static RETURNED: AtomicU64 = AtomicU64::new(0);

pub fn show() -> Outcome {
    RETURNED.store(0, Relaxed);
    let stepped = stats::STEP_OVERS.sum();
    let request = Request::Breakpoint { address: target as *const () as u64, privilege: Privilege::El1 };
    let id = slots::install(&request, Cpus::ALL, Disposition::Count)?;
    let cpus = crowd::run(work);
    let hits = slots::hits(id).unwrap_or(0);
    slots::remove(id)?;
    let stepped = stats::STEP_OVERS.sum() - stepped;
    let returned = RETURNED.load(Relaxed);
    Ok(Finding {
        counts: format!(
            "target(), on {cpus} CPUs at once: {returned} calls, {hits} hits, {stepped} stepped over"
        ),
        agree: returned == CALLS * cpus as u64 && [hits, stepped] == [returned; 2],
    })
}

#[inline(never)]
fn target(n: u64) -> u64 {
    black_box(n) + 1
}

fn work() {
    crowd::line_up();
    let right = (0..CALLS).filter(|&n| target(n) == n + 1).count();
    RETURNED.fetch_add(right as u64, Relaxed);
}
