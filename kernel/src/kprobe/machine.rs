//! Which features of the CPU the `probe` crate has to know.

use crate::read_sysreg;
use probe::{Bti, Cpu};

/// Which pointer authentication keys are on, and which instructions the CPU has. Thread context.
pub fn cpu() -> Cpu {
    // S3_0_C0_C6_2 is ID_AA64ISAR2_EL1, whose name older assemblers do not know.
    Cpu::of(read_sysreg!("sctlr_el1"), read_sysreg!("id_aa64isar1_el1"), read_sysreg!("S3_0_C0_C6_2"))
}

/// What becomes of BTYPE at an indirect branch: no page of the kernel is guarded. Any context.
#[inline(always)]
pub fn bti() -> Bti {
    const BT: u64 = 0xf;
    if read_sysreg!("id_aa64pfr1_el1") & BT == 0 { Bti::Absent } else { Bti::Unguarded }
}
