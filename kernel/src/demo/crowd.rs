//! The same work on every CPU at once.

use crate::idle::{self, Work};
use crate::irq::off;
use crate::{percpu, smp};
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static MISSING: AtomicUsize = AtomicUsize::new(0);

/// Runs `work`, which begins with [`line_up`], on every CPU, and waits for all. Returns their number. Thread context.
pub fn run(work: Work) -> usize {
    let count = smp::online_count();
    MISSING.store(count, SeqCst);
    let me = percpu::index();
    let others = || smp::online().filter(move |&cpu| cpu != me);
    for cpu in others() {
        while !idle::give(cpu, work) {
            off::wait();
        }
    }
    work();
    for cpu in others() {
        while !idle::is_idle(cpu) {
            off::wait();
        }
    }
    count
}

/// Waits until every CPU is here.
pub fn line_up() {
    MISSING.fetch_sub(1, SeqCst);
    while MISSING.load(SeqCst) != 0 {
        crate::arch::barrier::relax();
    }
}
