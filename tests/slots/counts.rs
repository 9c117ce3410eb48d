//! Which accesses hit a slot and which do not, by counts.

use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at, watchpoint_at};
use ::slots::{Access, Cpus};
use core::cell::UnsafeCell;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::debug::slots::{self, Disposition};
use kernel::watcher;

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "ret"
    }
}

/// Rule H2: no execution hits before `install` or after `remove`, and every one in between does.
pub fn a_breakpoint_hits_from_install_to_remove_and_never_outside() -> Outcome {
    static CALLED: AtomicU64 = AtomicU64::new(0);
    fn count(_: &slots::Hit, _: &mut kernel::exception::DebugFrame) {
        CALLED.fetch_add(1, Relaxed);
    }
    CALLED.store(0, Relaxed);
    for round in 0..50 {
        check_eq!(target(round), round + 1);
        check_eq!(CALLED.load(Relaxed), 3 * round, "before install");
        let request = breakpoint_at(address_of!(target));
        let id = slots::install(&request, Cpus::ALL, Disposition::Call(watcher!(count))).map_err(failed)?;
        for n in 1..=3 {
            check_eq!(target(round), round + 1);
            check_eq!(slots::hits(id), Some(n));
        }
        slots::remove(id).map_err(failed)?;
        check_eq!(target(round), round + 1);
        check_eq!(CALLED.load(Relaxed), 3 * round + 3, "after remove");
    }
    Ok(())
}

/// Rule H2: no access hits before `install` or after `remove`, and every one in between does.
pub fn a_watchpoint_hits_from_install_to_remove_and_never_outside() -> Outcome {
    static CALLED: AtomicU64 = AtomicU64::new(0);
    static CELL: AtomicU64 = AtomicU64::new(0);
    fn count(_: &slots::Hit, _: &mut kernel::exception::DebugFrame) {
        CALLED.fetch_add(1, Relaxed);
    }
    CALLED.store(0, Relaxed);
    for round in 0..50 {
        CELL.store(round, Relaxed);
        check_eq!(CALLED.load(Relaxed), 3 * round, "before install");
        let request = watchpoint_at(&raw const CELL as u64, 8, Access::Write);
        let id = slots::install(&request, Cpus::ALL, Disposition::Call(watcher!(count))).map_err(failed)?;
        for n in 1..=3 {
            CELL.store(round + n, Relaxed);
            check_eq!(slots::hits(id), Some(n));
        }
        slots::remove(id).map_err(failed)?;
        check_eq!(CELL.load(Relaxed), round + 3);
        CELL.store(0, Relaxed);
        check_eq!(CALLED.load(Relaxed), 3 * round + 3, "after remove");
    }
    Ok(())
}

pub fn read_write_and_both_hit_what_they_say() -> Outcome {
    static CELL: AtomicU64 = AtomicU64::new(0);
    for (access, reads, writes) in [(Access::Read, 1, 0), (Access::Write, 0, 1), (Access::ReadWrite, 1, 1)] {
        let slot = Slot::counting(&watchpoint_at(&raw const CELL as u64, 8, access))?;
        for n in 1..=50 {
            black_box(CELL.load(Relaxed));
            check_eq!(slot.hits(), Some(n * reads + (n - 1) * writes), "{access:?}");
            CELL.store(n, Relaxed);
            check_eq!(slot.hits(), Some(n * (reads + writes)), "{access:?}");
        }
    }
    Ok(())
}

/// Memory whose bytes the tests access with one access of a given width.
#[repr(C, align(4096))]
pub struct Area(UnsafeCell<[u8; 4096]>);

// SAFETY: accessed by volatile reads and writes of the tests' CPU only.
unsafe impl Sync for Area {}

impl Area {
    /// The memory is 0 at first.
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; 4096]))
    }

    /// The address of byte `offset`.
    pub fn at(&self, offset: u64) -> u64 {
        self.0.get() as u64 + offset
    }

    /// Makes one aligned access of `width` bytes at byte `offset`.
    pub fn access(&self, offset: u64, width: u64, write: bool) {
        let to = self.at(offset);
        assert!(offset.is_multiple_of(width) && offset + width <= 4096);
        // SAFETY: aligned and inside the area.
        unsafe {
            match (width, write) {
                (1, false) => drop(black_box((to as *const u8).read_volatile())),
                (2, false) => drop(black_box((to as *const u16).read_volatile())),
                (4, false) => drop(black_box((to as *const u32).read_volatile())),
                (_, false) => drop(black_box((to as *const u64).read_volatile())),
                (1, true) => (to as *mut u8).write_volatile(1),
                (2, true) => (to as *mut u16).write_volatile(2),
                (4, true) => (to as *mut u32).write_volatile(4),
                (_, true) => (to as *mut u64).write_volatile(8),
            }
        }
    }
}

static AREA: Area = Area::new();

/// Watches every length at every offset, and accesses every width from the doubleword before to the one after. Byte address select
/// counts from the start of the doubleword, not from the address that was asked for.
pub fn every_byte_range_of_a_doubleword_hits_its_bytes_only() -> Outcome {
    for (first, length) in (0..8).flat_map(|first| (1..=8 - first).map(move |length| (8 + first, length))) {
        let slot = Slot::counting(&watchpoint_at(AREA.at(first), length, Access::ReadWrite))?;
        let mut expected = 0;
        for width in [1, 2, 4, 8] {
            for offset in (0..24).step_by(width as usize) {
                let touches = offset < first + length && first < offset + width;
                for write in [false, true] {
                    AREA.access(offset, width, write);
                    expected += u64::from(touches);
                    check_eq!(
                        slot.hits(),
                        Some(expected),
                        "{length} bytes at {first}, access of {width} at {offset}, write: {write}"
                    );
                }
            }
        }
    }
    Ok(())
}

pub fn power_of_two_ranges_hit_from_the_first_to_the_last_byte() -> Outcome {
    for length in [16, 64, 256, 1024] {
        let slot = Slot::counting(&watchpoint_at(AREA.at(length), length, Access::Write))?;
        for (offset, hits) in [(length - 1, 0), (length, 1), (2 * length - 1, 2), (2 * length, 2)] {
            AREA.access(offset, 1, true);
            check_eq!(slot.hits(), Some(hits), "{length} bytes, byte {offset}");
        }
        AREA.access(length + 8, 8, false);
        check_eq!(slot.hits(), Some(2), "a write watchpoint ignores reads");
    }
    Ok(())
}
