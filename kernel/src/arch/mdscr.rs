//! MDSCR_EL1 (DDI 0487 D24.3.20), read-modified-written with D masked only (rule I2).

use core::arch::asm;

/// Software step.
pub const SS: u64 = 1 << 0;
/// Debug exceptions from EL1 to EL1.
pub const KDE: u64 = 1 << 13;
/// Breakpoints and watchpoints.
pub const MDE: u64 = 1 << 15;

/// The register now. Any context.
#[inline(always)]
pub fn read() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, mdscr_el1", out(reg) value, options(nostack, preserves_flags)) }
    value
}

/// Writes the register; an ISB is the caller's. D must be masked.
#[inline(always)]
pub fn write(value: u64) {
    debug_assert!(
        super::daif::read().contains(rules::pstate::Daif::D),
        "rule I2 violated: MDSCR_EL1 written with D open"
    );
    // SAFETY: with D masked no debug exception can come of it here.
    unsafe { asm!("msr mdscr_el1, {}", in(reg) value, options(nostack, preserves_flags)) }
}
