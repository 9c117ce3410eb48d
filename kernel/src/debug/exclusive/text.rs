//! Where no breakpoint may be: behind a load-exclusive, up to its store-exclusive.

use super::memory::Native;
use crate::mm::layout;
use ::slots::{Privilege, Request, SlotError};
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use probe::sequence::Memory;
use probe::{in_exclusive_sequence, is_load_exclusive};

/// Bytes of text that a bit of [`NEAR`] stands for.
const BLOCK: usize = 256;
/// Text behind the first so many bytes is taken to have exclusives everywhere.
const COVERED: usize = 4 << 20;

/// A bit a block: a function that has a load-exclusive reaches into it. Elsewhere there is nothing to look for.
static NEAR: [AtomicU64; COVERED / BLOCK / 64] = [const { AtomicU64::new(0) }; COVERED / BLOCK / 64];
static SURVEYED: AtomicBool = AtomicBool::new(false);

/// Refuses a breakpoint inside an exclusive sequence (rule H9). Any context. On the load-exclusive itself one is permitted:
/// see [`super`].
///
/// # Errors
/// [`SlotError::ExclusiveSequence`].
pub fn check(request: &Request) -> Result<(), SlotError> {
    let Request::Breakpoint { address, privilege } = *request else { return Ok(()) };
    let text = layout::text_start() as u64..layout::text_end() as u64;
    if privilege == Privilege::El0 || !text.contains(&address) || !address.is_multiple_of(4) {
        return Ok(());
    }
    if !SURVEYED.load(Acquire) {
        survey();
    }
    let (word, bit) = place(address as usize);
    if NEAR.get(word).is_some_and(|bits| bits.load(Relaxed) & bit == 0) { Ok(()) } else { look(address) }
}

/// The word and the bit of [`NEAR`] for an address in the text.
fn place(address: usize) -> (usize, u64) {
    let block = (address - layout::text_start()) / BLOCK;
    (block / 64, 1 << (block % 64))
}

#[cold]
#[inline(never)]
fn look(address: u64) -> Result<(), SlotError> {
    let Some((start, end)) = Native.function(address) else { return Ok(()) };
    if in_exclusive_sequence(|at| Native.word(at), address, start, end) {
        return Err(SlotError::ExclusiveSequence { address });
    }
    Ok(())
}

/// Looks for load-exclusives once; no probe hides one. Several CPUs may do so at a time: they come to the same.
#[cold]
#[inline(never)]
fn survey() {
    let mut address = layout::text_start();
    while address < layout::text_end() {
        // SAFETY: the kernel's text is mapped readable.
        let word = unsafe { (address as *const u32).read_volatile() };
        if is_load_exclusive(word)
            && let Some((start, end)) = Native.function(address as u64)
        {
            for block in (start as usize & !(BLOCK - 1)..end as usize).step_by(BLOCK) {
                let (word, bit) = place(block.max(layout::text_start()));
                if let Some(bits) = NEAR.get(word) {
                    bits.fetch_or(bit, Relaxed);
                }
            }
            address = (end as usize).max(address + 4);
            continue;
        }
        address += 4;
    }
    SURVEYED.store(true, Release);
}
