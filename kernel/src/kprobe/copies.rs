//! The pages in which displaced instructions run: executable, written through the patch alias only.

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

/// Which are free: copies from the start of the pages, trampolines from their end.
struct Free {
    /// Copies that were in use.
    given: Vec<usize>,
    /// Copies from this one on never were.
    fresh: usize,
    /// Trampolines that were in use.
    given_trampolines: Vec<usize>,
}

static FREE: SpinLock<Free> =
    SpinLock::new(Free { given: Vec::new(), fresh: 0, given_trampolines: Vec::new() });

/// Bytes of trampolines at the end of the pages, in use or not. Changed under `FREE`.
#[unsafe(link_section = ".noprobe.data")]
static TRAMPOLINES: AtomicUsize = AtomicUsize::new(0);

/// Whether `copies` copies and so many bytes of trampolines fit in.
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

/// Writes a site's copies, one line, which nobody executes yet. As for [`Patch`].
pub fn write(site: &Site, patch: &mut Patch) {
    if let How::OutOfLine(instruction, at) = site.how
        && let Some(copies) = Copies::new(instruction, at, site.address)
    {
        patch.write(at as usize, copies.words());
    }
}

/// Gives copies back that no CPU can be in any more. Thread context.
pub fn give(copies: u64) {
    FREE.lock().given.push((copies as usize - layout::COPIES) / Copies::BYTES);
}

/// Writes the trampoline that `make` makes for an address. Returns that; None if there is no room, or it does not reach.
/// Thread context.
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
    // Nobody executes it yet.
    patch::write_words(at, trampoline.words());
    Some(at as u64)
}

/// Gives a trampoline back that no CPU can be in any more. Thread context.
pub fn give_trampoline(at: u64) {
    FREE.lock().given_trampolines.push(at as usize);
}

/// The trampoline that `pc` is in, and the offset there.
#[inline(always)]
pub fn trampoline(pc: u64) -> Option<(u64, u64)> {
    let all = layout::copies();
    if (pc as usize) < all.end - TRAMPOLINES.load(Relaxed) || pc as usize >= all.end {
        return None;
    }
    let line = Trampoline::BYTES as u64 - 1;
    Some((pc & !line, pc & line))
}

/// The copies that `pc` is in, and the offset in them.
#[inline(always)]
fn place(pc: u64) -> Option<(u64, u64)> {
    let (line, all) = (Copies::BYTES as u64 - 1, layout::copies());
    if (pc as usize) < all.start || pc as usize >= all.end - TRAMPOLINES.load(Relaxed) {
        return None;
    }
    Some((pc & !line, pc & line))
}

/// The site whose copies `pc` is in, and the offset there. Debug context, or a masked one.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn site_of(pc: u64) -> Option<(&'static Site, u64)> {
    let (copies, offset) = place(pc)?;
    // The branch back says whose they are.
    // SAFETY: the copies are mapped readable.
    let back = unsafe { ((copies + 8) as *const u32).read_volatile() };
    let distance = ((back << 6) as i32 >> 4) as i64;
    let probed = (copies + 4).wrapping_add_signed(distance);
    match table::find(probed) {
        Some(site) if matches!(site.copies(), Some(own) if own == copies) => Some((site, offset)),
        _ => None,
    }
}

/// The masks of a context that runs the copies for open interrupts.
pub const OPENED: Daif = Daif::I.union(Daif::F);
