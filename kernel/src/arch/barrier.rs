//! Barriers. Each is a compiler barrier too: no memory access moves across.

use core::arch::asm;

/// Context synchronisation (DDI 0487 B2.6.1): what was written to system registers is in force behind it.
#[inline(always)]
pub fn isb() {
    // SAFETY: an ISB changes no state that Rust knows of.
    unsafe { asm!("isb", options(nostack, preserves_flags)) }
}

/// Completes all earlier memory accesses and maintenance for the inner shareable domain.
#[inline(always)]
pub fn dsb_ish() {
    // SAFETY: a DSB changes no state that Rust knows of.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) }
}

/// Earlier loads come before all later accesses.
#[inline(always)]
pub fn load_acquire() {
    // SAFETY: a DMB changes no state that Rust knows of.
    unsafe { asm!("dmb ishld", options(nostack, preserves_flags)) }
}

/// Waits for an interrupt. A masked one ends the wait too if only PSTATE masks it.
#[inline(always)]
pub fn wfi() {
    // SAFETY: waits, nothing else.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) }
}

/// Tells the CPU, or an emulator that runs CPUs in turns, that this one waits for another. For every loop that spins.
#[inline(always)]
pub fn relax() {
    // SAFETY: a hint.
    unsafe { asm!("yield", options(nostack, preserves_flags)) }
}
