//! Where no breakpoint may be: behind a load-exclusive, up to its store-exclusive.

use super::memory::Native;
use crate::mm::layout;
use ::slots::SlotError;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use probe::sequence::Memory;
use probe::{in_exclusive_sequence, is_load_exclusive};

/// Bytes of text that a bit of [`NEAR`] stands for.
const BLOCK: usize = 256;
/// The kernel's text is not longer.
const COVERED: usize = 4 << 20;

/// A bit a block: a function that has a load-exclusive reaches into it. Elsewhere there is nothing to look for.
static NEAR: [AtomicU64; COVERED / BLOCK / 64] = [const { AtomicU64::new(0) }; COVERED / BLOCK / 64];

/// Whether something about an exclusive sequence is to be known of a breakpoint at `address`: see [`check`]. Any context.
#[inline(always)]
pub fn is_near(address: u64) -> bool {
    let offset = address.wrapping_sub(layout::text_start() as u64);
    offset < COVERED as u64 && {
        let block = offset as usize / BLOCK;
        NEAR[block / 64].load(Relaxed) >> (block % 64) & 1 != 0
    }
}

/// Refuses a breakpoint inside an exclusive sequence (rule H9). On the load-exclusive itself one is permitted (see [`super`]):
/// then its step-over is not the shortest. Any context.
///
/// # Errors
/// [`SlotError::ExclusiveSequence`].
#[cold]
#[inline(never)]
pub fn check(address: u64) -> Result<bool, SlotError> {
    if !address.is_multiple_of(4)
        || !(layout::text_start() as u64..layout::text_end() as u64).contains(&address)
    {
        return Ok(true);
    }
    if let Some((start, end)) = Native.function(address)
        && in_exclusive_sequence(|at| Native.word(at), address, start, end)
    {
        return Err(SlotError::ExclusiveSequence { address });
    }
    Ok(!super::is_load(address))
}

/// Looks for load-exclusives, once: no probe hides one, and none is written later. Boot, before the first slot is set.
pub fn survey() {
    let (start, end) = (layout::text_start(), layout::text_end());
    assert!(end - start <= COVERED, "the text is longer than what is known of its exclusives");
    let mut address = start;
    while address < end {
        // SAFETY: the kernel's text is mapped readable.
        let word = unsafe { (address as *const u32).read_volatile() };
        // All others are ruled out at once.
        if word & 0x3e00_0000 != 0x0800_0000 || !is_load_exclusive(word) {
            address += 4;
            continue;
        }
        // One that belongs to no function is looked at alone: its paths are not known.
        let (from, to) = Native.function(address as u64).unwrap_or((address as u64, address as u64 + 4));
        for block in (from as usize - start) / BLOCK..=(to as usize - 1 - start) / BLOCK {
            NEAR[block / 64].fetch_or(1 << (block % 64), Relaxed);
        }
        address = to as usize;
    }
}
