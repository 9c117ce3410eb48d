//! Which CPUs are online, and the interrupt that tells them to apply changes of slots. The slot manager calls this module, so the
//! module does not call the slot manager.

use crate::drivers::gic::{self, Target};
use crate::irq::sgi;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The CPUs that are online, one bit for each.
#[unsafe(link_section = ".noprobe.data")]
static ONLINE: AtomicU64 = AtomicU64::new(0);

/// Marks a CPU as online: from here on others send it interrupts and wait for it.
pub(super) fn set_online(cpu: usize) {
    ONLINE.fetch_or(1 << cpu, SeqCst);
}

/// The CPUs that are online. Any context.
#[inline(always)]
pub fn online() -> impl Iterator<Item = usize> {
    let mask = ONLINE.load(SeqCst);
    (0..crate::percpu::MAX_CPUS).filter(move |cpu| mask & 1 << cpu != 0)
}

/// The CPUs that are online, one bit for each. Any context.
pub(super) fn online_mask() -> u64 {
    ONLINE.load(SeqCst)
}

/// How many CPUs are online. Any context.
pub fn online_count() -> usize {
    online_mask().count_ones() as usize
}

/// Tells the other CPUs that slots have changed. Any context.
#[unsafe(link_section = ".noprobe.text")]
pub fn kick_slots() {
    if online_count() > 1 {
        gic::send_sgi(sgi::SLOTS, Target::AllOthers);
    }
}
