//! The time, and what is made of it: nanoseconds since the counter was 0, and the clock that programs can set.

pub mod data;

use crate::drivers::timer;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What CLOCK_REALTIME is ahead of [`nanoseconds`]; it is never behind. The machine has no clock that goes on while it is off, so this is 0 until
/// a program sets the time.
static REALTIME_OFFSET: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since the counter was 0: CLOCK_MONOTONIC. Any context.
pub fn nanoseconds() -> u64 {
    data::nanoseconds(timer::now(), timer::frequency())
}

/// What CLOCK_REALTIME is ahead of [`nanoseconds`]. Any context.
pub fn realtime_offset() -> u64 {
    REALTIME_OFFSET.load(Relaxed)
}

/// Sets what CLOCK_REALTIME is ahead. The vDSO has a copy, which the caller sets too. Any context.
pub fn set_realtime_offset(offset: u64) {
    REALTIME_OFFSET.store(offset, Relaxed);
}

/// CLOCK_REALTIME, in nanoseconds. Any context.
pub fn realtime() -> u64 {
    nanoseconds().wrapping_add(realtime_offset())
}

/// The instant of [`nanoseconds`] at which CLOCK_REALTIME has this value, as the clock is set now. Any context.
pub fn instant_of_realtime(time: u64) -> u64 {
    time.saturating_sub(realtime_offset())
}

/// Bytes that nobody outside can foresee only as far as the counter cannot be: the machine has no better source. Any context.
pub fn random() -> [u8; 16] {
    // The finalizer of SplitMix64 on the counter, twice.
    let mix = |mut word: u64| {
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    };
    let count = timer::now();
    let words =
        [mix(count.wrapping_add(0x9e37_79b9_7f4a_7c15)), mix(count.wrapping_add(0x3c6e_f372_fe94_f82a))];
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_le_bytes());
    bytes[8..].copy_from_slice(&words[1].to_le_bytes());
    bytes
}
