//! Watchpoints on ranges that need two slots.

use super::counts::Area;
use crate::failed;
use crate::support::OnDemand;
use crate::support::{Slot, interrupt_me, on_every_cpu, watchpoint_at};
use ::slots::{Access, Cpus, Kind, Pieces, SlotError};
use alloc::vec::Vec;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::{Ended, Outcome};
use kernel::debug::slots::{self, Disposition, Hit, Installed};
use kernel::exception::{DebugFrame, Frame};
use kernel::watcher;

static AREA: Area = Area::new();

fn split(address: u64, length: u64, disposition: Disposition) -> Result<Installed, Ended> {
    Installed::new(&watchpoint_at(address, length, Access::Write), Cpus::ALL, disposition).map_err(failed)
}

/// Stores two doublewords. The address is aligned, because on a page with a watchpoint QEMU 7.2 treats an unaligned access
/// as longer than it is.
fn store(offset: u64) {
    assert!(offset.is_multiple_of(8));
    // SAFETY: inside the area.
    unsafe { asm!("stp xzr, xzr, [{}]", in(reg) AREA.at(offset), options(nostack, preserves_flags)) };
}

/// Every byte of the range hits, and no other byte. An instruction that touches both slots hits once.
pub fn a_range_over_two_slots_counts_as_one() -> Outcome {
    for (offset, length) in [(62, 4), (57, 15), (64, 12), (56, 16), (48, 48), (65, 8)] {
        let split = split(AREA.at(offset), length, Disposition::Count)?;
        check_eq!(matches!(split.slots(), Pieces::Two(..)), true, "{length} bytes at {offset}");
        let mut expected = 0;
        for byte in offset - 20..offset + length + 20 {
            AREA.access(byte, 1, true);
            expected += u64::from((offset..offset + length).contains(&byte));
            check_eq!(split.hits(), Some(expected), "byte {byte} of {length} bytes at {offset}");
        }
        for start in (16..160).step_by(8) {
            store(start);
            expected += u64::from(start + 16 > offset && start < offset + length);
            check_eq!(split.hits(), Some(expected), "STP at {start}, {length} bytes at {offset}");
        }
    }
    Ok(())
}

/// The handler of a range over two slots is called once. Both slots are armed for an interrupt during the step-over, and
/// afterwards.
pub fn a_range_over_two_slots_is_stepped_over_as_one() -> Outcome {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    fn handler(_: &Hit, _: &mut DebugFrame) {
        CALLS.fetch_add(1, Relaxed);
        interrupt_me();
    }
    fn interrupt(_: &mut Frame) {
        // This byte is in the second slot, which is stepped over together with the first one. In an interrupt it must be armed.
        if CALLS.load(Relaxed) % 2 == 1 {
            AREA.access(64, 1, true);
        }
    }
    CALLS.store(0, Relaxed);
    let interrupts = OnDemand::new(interrupt);
    let split = split(AREA.at(60), 8, Disposition::Call(watcher!(handler)))?;
    for n in 1..=10 {
        store(56);
        check_eq!(CALLS.load(Relaxed), 2 * n);
        check_eq!(split.hits(), Some(2 * n));
    }
    drop(interrupts);
    Ok(())
}

pub fn a_range_over_two_slots_is_set_on_all_cpus_or_not_at_all() -> Outcome {
    let total = slots::count(Kind::Watchpoint);
    let whole = |offset| Slot::counting(&watchpoint_at(AREA.at(offset), 8, Access::Write));
    let mut taken: Vec<Slot> = (1..u64::from(total)).map(|n| whole(512 + 8 * n)).collect::<Result<_, _>>()?;
    let request = watchpoint_at(AREA.at(62), 4, Access::Write);
    let refused = slots::install_split(&request, Cpus::ALL, Disposition::Count);
    check_eq!(refused, Err(SlotError::NeedsTwo { kind: Kind::Watchpoint }));
    check_eq!(slots::list().count(), taken.len(), "the slot that it had taken is free again");
    AREA.access(62, 1, true);
    taken.push(whole(512)?);
    let refused = slots::install_split(&request, Cpus::ALL, Disposition::Count);
    check_eq!(refused, Err(SlotError::NoFreeSlot { kind: Kind::Watchpoint, total }));
    taken.truncate(1);
    let split = slots::install_split(&request, Cpus::ALL, Disposition::Count).map_err(failed)?;
    on_every_cpu(|| {
        (0..5).for_each(|_| store(56));
        Ok(())
    })?;
    check_eq!(slots::hits(split), Some(5 * kernel::smp::online_count() as u64));
    slots::remove(split).map_err(failed)?;
    check_eq!(slots::remove(split).is_err(), true);
    check_eq!(slots::list().count(), taken.len());
    on_every_cpu(|| {
        store(56);
        Ok(())
    })?;
    let unsplit = watchpoint_at(AREA.at(4), 16, Access::Write);
    let refused = slots::install_split(&unsplit, Cpus::ALL, Disposition::Count);
    check_eq!(refused, Err(SlotError::CannotSplit { address: AREA.at(4), length: 16 }));
    Ok(())
}
