//! The pages for out-of-line copies, inside the image's text: executable, written through the patch alias only.

use super::ProbeError;
use crate::mm::{layout, patch};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use probe::ool::Slot;

const WORDS: usize = 64;

/// A bit a slot, set while it is used. Changed under the registration's lock.
static USED: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

fn capacity() -> usize {
    ((layout::ool_end() - layout::ool_start()) / Slot::BYTES).min(WORDS * 64)
}

/// Takes a slot and writes the copy of `word` into it. Returns its address.
///
/// # Errors
/// [`ProbeError::NoSlot`].
pub fn take(word: u32) -> Result<u64, ProbeError> {
    let index = (0..capacity())
        .find(|index| USED[index / 64].load(Relaxed) & 1 << (index % 64) == 0)
        .ok_or(ProbeError::NoSlot)?;
    USED[index / 64].fetch_or(1 << (index % 64), Relaxed);
    let address = layout::ool_start() + index * Slot::BYTES;
    // The second word first: nobody runs here yet, but a slot is never without its end.
    for (offset, word) in Slot::trapping(word).words.into_iter().enumerate().rev() {
        patch::write_text(address + offset * 4, word);
    }
    Ok(address as u64)
}

/// Gives a slot back that no CPU can be in any more.
pub fn give(address: u64) {
    let index = (address as usize - layout::ool_start()) / Slot::BYTES;
    USED[index / 64].fetch_and(!(1 << (index % 64)), Relaxed);
}
