//! The end of the kernel on all CPUs: the CPU that makes the report stops the others for good.
//!
//! A CPU stops where it takes the interrupt [`sgi::STOP`], and also where it waits for other CPUs with interrupts masked: the CPU
//! that it waits for may be the one that ends the kernel.

use super::cpus;
use crate::arch::barrier;
use crate::drivers::gic::{self, Target};
use crate::irq::sgi;
use crate::percpu;
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// Whether the kernel ends, so that a CPU that stops never goes on.
#[unsafe(link_section = ".noprobe.data")]
static FOR_GOOD: AtomicBool = AtomicBool::new(false);
/// The CPUs that have stopped for good, one bit for each.
#[unsafe(link_section = ".noprobe.data")]
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Stops this CPU for good, masked, if the kernel ends.
#[inline(always)]
pub(super) fn end_if_asked(me: usize) {
    if FOR_GOOD.load(Relaxed) {
        end_this_cpu(me);
    }
}

/// Stops this CPU for good, and says so to [`stop_others`]. `me` is the index of this CPU. All exceptions are masked; any context.
#[unsafe(link_section = ".noprobe.text")]
pub fn end_this_cpu(me: usize) -> ! {
    ENDED.fetch_or(1 << me, SeqCst);
    loop {
        barrier::wfi();
    }
}

/// Stops all other CPUs for good. Returns the CPUs that did not answer, one bit for each; they have interrupts off. Any context.
pub fn stop_others() -> u64 {
    let others = cpus::online_mask() & !(1 << percpu::index());
    if others == 0 {
        return 0;
    }
    FOR_GOOD.store(true, SeqCst);
    gic::send_sgi(sgi::STOP, Target::AllOthers);
    // One second: a virtual CPU that its host has put aside answers late.
    let patience = crate::drivers::timer::frequency();
    let start = crate::drivers::timer::now();
    while others & !ENDED.load(SeqCst) != 0 && crate::drivers::timer::now() - start < patience {
        barrier::relax();
    }
    others & !ENDED.load(SeqCst)
}
