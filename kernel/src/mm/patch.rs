//! Writing kernel text, through a temporary writable alias.
//!
//! Whether other CPUs may execute the word meanwhile is rule K3's business: see `smp::rendezvous` for what may not.

use super::layout::{self, PAGE};
use super::tables::set_patch_alias;
use crate::percpu;
use core::arch::asm;

/// Writes one instruction word and makes it visible to instruction fetch on all CPUs; each still owes an ISB.
///
/// Interrupts must be off (the alias is this CPU's) and no debug context (a lock is taken).
///
/// # Panics
/// If the address is not an aligned one in the kernel's text.
pub fn write_text(address: usize, word: u32) {
    assert!(
        address.is_multiple_of(4) && (layout::text_start()..layout::text_end()).contains(&address),
        "{address:#x} is not an instruction of the kernel's text"
    );
    let alias = layout::PATCH + percpu::index() * 2 * PAGE;
    let page = address & !(PAGE - 1);
    set_patch_alias(alias, Some(super::image_physical(page)));
    let target = (alias + (address - page)) as *mut u32;
    // SAFETY: the alias maps the page that holds `address`, read-write, for this CPU only.
    unsafe {
        target.write_volatile(word);
        // Data side to the point of unification by the alias, then the instruction side by the address that is executed
        // (DDI 0487 B2.7.4.2).
        asm!(
            "dc cvau, {alias}",
            "dsb ish",
            "ic ivau, {address}",
            "dsb ish",
            "isb",
            alias = in(reg) target,
            address = in(reg) address,
            options(nostack, preserves_flags),
        );
    }
    set_patch_alias(alias, None);
}
