//! MDSCR_EL1 (DDI 0487 D24.3.20). The register is read, changed and written back only with D masked (rule I2).

use core::arch::asm;

/// Software step is enabled.
pub const SS: u64 = 1 << 0;
/// EL0 may not use the registers of the debug communications channel: its accesses trap. Always set.
pub const TDCC: u64 = 1 << 12;
/// Debug exceptions are enabled from EL1, not only from EL0.
pub const KDE: u64 = 1 << 13;
/// Breakpoints and watchpoints are enabled.
pub const MDE: u64 = 1 << 15;

/// The current value. Any context.
#[inline(always)]
pub fn read() -> u64 {
    let value: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, mdscr_el1", out(reg) value, options(nostack, preserves_flags)) }
    value
}

/// Writes the register. D must be masked, and the caller executes an ISB before it opens D.
#[inline(always)]
pub fn write(value: u64) {
    debug_assert!(
        super::daif::read().contains(rules::pstate::Daif::D),
        "rule I2 violated: MDSCR_EL1 written with D open"
    );
    // SAFETY: D is masked, so no debug exception can be taken here.
    unsafe { asm!("msr mdscr_el1, {}", in(reg) value, options(nostack, preserves_flags)) }
}
