//! Barriers. Each is a compiler barrier too: the compiler moves no memory access across it.

use core::arch::asm;

/// Context synchronisation (DDI 0487 B2.6.1, D24.1.2.2): earlier writes of system registers are in force for the instructions behind the ISB.
#[inline(always)]
pub fn isb() {
    // SAFETY: an ISB changes no state that Rust knows of.
    unsafe { asm!("isb", options(nostack, preserves_flags)) }
}

/// Completes all earlier memory accesses and cache maintenance for the inner shareable domain (DDI 0487 B2, "Data Synchronization
/// Barrier").
#[inline(always)]
pub fn dsb_ish() {
    // SAFETY: a DSB changes no state that Rust knows of.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) }
}

/// Completes all earlier stores for the inner shareable domain, table walks of other CPUs included (the same section).
#[inline(always)]
pub fn dsb_ishst() {
    // SAFETY: a DSB changes no state that Rust knows of.
    unsafe { asm!("dsb ishst", options(nostack, preserves_flags)) }
}

/// Earlier loads are observed before all later accesses (DDI 0487 B2, "Data Memory Barrier").
#[inline(always)]
pub fn load_acquire() {
    // SAFETY: a DMB changes no state that Rust knows of.
    unsafe { asm!("dmb ishld", options(nostack, preserves_flags)) }
}

/// Waits for an interrupt. An interrupt that only PSTATE masks ends the wait too.
#[inline(always)]
pub fn wfi() {
    // SAFETY: the instructions only wait.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) }
}

/// Tells the CPU that it waits for another one, so that an emulator that runs CPUs in turns runs the other. For loops that spin.
#[inline(always)]
pub fn relax() {
    // SAFETY: YIELD is a hint.
    unsafe { asm!("yield", options(nostack, preserves_flags)) }
}
