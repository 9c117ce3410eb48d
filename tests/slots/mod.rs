//! Hardware breakpoints and watchpoints.

use crate::debug::slots::{self, Disposition};
use crate::ktest::Outcome;
use crate::{check_eq, suite};
use ::slots::{Access, Cpus, Privilege, Request};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

suite!("slots": breakpoint_counts_each_call, watchpoint_counts_each_write);

#[inline(never)]
fn target(n: u64) -> u64 {
    black_box(n) + 1
}

fn breakpoint_counts_each_call() -> Outcome {
    let request = Request::Breakpoint { address: target as *const () as u64, privilege: Privilege::El1 };
    let id = slots::install(&request, Cpus::ALL, Disposition::Count).map_err(crate::tests::failed)?;
    let mut sum = 0;
    for n in 0..100 {
        sum += target(n);
    }
    let hits = slots::hits(id);
    slots::remove(id).map_err(crate::tests::failed)?;
    check_eq!(hits, Some(100));
    check_eq!(sum, 5050);
    target(1);
    Ok(())
}

fn watchpoint_counts_each_write() -> Outcome {
    static WATCHED: AtomicU64 = AtomicU64::new(0);
    let request = Request::Watchpoint {
        address: &raw const WATCHED as u64,
        length: 8,
        access: Access::Write,
        privilege: Privilege::El1,
    };
    let id = slots::install(&request, Cpus::ALL, Disposition::Count).map_err(crate::tests::failed)?;
    for n in 0..100 {
        WATCHED.store(n, Relaxed);
        black_box(WATCHED.load(Relaxed));
    }
    let hits = slots::hits(id);
    slots::remove(id).map_err(crate::tests::failed)?;
    check_eq!(hits, Some(100));
    Ok(())
}
