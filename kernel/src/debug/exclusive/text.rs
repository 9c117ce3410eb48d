//! Which instructions of the kernel's text are in exclusive sequences. No breakpoint may be set between a
//! load-exclusive and its store-exclusive, nor on the store-exclusive (rule H9).

use super::memory::Native;
use crate::mm::layout;
use ::slots::SlotError;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use probe::sequence::{self, Memory};
use probe::{exclusives, in_exclusive_sequence, is_load_exclusive, is_store_exclusive};

/// How many bytes of text each bit of [`NEAR`] stands for.
const BLOCK: usize = 256;
/// How many bytes of text [`NEAR`] and [`MEMBERS`] have room for. The kernel's text must not be longer.
const COVERED: usize = 4 << 20;

/// One bit for each block of text, set if a function that has a load-exclusive reaches into the block. An address in
/// any other block is in no exclusive sequence.
static NEAR: [AtomicU64; COVERED / BLOCK / 64] = [const { AtomicU64::new(0) }; COVERED / BLOCK / 64];

/// One bit for each instruction, set if the instruction is in an exclusive sequence, from the load-exclusive to the
/// store-exclusive.
static MEMBERS: [AtomicU64; COVERED / 4 / 64] = [const { AtomicU64::new(0) }; COVERED / 4 / 64];

/// The word at `pc`, or 0 if `pc` is outside the kernel's text. At a probed address this is the probe's BRK or branch.
/// An exclusive is always seen, because probes on exclusives are refused (K2).
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
/// store-exclusive. Also true if the instruction might be in a sequence, because not every path to a store-exclusive
/// can be followed. Any context.
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

/// Refuses a breakpoint inside an exclusive sequence (rule H9). Returns whether `hit::plain_breakpoint` may deal with
/// hits of the breakpoint. The answer is false for a load-exclusive: a breakpoint is permitted there, but its hit
/// executes the whole sequence (see [`super`]). Any context.
///
/// # Errors
/// [`SlotError::ExclusiveSequence`] if `address` is behind a load-exclusive, or on the paths up to its store-exclusive.
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

/// Sets the bit of the instruction at `address` in [`MEMBERS`].
fn note(address: u64) {
    let index = (address.wrapping_sub(layout::text_start() as u64) / 4) as usize;
    if let Some(word) = MEMBERS.get(index / 64) {
        word.fetch_or(1 << (index % 64), Relaxed);
    }
}

/// How many exclusives [`LISTED`] has room for.
const LISTED_ROOM: usize = 12288;

/// The exclusives of the kernel's text, as `xtask` writes them into the image (`pack.rs`): how many there are, and for each the number of
/// its word in the text, in ascending order. So a boot need not look at every word. An image that `xtask` has not packed, or whose list has no
/// room for all of them, has [`UNLISTED`] in place of the number.
#[repr(C)]
struct Listed {
    count: u32,
    words: [u32; LISTED_ROOM],
}

/// See [`Listed`].
const UNLISTED: u32 = u32::MAX;

#[used]
#[unsafe(no_mangle)]
static EXCLUSIVES_LISTED: Listed = Listed { count: UNLISTED, words: [0; LISTED_ROOM] };

/// The list of the text's exclusives that the image has, by the numbers of their words; None if it has none. Any context.
pub fn listed() -> Option<&'static [u32]> {
    // The compiler must not believe that the value is what is written above.
    let listed = core::hint::black_box(&raw const EXCLUSIVES_LISTED);
    // SAFETY: the static's own value, which nobody writes once the kernel runs.
    let listed = unsafe { &*listed };
    (listed.count != UNLISTED).then(|| listed.words.get(..listed.count as usize)).flatten()
}

/// Finds the exclusive sequences of the kernel's text, and fills [`NEAR`] and [`MEMBERS`]. Called once, at boot, before
/// the first slot is set. The result stays true: probes on exclusives are refused, and no exclusive is written to the
/// text later.
pub fn survey() {
    let (start, end) = (layout::text_start(), layout::text_end());
    assert!(end - start <= COVERED, "the kernel's text is longer than exclusive::text::COVERED");
    // SAFETY: the kernel's text is mapped readable, nobody writes it yet, and it begins and ends with a page.
    let (text, pairs) = unsafe {
        (
            core::slice::from_raw_parts(start as *const u32, (end - start) / 4),
            core::slice::from_raw_parts(start as *const u64, (end - start) / 8),
        )
    };
    let fetch = |at: u64| match text.get((at.wrapping_sub(start as u64) / 4) as usize) {
        Some(word) => Some(*word),
        None => Native.word(at),
    };
    // The end of the last function whose blocks are set in `NEAR`.
    let mut noted = start;
    let mut found = |index: usize| {
        let (address, word) = (start + 4 * index, text[index]);
        // Every store-exclusive is a member, whatever path leads to it, because an exception at a store-exclusive makes
        // it fail.
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
        // If no symbol tells the function of a load-exclusive, its paths are not known: only the block of the
        // load-exclusive is set.
        let (from, to) = Native.function(address as u64).unwrap_or((address as u64, address as u64 + 4));
        for block in (from as usize - start) / BLOCK..=(to as usize - 1 - start) / BLOCK {
            NEAR[block / 64].fetch_or(1 << (block % 64), Relaxed);
        }
        noted = to as usize;
    };
    match listed() {
        Some(words) => words.iter().for_each(|&word| found(word as usize)),
        None => exclusives(pairs, found),
    }
}
