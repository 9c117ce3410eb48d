//! Writing kernel text, through a temporary writable alias.
//!
//! Whether other CPUs may execute the word meanwhile is rule K3's business: see `smp::rendezvous` for what may not.

use super::layout::PAGE;
use super::tables::{patch_alias, set_patch_alias};
use crate::percpu;
use core::arch::asm;

/// Writes words of the kernel's text, and keeps the alias of a page until another page is written or this is dropped: to take
/// one away costs an invalidation on all CPUs. The ISB that this CPU owes for what was written is made when the alias goes.
///
/// Interrupts must be off as long as there is one (the alias is this CPU's) and no debug context (a lock is taken).
pub struct Patch {
    cpu: usize,
    /// The one whose alias there is.
    page: Option<usize>,
}

impl Patch {
    /// Nothing is mapped yet.
    #[inline]
    pub fn on_this_cpu() -> Self {
        Self { cpu: percpu::index(), page: None }
    }

    /// Writes words in a row that nobody executes yet, or one, and makes them visible to instruction fetch on all CPUs; each still
    /// owes an ISB, this CPU until the alias is taken away.
    ///
    /// # Panics
    /// If they are not aligned words of one page of the kernel's text.
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
/// Interrupts must be off, and no debug context.
///
/// # Panics
/// If the address is not an aligned one in the kernel's text.
pub fn write_text(address: usize, word: u32) {
    write_words(address, &[word]);
}

/// Writes words, as [`Patch::write`] does.
///
/// Interrupts must be off, and no debug context.
///
/// # Panics
/// If they are not aligned words of one page of the kernel's text.
pub fn write_words(address: usize, words: &[u32]) {
    Patch::on_this_cpu().write(address, words);
}

/// Data side to the point of unification by the alias, then the instruction side by the address that is executed, a line at a
/// time (DDI 0487 B2.7.4.2).
#[inline(always)]
fn synchronise(alias: usize, address: usize, length: usize) {
    // CTR_EL0.DminLine and IminLine: log2 of the words in the smallest line.
    let ctr = crate::read_sysreg!("ctr_el0");
    let (data, instruction) = (4 << (ctr >> 16 & 0xf), 4 << (ctr & 0xf));
    let mut line = alias & !(data - 1);
    while line < alias + length {
        // SAFETY: maintenance of a line that is mapped.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
        line += data;
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    let mut line = address & !(instruction - 1);
    while line < address + length {
        // SAFETY: as above.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
        line += instruction;
    }
    // SAFETY: a barrier.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
}
