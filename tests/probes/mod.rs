//! Kprobes.

use crate::exception::Frame;
use crate::kprobe::{self, Kprobe, Then};
use crate::ktest::Outcome;
use crate::{check, check_eq, suite};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

suite!("probes": both_handlers_run);

#[inline(never)]
fn target(n: u64) -> u64 {
    black_box(n) + 1
}

static PRE: AtomicU64 = AtomicU64::new(0);
static POST: AtomicU64 = AtomicU64::new(0);

fn pre(_: &Kprobe, _: &mut Frame) -> Then {
    PRE.fetch_add(1, Relaxed);
    Then::Run
}

fn post(_: &Kprobe, _: &mut Frame) {
    POST.fetch_add(1, Relaxed);
}

fn both_handlers_run() -> Outcome {
    let address = target as *const () as u64;
    let (pres, posts) = (PRE.load(Relaxed), POST.load(Relaxed));
    let kprobe = kprobe::register(address, Some(pre), Some(post)).map_err(crate::tests::failed)?;
    let mut sum = 0;
    for n in 0..100 {
        sum += target(n);
    }
    check!(kprobe.hits() == 100);
    let counts = kprobe::unregister(address).map_err(crate::tests::failed)?;
    check_eq!(counts, (100, 0));
    check_eq!(sum, 5050);
    check_eq!((PRE.load(Relaxed) - pres, POST.load(Relaxed) - posts), (100, 100));
    target(1);
    Ok(())
}
