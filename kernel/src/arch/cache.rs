//! Cache maintenance for memory that is to be executed.

use super::barrier;
use core::arch::asm;

/// Has every CPU execute what was written to this memory: cleans the data cache to the point of unification, and invalidates the
/// instruction caches (DDI 0487 B2, "Synchronization and coherency issues between data and instruction accesses"). A CPU that runs the new text synchronises by its exception return. Any context.
pub fn make_executable(address: usize, length: usize) {
    // CTR_EL0: DIC (bit 29) and IDC (bit 28) say what need not be done; the lines' sizes are 4 << DminLine and 4 << IminLine.
    let ctr = crate::read_sysreg!("ctr_el0");
    let lines = |field: u64| (address..address + length).step_by(4 << (ctr >> field & 0xf));
    if ctr & 1 << 28 == 0 {
        for line in lines(16) {
            // SAFETY: cleaning changes no content.
            unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
        }
    }
    barrier::dsb_ish();
    // CTR_EL0.L1Ip: only a PIPT cache (3) is reached by any address of the memory; `address` may be another one than the program's.
    if ctr >> 14 & 3 != 3 {
        // SAFETY: invalidating instructions changes no content.
        unsafe { asm!("ic ialluis", options(nostack, preserves_flags)) };
        barrier::dsb_ish();
    } else if ctr & 1 << 29 == 0 {
        for line in lines(0) {
            // SAFETY: invalidating instructions changes no content.
            unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
        }
        barrier::dsb_ish();
    }
}
