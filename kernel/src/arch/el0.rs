//! What programs at EL0 may do without a trap, on each CPU.

use super::barrier;

/// SCTLR_EL1.SA0 (DDI 0487 D24.2, "SCTLR_EL1"): an access by SP at EL0 faults if SP is no multiple of 16, as Linux has it.
const SA0: u64 = 1 << 4;
/// The same register: DC ZVA, CTR_EL0, WFI, WFE and the cache maintenance that makes text visible.
const DZE: u64 = 1 << 14;
const UCT: u64 = 1 << 15;
const NTWI: u64 = 1 << 16;
const NTWE: u64 = 1 << 18;
const UCI: u64 = 1 << 26;
/// SCTLR_EL1.SPAN: 0 sets PSTATE.PAN at each exception to EL1. Without FEAT_PAN the bit is RES1.
const SPAN: u64 = 1 << 23;
/// TCR_EL1: walks by TTBR0_EL1, 16 bits of ASID, the top byte of addresses of EL0 ignored.
const EPD0: u64 = 1 << 7;
const AS: u64 = 1 << 36;
const TBI0: u64 = 1 << 37;
/// CPACR_EL1.FPEN: SIMD and floating point at EL0 and EL1. The kernel uses them to save and load them only.
const FPEN: u64 = 3 << 20;
/// CNTKCTL_EL1.EL0VCTEN: the virtual counter.
const EL0VCTEN: u64 = 1 << 1;

/// Lets EL0 run on this CPU. TTBR0_EL1 has empty tables already. Called when the CPU comes up, with D, A, I, F masked.
#[unsafe(link_section = ".noprobe.text")]
pub fn init_cpu() {
    let has = |register: u64, field: u64| register >> field & 0xf != 0;
    let pan = has(crate::read_sysreg!("id_aa64mmfr1_el1"), 20);
    let mut sctlr = crate::read_sysreg!("sctlr_el1") | SA0 | DZE | UCT | NTWI | NTWE | UCI;
    if pan {
        sctlr &= !SPAN;
    }
    crate::write_sysreg!("sctlr_el1", sctlr);
    crate::write_sysreg!("cpacr_el1", FPEN);
    crate::write_sysreg!("cntkctl_el1", EL0VCTEN);
    // Event counters and activity monitors: EL0 may not use them. Both registers are UNKNOWN out of reset, and exist with their feature only
    // (ID_AA64DFR0_EL1.PMUVer, where 15 is none that the architecture has; ID_AA64PFR0_EL1.AMU).
    if !matches!(crate::read_sysreg!("id_aa64dfr0_el1") >> 8 & 0xf, 0 | 0xf) {
        crate::write_sysreg!("pmuserenr_el0", 0);
    }
    if has(crate::read_sysreg!("id_aa64pfr0_el1"), 44) {
        // AMUSERENR_EL0, whose name assemblers know from v8.4 on.
        crate::write_sysreg!("S3_3_C13_C2_3", 0);
    }
    crate::write_sysreg!("tpidr_el0", 0);
    crate::write_sysreg!("tpidrro_el0", 0);
    // ID_AA64MMFR0_EL1.ASIDBits: 2 for 16 bits.
    let wide = crate::read_sysreg!("id_aa64mmfr0_el1") >> 4 & 0xf == 2;
    let tcr = crate::read_sysreg!("tcr_el1") & !EPD0 | TBI0 | if wide { AS } else { 0 };
    crate::write_sysreg!("tcr_el1", tcr);
    barrier::isb();
    // The TLB may hold what these fields decide with each translation (DDI 0487 D8, "Translation Lookaside Buffers").
    // SAFETY: drops cached translations.
    unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags)) };
    if pan {
        // MSR PAN, #1 by its word: assemblers know the name only if the architecture is v8.1 or later.
        // SAFETY: the kernel accesses user memory by LDTR and STTR only.
        unsafe { core::arch::asm!(".inst 0xd500419f", options(nostack, preserves_flags)) };
    }
}
