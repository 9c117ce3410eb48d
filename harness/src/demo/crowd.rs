//! The same work on every CPU at the same time.

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use kernel::arch::barrier;
use kernel::idle::{self, Work};
use kernel::smp;

static MISSING: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` on every CPU, and waits until all are done. `work` must begin with [`line_up`]. Returns the number of CPUs. Thread context.
pub fn run(work: Work) -> usize {
    MISSING.store(smp::online_count(), SeqCst);
    idle::on_all(work)
}

/// Waits until every CPU has called this.
pub fn line_up() {
    MISSING.fetch_sub(1, SeqCst);
    while MISSING.load(SeqCst) != 0 {
        barrier::relax();
    }
}
