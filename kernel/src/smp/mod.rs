//! The other CPUs: bring-up, what they are told by interrupt, and holding them still.

mod bringup;
mod rendezvous;

pub use bringup::{BringUpError, LAST_UP, bring_up, init_cpu, present, start_others};
pub use rendezvous::{rendezvous, take_part};

use crate::debug;
use crate::drivers::gic::{self, Target};
use crate::exception::Frame;
use crate::irq::sgi;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// CPUs that take interrupts, a bit each.
#[unsafe(link_section = ".noprobe.data")]
static ONLINE: AtomicU64 = AtomicU64::new(0);
#[unsafe(link_section = ".noprobe.data")]
static STOPPED: AtomicU64 = AtomicU64::new(0);

/// This CPU takes part from here on.
fn set_online(cpu: usize) {
    ONLINE.fetch_or(1 << cpu, SeqCst);
}

/// The CPUs that are online. Any context.
#[inline(always)]
pub fn online() -> impl Iterator<Item = usize> {
    let mask = ONLINE.load(SeqCst);
    (0..crate::percpu::MAX_CPUS).filter(move |cpu| mask & 1 << cpu != 0)
}

/// How many are online. Any context.
pub fn online_count() -> usize {
    ONLINE.load(SeqCst).count_ones() as usize
}

/// Tells the others that slots have changed. Any context.
#[unsafe(link_section = ".noprobe.text")]
pub fn kick_slots() {
    if online_count() > 1 {
        gic::send_sgi(sgi::SLOTS, Target::AllOthers);
    }
}

/// [`sgi::SLOTS`].
pub fn slots_interrupt(_: &mut Frame) {
    debug::slots::sync_local(debug::this());
}

/// [`sgi::STOP`]: this CPU ends here, masked.
pub fn stop_interrupt(_: &mut Frame) {
    crate::arch::daif::set::<{ crate::arch::daif::ALL }>();
    STOPPED.fetch_or(1 << crate::percpu::index(), SeqCst);
    loop {
        crate::arch::barrier::wfi();
    }
}

/// Stops all other CPUs; returns those that did not answer (a bit each), because they have interrupts off. Any context.
pub fn stop_others() -> u64 {
    let others = ONLINE.load(SeqCst) & !(1 << crate::percpu::index());
    if others == 0 {
        return 0;
    }
    gic::send_sgi(sgi::STOP, Target::AllOthers);
    let patience = crate::drivers::timer::frequency() / 10;
    let start = crate::drivers::timer::now();
    while others & !STOPPED.load(SeqCst) != 0 && crate::drivers::timer::now() - start < patience {
        crate::arch::barrier::relax();
    }
    others & !STOPPED.load(SeqCst)
}
