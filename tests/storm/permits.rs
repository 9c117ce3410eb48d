//! Permits for slots. A CPU that has a permit must get a slot, because a slot is free again as soon as its removal has returned.
//!
//! A slot for one CPU takes one of that CPU's slots. A slot for several CPUs takes the slot with the same number on each of them.
//! So it may be refused although each CPU has free slots, because no number is free on all of them.

use ::slots::{Cpus, Kind};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::debug::slots;
use kernel::percpu::PerCpu;
use kernel::smp;

static TAKEN: PerCpu<[AtomicU64; 2]> = kernel::per_cpu!([const { AtomicU64::new(0) }; 2]);

fn of(cpus: Cpus) -> impl Iterator<Item = usize> {
    smp::online().filter(move |&cpu| cpus.contains(cpu as u32))
}

/// Takes permits for `count` slots on each of `cpus`, or none at all.
pub fn take(kind: Kind, count: u64, cpus: Cpus) -> bool {
    let all = u64::from(slots::count(kind));
    let more = |taken| (taken + count <= all).then_some(taken + count);
    for cpu in of(cpus) {
        if TAKEN.of(cpu)[kind as usize].fetch_update(Relaxed, Relaxed, more).is_err() {
            for before in of(cpus).take_while(|&before| before != cpu) {
                TAKEN.of(before)[kind as usize].fetch_sub(count, Relaxed);
            }
            return false;
        }
    }
    true
}

/// Gives back the permits that [`take`] has taken.
pub fn give(kind: Kind, count: u64, cpus: Cpus) {
    for cpu in of(cpus) {
        TAKEN.of(cpu)[kind as usize].fetch_sub(count, Relaxed);
    }
}
