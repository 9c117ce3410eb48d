//! What the boot code leaves behind on every CPU: EL1's registers hold known values (H8), and EL2 traps nothing that EL1 does.
//!
//! The boots `dirty.` of `qemu-test` run these tests on CPUs whose registers held garbage before the kernel was entered.

use crate::support::on_every_cpu;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, suite};
use kernel::arch::{barrier, mdscr};
use kernel::{read_sysreg, write_sysreg};

suite!("rule-boot":
    the_registers_of_el1_have_a_known_value,
    what_el1_may_do_does_not_trap,
);

/// A field of four bits of an ID register.
fn field(id: u64, at: u32) -> u64 {
    id >> at & 0xf
}

fn the_registers_of_el1_have_a_known_value() -> Outcome {
    on_every_cpu(|| {
        /// The value `SCTLR_MMU_ON` of the boot code. WXN is clear: programs may have memory that they write and execute.
        const MMU_ON: u64 = 0x30d0_180d;
        /// For programs: SA0, DZE, UCT, nTWI, nTWE, UCI.
        const FOR_EL0: u64 = 1 << 4 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 18 | 1 << 26;
        const SPAN: u64 = 1 << 23;
        // An exception sets PSTATE.PAN, if the CPU has it.
        let pan = field(read_sysreg!("id_aa64mmfr1_el1"), 20) != 0;
        let span = if pan { 0 } else { SPAN };
        check_eq!(read_sysreg!("sctlr_el1"), (MMU_ON | FOR_EL0) & !SPAN | span);
        check_eq!(mdscr::read(), mdscr::TDCC);
        if !matches!(field(read_sysreg!("id_aa64dfr0_el1"), 8), 0 | 0xf) {
            check_eq!(read_sysreg!("pmuserenr_el0"), 0, "EL0 has no event counters");
        }
        if field(read_sysreg!("id_aa64pfr0_el1"), 44) != 0 {
            check_eq!(read_sysreg!("s3_3_c13_c2_3"), 0, "AMUSERENR_EL0: EL0 has no activity monitors");
        }
        check_eq!(read_sysreg!("cpacr_el1"), 3 << 20, "FPEN");
        check_eq!(read_sysreg!("cntkctl_el1"), 1 << 1, "EL0VCTEN");
        check_eq!(read_sysreg!("oslsr_el1") & 1 << 1, 0, "the OS lock");
        check_eq!(read_sysreg!("osdlr_el1"), 0);
        let mmfr3 = read_sysreg!("s3_0_c0_c7_3");
        if field(mmfr3, 0) != 0 {
            check_eq!(read_sysreg!("s3_0_c2_c0_3"), 0, "TCR2_EL1");
        }
        if field(mmfr3, 4) != 0 {
            check_eq!(read_sysreg!("s3_0_c1_c0_3"), 0, "SCTLR2_EL1");
        }
        // CNTVOFF_EL2 is 0, so the physical and the virtual counter have the same value.
        barrier::isb();
        let physical = read_sysreg!("cntpct_el0");
        barrier::isb();
        let after = read_sysreg!("cntvct_el0").wrapping_sub(physical);
        check!(after < kernel::drivers::timer::frequency(), "CNTVCT_EL0 is {after:#x} ahead");
        Ok(())
    })
}

/// Executes everything that a CPU has at EL1 and that EL2 could trap. A trap ends the machine.
fn what_el1_may_do_does_not_trap() -> Outcome {
    static TRIED: AtomicU64 = AtomicU64::new(0);
    TRIED.store(0, Relaxed);
    on_every_cpu(|| {
        const ALL_OPEN: u64 = 3 << 16 | 3 << 20 | 3 << 24;
        let before = read_sysreg!("cpacr_el1");
        // All traps of CPACR_EL1 are opened, because some registers below belong to SIMD&FP and its extensions. The code below uses
        // no SIMD&FP register itself.
        write_sysreg!("cpacr_el1", ALL_OPEN);
        barrier::isb();
        let tried = try_all();
        write_sysreg!("cpacr_el1", before);
        barrier::isb();
        TRIED.fetch_add(tried, Relaxed);
        Ok(())
    })?;
    check!(TRIED.load(Relaxed) >= 12, "{} accesses tried", TRIED.load(Relaxed));
    Ok(())
}

/// Reads the registers that the CPU has, and returns how many it has read.
macro_rules! try_reads {
    ($($has:expr => $($register:literal)+;)*) => {{
        let mut tried = 0;
        $(if $has {
            $(let _ = read_sysreg!($register); tried += 1;)+
        })*
        tried
    }};
}

fn try_all() -> u64 {
    let (pfr0, pfr1) = (read_sysreg!("id_aa64pfr0_el1"), read_sysreg!("id_aa64pfr1_el1"));
    let (dfr0, mmfr1) = (read_sysreg!("id_aa64dfr0_el1"), read_sysreg!("id_aa64mmfr1_el1"));
    let (isar1, isar2) = (read_sysreg!("id_aa64isar1_el1"), read_sysreg!("s3_0_c0_c6_2"));
    let mmfr3 = read_sysreg!("s3_0_c0_c7_3");
    let keys = field(isar1, 4) | field(isar1, 8) | field(isar2, 12);
    let generic = field(isar1, 24) | field(isar1, 28) | field(isar2, 8);
    let pmu = field(dfr0, 8);
    let mut tried = try_reads! {
        true => "cntpct_el0" "cntp_ctl_el0" "cntp_cval_el0" "cntv_ctl_el0" "midr_el1" "mpidr_el1" "actlr_el1" "isr_el1"
            "ccsidr_el1" "dbgbvr0_el1" "dbgbcr0_el1" "dbgwvr0_el1" "dbgwcr0_el1" "mdscr_el1" "oslsr_el1" "osdlr_el1" "par_el1"
            "s3_3_c4_c4_0" "s3_3_c4_c4_1" "contextidr_el1" "tcr_el1" "ttbr1_el1";
        field(pfr0, 24) != 0 && kernel::drivers::gic::version() == Ok(3) => "s3_0_c12_c12_5" "icc_pmr_el1" "icc_rpr_el1";
        field(pfr0, 28) != 0 => "s3_0_c5_c3_0"; // ERRIDR_EL1
        field(pfr0, 32) != 0 => "s3_0_c1_c2_0"; // ZCR_EL1
        field(pfr0, 40) | field(pfr1, 16) != 0 => "s3_0_c10_c5_0"; // MPAM1_EL1
        field(pfr0, 44) != 0 => "s3_3_c13_c2_0"; // AMCR_EL0
        field(pfr0, 56) >= 2 => "s3_0_c13_c0_7"; // SCXTNUM_EL1
        field(pfr1, 8) >= 2 => "s3_0_c1_c0_6" "s3_0_c5_c6_0"; // GCR_EL1, TFSR_EL1
        field(pfr1, 24) != 0 => "s3_0_c1_c2_6" "s3_3_c13_c0_5" "s3_0_c1_c2_4"; // SMCR_EL1, TPIDR2_EL0, SMPRI_EL1
        field(pfr1, 44) != 0 => "s3_0_c2_c5_0"; // GCSCR_EL1
        field(mmfr1, 16) != 0 => "s3_0_c10_c4_3"; // LORC_EL1
        field(mmfr3, 0) != 0 => "s3_0_c2_c0_3"; // TCR2_EL1
        field(mmfr3, 4) != 0 => "s3_0_c1_c0_3"; // SCTLR2_EL1
        field(mmfr3, 8) != 0 => "s3_0_c10_c2_2" "s3_0_c10_c2_3"; // PIRE0_EL1, PIR_EL1
        field(mmfr3, 16) != 0 => "s3_0_c10_c2_4"; // POR_EL1
        field(dfr0, 0) >= 11 => "s2_0_c0_c4_2"; // MDSELR_EL1
        field(dfr0, 52) != 0 => "s2_1_c9_c0_0"; // BRBCR_EL1
        pmu != 0 && pmu != 0xf => "pmcr_el0" "pmccntr_el0" "pmcntenset_el0";
        keys != 0 => "s3_0_c2_c1_0"; // APIAKeyLo_EL1
    };
    if keys != 0 {
        // APIAKeyLo_EL1. The kernel uses no key, so any value may be written.
        write_sysreg!("s3_0_c2_c1_0", 0x1234);
        tried += 1;
    }
    if generic != 0 {
        // SAFETY: PACGA X0, X1, X2.
        unsafe { asm!(".inst 0x9ac23020", out("x0") _, in("x1") 1, in("x2") 2, options(nomem, nostack)) };
        tried += 1;
    }
    tried
}
