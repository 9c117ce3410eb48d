//! What the kernel and its vDSO (`kernel/vdso`) have in common: the page of data, and how a count of the machine's counter becomes a time.
//! Both compile this file, so what a program reads without a system call is what the system call returns.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The size of the page, in bytes.
pub const PAGE: usize = 4096;
/// Nanoseconds.
pub const SECOND: u64 = 1_000_000_000;
/// What clock_getres tells of each clock that the counter drives, in nanoseconds.
pub const RESOLUTION: u64 = 1;

/// The content of the page, which the kernel writes and programs read.
#[repr(C)]
pub struct Data {
    /// CNTFRQ_EL0: counts per second, 32 bits.
    pub frequency: AtomicU64,
    /// What CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, in nanoseconds.
    pub realtime_offset: AtomicU64,
}

/// The clocks that the counter drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Counts from the machine's start.
    Monotonic,
    /// Can be set.
    Realtime,
}

impl Clock {
    /// The clock that Linux has by this number; None if the counter does not drive it. (The numbers are CLOCK_REALTIME to CLOCK_TAI of
    /// `linux/time.h`.)
    pub const fn of(number: u32) -> Option<Self> {
        match number {
            // REALTIME, REALTIME_COARSE, REALTIME_ALARM, TAI.
            0 | 5 | 8 | 11 => Some(Self::Realtime),
            // MONOTONIC, MONOTONIC_RAW, MONOTONIC_COARSE, BOOTTIME, BOOTTIME_ALARM.
            1 | 4 | 6 | 7 | 9 => Some(Self::Monotonic),
            _ => None,
        }
    }
}

/// The nanoseconds of so many counts: exact, but for the fraction of a nanosecond.
pub const fn nanoseconds(count: u64, frequency: u64) -> u64 {
    // Without a frequency a machine has no time. Both divisions are by something else than 0, so no panic is compiled in.
    let frequency = if frequency == 0 { 1 } else { frequency };
    // The frequency has 32 bits, so the product of the remainder does not overflow.
    count / frequency * SECOND + count % frequency * SECOND / frequency
}

impl Data {
    /// What a clock says when the counter is at `count`, in nanoseconds.
    pub fn time(&self, clock: Clock, count: u64) -> u64 {
        let time = nanoseconds(count, self.frequency.load(Relaxed));
        match clock {
            Clock::Monotonic => time,
            Clock::Realtime => time.wrapping_add(self.realtime_offset.load(Relaxed)),
        }
    }
}
