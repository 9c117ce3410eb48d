//! What the `probe` crate asks to be told of the CPU.

use crate::read_sysreg;
use probe::{Bti, Cpu};

/// Keys and instructions. Thread context.
pub fn cpu() -> Cpu {
    // ID_AA64ISAR2_EL1, by number: older assemblers do not know it.
    Cpu::of(read_sysreg!("sctlr_el1"), read_sysreg!("id_aa64isar1_el1"), read_sysreg!("S3_0_C0_C6_2"))
}

/// What becomes of BTYPE at an indirect branch: no page of the kernel is guarded. Any context.
#[inline(always)]
pub fn bti() -> Bti {
    const BT: u64 = 0xf;
    if read_sysreg!("id_aa64pfr1_el1") & BT == 0 { Bti::Absent } else { Bti::Unguarded }
}
