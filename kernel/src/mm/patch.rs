//! Writes kernel text, through a temporary writable alias.
//!
//! This module does not prevent other CPUs from executing a word while it is written. Where rule K3 demands that, the
//! caller holds the other CPUs by `smp::rendezvous`.

use super::layout::PAGE;
use super::tables::{patch_alias, set_patch_alias};
use crate::percpu;
use core::arch::asm;

/// Writes words of the kernel's text through an alias of their page. The alias stays until a word of another page is
/// written or the value is dropped, because unmapping the alias costs an invalidation on all CPUs. Unmapping also
/// executes the ISB that this CPU needs before it executes the written words.
///
/// While the value lives, interrupts must be off. Not in a debug context. Each CPU has one alias, so nobody else may write text on
/// this CPU meanwhile.
pub struct Patch {
    cpu: usize,
    /// The page that the alias maps.
    page: Option<usize>,
}

impl Patch {
    /// A writer whose alias maps nothing yet.
    #[inline]
    pub fn on_this_cpu() -> Self {
        Self { cpu: percpu::index(), page: None }
    }

    /// Writes one word, or adjacent words that nobody executes yet, and makes them visible to instruction fetch on all CPUs. Each
    /// CPU still needs an ISB before it executes them; this CPU executes its ISB when the alias is unmapped.
    ///
    /// # Panics
    /// If the words are not aligned, or not all in one page of the kernel's text.
    #[inline(never)]
    pub fn write(&mut self, address: usize, words: &[u32]) {
        let page = address & !(PAGE - 1);
        let inside = address.is_multiple_of(4) && address - page + size_of_val(words) <= PAGE;
        let Some(physical) = super::text_physical(page).filter(|_| inside) else {
            panic!("{address:#x} is not an instruction of the kernel's text")
        };
        if self.page != Some(page) {
            self.unmap();
            set_patch_alias(self.cpu, Some(physical));
            self.page = Some(page);
        }
        let target = (patch_alias(self.cpu) + (address - page)) as *mut u32;
        for (index, &word) in words.iter().enumerate() {
            // SAFETY: the alias maps the page that holds the words, read-write, for this CPU only.
            unsafe { target.add(index).write_volatile(word) };
        }
        synchronise(target as usize, address, size_of_val(words));
    }

    #[inline]
    fn unmap(&mut self) {
        if self.page.take().is_some() {
            set_patch_alias(self.cpu, None);
        }
    }
}

impl Drop for Patch {
    #[inline]
    fn drop(&mut self) {
        self.unmap();
    }
}

/// Writes one instruction word, as [`Patch::write`] does.
///
/// Interrupts must be off. Not in a debug context.
///
/// # Panics
/// If the address is not aligned or not in the kernel's text.
pub fn write_text(address: usize, word: u32) {
    write_words(address, &[word]);
}

/// Writes words, as [`Patch::write`] does.
///
/// Interrupts must be off. Not in a debug context.
///
/// # Panics
/// If the words are not aligned, or not all in one page of the kernel's text.
pub fn write_words(address: usize, words: &[u32]) {
    Patch::on_this_cpu().write(address, words);
}

/// Cleans the data cache to the point of unification by the alias, then invalidates the instruction cache by the address that is
/// executed, line by line (DDI 0487 B2, "Synchronization and coherency issues between data and instruction accesses").
#[inline(always)]
fn synchronise(alias: usize, address: usize, length: usize) {
    // CTR_EL0.DminLine and IminLine: log2 of the number of words in the smallest line.
    let ctr = crate::read_sysreg!("ctr_el0");
    let (data, instruction) = (4 << (ctr >> 16 & 0xf), 4 << (ctr & 0xf));
    let mut line = alias & !(data - 1);
    while line < alias + length {
        // SAFETY: maintenance of a line that is mapped.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
        line += data;
    }
    // The lines are clean before the instruction cache reads them again (the same section).
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    let mut line = address & !(instruction - 1);
    while line < address + length {
        // SAFETY: as above.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
        line += instruction;
    }
    // Every CPU has dropped the old instructions before anything tells it to go on (the same section).
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
}
