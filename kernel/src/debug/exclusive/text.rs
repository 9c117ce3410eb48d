//! Which instructions of the kernel's text are in exclusive sequences: a breakpoint may not be behind a load-exclusive, up to its
//! store-exclusive.

use super::memory::Native;
use crate::mm::layout;
use ::slots::SlotError;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use probe::sequence::{self, Memory};
use probe::{exclusives, in_exclusive_sequence, is_load_exclusive, is_store_exclusive};

/// Bytes of text that a bit of [`NEAR`] stands for.
const BLOCK: usize = 256;
/// The kernel's text is not longer.
const COVERED: usize = 4 << 20;

/// A bit a block: a function that has a load-exclusive reaches into it. Elsewhere there is nothing to look for.
static NEAR: [AtomicU64; COVERED / BLOCK / 64] = [const { AtomicU64::new(0) }; COVERED / BLOCK / 64];

/// A bit an instruction: it is in an exclusive sequence, from the load-exclusive to the store-exclusive.
static MEMBERS: [AtomicU64; COVERED / 4 / 64] = [const { AtomicU64::new(0) }; COVERED / 4 / 64];

/// The instruction at `pc`; 0 where that is not the kernel's text.
#[inline(always)]
pub fn word_at(pc: u64) -> u32 {
    if !(layout::text_start() as u64..layout::text_end() as u64).contains(&pc) {
        return 0;
    }
    // SAFETY: the kernel's text is mapped readable, and `pc` is aligned, since it is about to be executed.
    unsafe { (pc as *const u32).read_volatile() }
}

/// Whether the instruction at `pc` is a load-exclusive.
#[inline(always)]
pub fn is_load(pc: u64) -> bool {
    is_load_exclusive(word_at(pc))
}

/// Whether the instruction at `pc` is in an exclusive sequence of the kernel's text, from the load-exclusive to the
/// store-exclusive. True also of what cannot be told. Any context.
#[inline(always)]
pub fn is_in_sequence(pc: u64) -> bool {
    let index = (pc.wrapping_sub(layout::text_start() as u64) / 4) as usize;
    match MEMBERS.get(index / 64) {
        Some(word) => word.load(Relaxed) >> (index % 64) & 1 != 0,
        None => false,
    }
}

/// Whether a breakpoint at `address` may be in an exclusive sequence, so that [`check`] has to decide. Any context.
#[inline(always)]
pub fn is_near(address: u64) -> bool {
    let offset = address.wrapping_sub(layout::text_start() as u64);
    offset < COVERED as u64 && {
        let block = offset as usize / BLOCK;
        NEAR[block / 64].load(Relaxed) >> (block % 64) & 1 != 0
    }
}

/// Refuses a breakpoint inside an exclusive sequence (rule H9). On the load-exclusive itself a breakpoint is permitted (see
/// [`super`]): then false, since its step-over is not the shortest. Any context.
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
    Ok(!is_load(address))
}

/// Notes that an instruction is in a sequence.
fn note(address: u64) {
    let index = (address.wrapping_sub(layout::text_start() as u64) / 4) as usize;
    if let Some(word) = MEMBERS.get(index / 64) {
        word.fetch_or(1 << (index % 64), Relaxed);
    }
}

/// Looks for exclusives, once: no probe hides one, and none is written later. Boot, before the first slot is set.
pub fn survey() {
    let (start, end) = (layout::text_start(), layout::text_end());
    assert!(end - start <= COVERED, "the text is longer than what is known of its exclusives");
    // SAFETY: the kernel's text is mapped readable, and nobody writes it yet.
    let text = unsafe { core::slice::from_raw_parts(start as *const u32, (end - start) / 4) };
    let fetch = |at: u64| match text.get((at.wrapping_sub(start as u64) / 4) as usize) {
        Some(word) => Some(*word),
        None => Native.word(at),
    };
    // Up to here the functions of the load-exclusives are noted.
    let mut noted = start;
    exclusives(text, |index| {
        let (address, word) = (start + 4 * index, text[index]);
        // Whatever way leads to a store-exclusive, an exception at it has it fail.
        if is_store_exclusive(word) {
            note(address as u64);
        }
        if !is_load_exclusive(word) {
            return;
        }
        sequence::members(fetch, address as u64, note);
        if address < noted {
            return;
        }
        // A load-exclusive that belongs to no function is looked at alone: its paths are not known.
        let (from, to) = Native.function(address as u64).unwrap_or((address as u64, address as u64 + 4));
        for block in (from as usize - start) / BLOCK..=(to as usize - 1 - start) / BLOCK {
            NEAR[block / 64].fetch_or(1 << (block % 64), Relaxed);
        }
        noted = to as usize;
    });
}
