//! The pages in which displaced instructions run. The pages are mapped executable and read-only, and are written only
//! through the patch alias.
//!
//! Copies fill the pages from the start, trampolines from the end. A place that is given back is handed out again before a fresh
//! one. A copy or trampoline holds the distance to its probed address, so that [`site_of`] and `optimised::site_of` find the site.

use super::site::{How, Site};
use super::table;
use crate::irq::off::IrqOff;
use crate::mm::layout;
use crate::mm::patch::{self, Patch};
use crate::sync::SpinLock;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use probe::Relocatable;
use probe::ool::Copies;
use probe::trampoline::Trampoline;
use rules::pstate::Daif;

/// Which places in the pages are free.
struct Free {
    /// The numbers of copies that were in use and were given back.
    given: Vec<usize>,
    /// Copies from this number on were never in use.
    fresh: usize,
    /// The addresses of trampolines that were in use and were given back.
    given_trampolines: Vec<usize>,
}

static FREE: SpinLock<Free> =
    SpinLock::new(Free { given: Vec::new(), fresh: 0, given_trampolines: Vec::new() });

/// How many bytes at the end of the pages belong to trampolines, in use or given back. The number changes under the lock [`FREE`],
/// and debug context reads it without the lock.
#[unsafe(link_section = ".noprobe.data")]
static TRAMPOLINES: AtomicUsize = AtomicUsize::new(0);

/// Whether the pages have room for `copies` copies and for `trampolines` bytes of trampolines.
fn fit(copies: usize, trampolines: usize) -> bool {
    copies * Copies::BYTES + trampolines <= layout::copies().len()
}

/// Reserves room for the copies of `instruction` at address `probed`, which [`write`] is still to fill. Returns the address of
/// that room; None if none is left, or none that a branch from the probed address reaches. Thread context.
pub fn take(instruction: Relocatable, probed: u64) -> Option<u64> {
    let line = {
        let mut free = FREE.lock();
        let fresh = free.fresh;
        match free.given.pop() {
            Some(line) => line,
            None if fit(fresh + 1, TRAMPOLINES.load(Relaxed)) => {
                free.fresh += 1;
                fresh
            }
            None => return None,
        }
    };
    let at = (layout::COPIES + line * Copies::BYTES) as u64;
    if Copies::new(instruction, at, probed).is_none() {
        give(at);
        return None;
    }
    Some(at)
}

/// Writes a site's copies, which nobody executes yet. May be called where [`Patch`] may be used.
pub fn write(site: &Site, patch: &mut Patch) {
    if let How::OutOfLine(instruction, at) = site.how
        && let Some(copies) = Copies::new(instruction, at, site.address)
    {
        patch.write(at as usize, copies.words());
    }
}

/// Gives back the copies at address `copies`. No CPU can be in them any more. Thread context.
pub fn give(copies: u64) {
    FREE.lock().given.push((copies as usize - layout::COPIES) / Copies::BYTES);
}

/// Writes a trampoline and returns its address. `make` is called with that address and returns the trampoline, or None if a branch
/// does not reach. The result is None then, and if no room is left. Thread context.
pub fn take_trampoline(make: impl FnOnce(u64) -> Option<Trampoline>) -> Option<u64> {
    let at = {
        let mut free = FREE.lock();
        let used = TRAMPOLINES.load(Relaxed);
        match free.given_trampolines.pop() {
            Some(at) => at,
            None if fit(free.fresh, used + Trampoline::BYTES) => {
                TRAMPOLINES.store(used + Trampoline::BYTES, Relaxed);
                layout::copies().end - used - Trampoline::BYTES
            }
            None => return None,
        }
    };
    let Some(trampoline) = make(at as u64) else {
        give_trampoline(at as u64);
        return None;
    };
    let _off = IrqOff::new();
    // Nobody executes the trampoline yet, so no other CPU is held.
    patch::write_words(at, trampoline.words());
    Some(at as u64)
}

/// Gives back the trampoline at address `at`. No CPU can be in it any more. Thread context.
pub fn give_trampoline(at: u64) {
    FREE.lock().given_trampolines.push(at as usize);
}

/// The address of the trampoline that `pc` is in, and the offset of `pc` from that address.
#[inline(always)]
pub fn trampoline(pc: u64) -> Option<(u64, u64)> {
    let all = layout::copies();
    if (pc as usize) < all.end - TRAMPOLINES.load(Relaxed) || pc as usize >= all.end {
        return None;
    }
    let line = Trampoline::BYTES as u64 - 1;
    Some((pc & !line, pc & line))
}

/// The address of the copies that `pc` is in, and the offset of `pc` from that address.
#[inline(always)]
fn place(pc: u64) -> Option<(u64, u64)> {
    let (line, all) = (Copies::BYTES as u64 - 1, layout::copies());
    if (pc as usize) < all.start || pc as usize >= all.end - TRAMPOLINES.load(Relaxed) {
        return None;
    }
    Some((pc & !line, pc & line))
}

/// The site whose copies `pc` is in, and the offset of `pc` in the copies. All exceptions are masked, as [`table::find`] needs.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn site_of(pc: u64) -> Option<(&'static Site, u64)> {
    let (copies, offset) = place(pc)?;
    // The third word is the branch back of the copy `Copies::OPEN`. This branch leads to the instruction behind the
    // probed address.
    // SAFETY: the copies are mapped readable.
    let back = unsafe { ((copies + 8) as *const u32).read_volatile() };
    let distance = ((back << 6) as i32 >> 4) as i64;
    let probed = (copies + 4).wrapping_add_signed(distance);
    match table::find(probed) {
        Some(site) if matches!(site.copies(), Some(own) if own == copies) => Some((site, offset)),
        _ => None,
    }
}

/// The masks that the engine sets while a copy runs (K8), and that a copy for a context with open interrupts opens again.
pub const OPENED: Daif = Daif::I.union(Daif::F);
