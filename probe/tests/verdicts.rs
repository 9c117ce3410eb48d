//! Verdicts on single instructions: those that the specification lists, and those that other implementations of kprobes got wrong.
use stepwell_probe::ool::{self, Copies};
use stepwell_probe::sim::{Literal, Sim, VectorSize};
use stepwell_probe::{Class, Reason, classify};

#[track_caller]
fn refused(reason: Reason, words: &[u32]) {
    for &word in words {
        assert_eq!(classify(word), Class::Refuse(reason), "{word:#010x}");
    }
}

#[track_caller]
fn out_of_line(words: &[u32]) {
    for &word in words {
        assert!(matches!(classify(word), Class::OutOfLine(_)), "{word:#010x}");
    }
}

/// The kprobe crate takes all of these out of line.
#[test]
fn what_must_not_run_out_of_line() {
    assert_eq!(classify(0x9000_0000), Class::Simulate(Sim::Adrp { rd: 0, pages: 0 }));
    assert_eq!(
        classify(0x5800_0040),
        Class::Simulate(Sim::LoadLiteral { rt: 0, kind: Literal::Double, offset: 8 })
    );
    refused(Reason::AuthenticatedBranch, &[0xd73f_0801, 0xd65f_0bff]); // blraa x0, x1; retaa
    refused(Reason::ExceptionReturn, &[0xd69f_03e0]);
    refused(Reason::Exclusive, &[0xc85f_7c00, 0xc801_7c02]);
}

#[test]
fn authenticated_branches() {
    refused(
        Reason::AuthenticatedBranch,
        &[
            0xd71f_0801,
            0xd71f_0c01,
            0xd61f_081f,
            0xd61f_0c1f, // braa, brab, braaz, brabz
            0xd73f_0801,
            0xd73f_0c01,
            0xd63f_081f,
            0xd63f_0c1f, // blraa, blrab, blraaz, blrabz
            0xd65f_0bff,
            0xd65f_0fff,
            0xd65f_0be3,
            0xd65f_0fe3, // retaa, retab, retaasppcr, retabsppcr
            0x5500_001f,
            0x5520_001f, // retaasppc, retabsppc
        ],
    );
    refused(Reason::PcAuthentication, &[0xf380_001f, 0xdac1_a3fe, 0xdac1_83fe, 0xd503_24ff]); // autiasppc, paciasppc, pacnbiasppc, pacm
    // Signing and authenticating data, the link register among it, is what the key makes of it anywhere.
    out_of_line(&[0xd503_233f, 0xd503_23bf, 0xdac1_0020, 0xd503_20ff, 0xf820_0420]); // paciasp, autiasp, pacia, xpaclri, ldraa
}

#[test]
fn exceptions() {
    refused(
        Reason::ExceptionGeneration,
        &[0xd400_0001, 0xd400_0002, 0xd400_0003, 0xd4a0_0001, 0xd4a0_0002, 0xd4a0_0003],
    );
    refused(Reason::Breakpoint, &[0xd420_0000, ool::brk(ool::KPROBE), 0xd440_0000]);
    refused(Reason::ExceptionReturn, &[0xd69f_03e0, 0xd69f_0bff, 0xd69f_0fff, 0xd6bf_03e0]);
    refused(Reason::Udf, &[0x0000_0000, 0x0000_ffff]);
    refused(Reason::Unallocated, &[0x0001_0000, 0xd400_0000, 0xd400_0005, 0xe3ff_ffff]);
    // br, blr, ret with bit 31 clear.
    refused(Reason::Unallocated, &[0x561f_0000, 0x563f_0000, 0x565f_03c0]);
}

#[test]
fn processor_state() {
    // msr daifset, daifclr, allint; msr and mrs daif, allint
    refused(
        Reason::InterruptMasks,
        &[
            0xd503_42df,
            0xd503_4fff,
            0xd501_401f,
            0xd501_411f,
            0xd51b_4220,
            0xd53b_4220,
            0xd518_4300,
            0xd538_4300,
        ],
    );
    refused(Reason::StackSelect, &[0xd500_40bf, 0xd500_41bf, 0xd518_4200, 0xd538_4200]);
    // pan, uao, dit, ssbs, tco, svcr (smstart); immediate, then register
    refused(
        Reason::PstateWrite,
        &[0xd500_419f, 0xd500_417f, 0xd503_415f, 0xd503_413f, 0xd503_419f, 0xd503_477f],
    );
    refused(
        Reason::PstateWrite,
        &[0xd518_4260, 0xd518_4280, 0xd51b_42a0, 0xd51b_42c0, 0xd51b_42e0, 0xd51b_4240],
    );
    // Reading those is harmless; so is NZCV, CurrentEL, and cfinv.
    out_of_line(&[0xd538_4260, 0xd53b_42a0, 0xd53b_4200, 0xd51b_4200, 0xd538_4240, 0xd500_401f]);
}

/// MRS X0 of `op0:op1:CRn:CRm:op2`, op0 being 3.
const fn mrs(op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    0xd538_0000 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5
}

/// MSR of the same.
const fn msr(op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    mrs(op1, crn, crm, op2) & !(1 << 21)
}

/// An out-of-line copy runs with I and F masked: it would see an interrupt pending that is taken before the instruction.
#[test]
fn what_tells_of_pending_interrupts() {
    let pending = [
        (0, 12, 1, 0),  // ISR_EL1
        (0, 12, 8, 0),  // ICC_IAR0_EL1
        (0, 12, 8, 2),  // ICC_HPPIR0_EL1
        (0, 12, 9, 5),  // ICC_NMIAR1_EL1
        (0, 12, 10, 3), // ICC_HPPIR_EL1
        (0, 12, 12, 0), // ICC_IAR1_EL1
        (0, 12, 12, 2), // ICC_HPPIR1_EL1
        (0, 12, 13, 4), // ICC_PPI_CPENDR0_EL1
        (0, 12, 13, 5), // ICC_PPI_CPENDR1_EL1
        (0, 12, 13, 6), // ICC_PPI_SPENDR0_EL1
        (0, 12, 13, 7), // ICC_PPI_SPENDR1_EL1
        (4, 12, 11, 2), // ICH_MISR_EL2
        (3, 14, 2, 1),  // CNTP_CTL_EL0
        (3, 14, 3, 1),  // CNTV_CTL_EL0
        (4, 14, 2, 1),  // CNTHP_CTL_EL2
        (4, 14, 3, 1),  // CNTHV_CTL_EL2
        (4, 14, 4, 1),  // CNTHVS_CTL_EL2
        (4, 14, 5, 1),  // CNTHPS_CTL_EL2
        (5, 14, 2, 1),  // CNTP_CTL_EL02
        (5, 14, 3, 1),  // CNTV_CTL_EL02
        (7, 14, 2, 1),  // CNTPS_CTL_EL1
        (3, 9, 12, 3),  // PMOVSCLR_EL0
        (3, 9, 14, 3),  // PMOVSSET_EL0
        (0, 9, 10, 3),  // PMBSR_EL1
        (4, 9, 10, 3),  // PMBSR_EL2
        (0, 9, 11, 3),  // TRBSR_EL1
        (4, 9, 11, 3),  // TRBSR_EL2
    ];
    for (op1, crn, crm, op2) in pending {
        refused(Reason::InterruptState, &[mrs(op1, crn, crm, op2)]);
        out_of_line(&[msr(op1, crn, crm, op2)]);
    }
    let priority = [
        (0, 4, 6, 0),   // ICC_PMR_EL1
        (0, 12, 11, 3), // ICC_RPR_EL1
        (0, 12, 8, 4),  // ICC_AP0R0_EL1
        (0, 12, 8, 5),
        (0, 12, 8, 6),
        (0, 12, 8, 7),
        (0, 12, 9, 0), // ICC_AP1R0_EL1
        (0, 12, 9, 1),
        (0, 12, 9, 2),
        (0, 12, 9, 3),
        (1, 12, 0, 0), // ICC_APR_EL1
        (1, 12, 0, 2), // ICC_PCR_EL1
        (1, 12, 0, 3), // ICC_HAPR_EL1
    ];
    for (op1, crn, crm, op2) in priority {
        refused(Reason::InterruptState, &[mrs(op1, crn, crm, op2), msr(op1, crn, crm, op2)]);
    }
    refused(Reason::InterruptState, &[0xd528_c300, 0xd528_c320]); // gicr x0, cdia; gicr x0, cdnmia
    // Their neighbours: ICC_EOIR0_EL1, ICC_BPR0_EL1, ICC_CTLR_EL1, ICC_SRE_EL1, ICC_SGI1R_EL1, ICC_CR0_EL1, CNTV_CVAL_EL0,
    // CNTVCT_EL0, PMCCNTR_EL0, VBAR_EL1; gic cddi, cdpend.
    out_of_line(&[
        msr(0, 12, 8, 1),
        mrs(0, 12, 8, 3),
        mrs(0, 12, 12, 4),
        mrs(0, 12, 12, 5),
        msr(0, 12, 11, 5),
        mrs(1, 12, 0, 1),
        mrs(3, 14, 3, 2),
        mrs(3, 14, 0, 2),
        mrs(3, 9, 13, 0),
        mrs(0, 12, 0, 0),
        0xd508_c300,
        0xd508_c480,
    ]);
}

/// A copy that changes these may not be fetched any further, or its BRK may find no vectors, no stack, no per-CPU value.
#[test]
fn what_the_probe_itself_runs_by() {
    let registers = [
        (0, 1, 0, 0),  // SCTLR_EL1
        (0, 1, 0, 3),  // SCTLR2_EL1
        (0, 1, 4, 6),  // SCTLRALIAS_EL1
        (0, 1, 4, 7),  // SCTLR2ALIAS_EL1
        (0, 2, 0, 0),  // TTBR0_EL1
        (0, 2, 0, 1),  // TTBR1_EL1
        (0, 2, 0, 2),  // TCR_EL1
        (0, 2, 0, 3),  // TCR2_EL1
        (0, 2, 7, 6),  // TCRALIAS_EL1
        (0, 2, 7, 7),  // TCR2ALIAS_EL1
        (0, 4, 1, 0),  // SP_EL0
        (0, 10, 2, 0), // MAIR_EL1
        (0, 10, 2, 1), // MAIR2_EL1
        (0, 10, 2, 2), // PIRE0_EL1
        (0, 10, 2, 3), // PIR_EL1
        (0, 10, 2, 4), // POR_EL1
        (0, 10, 3, 0), // AMAIR_EL1
        (0, 10, 3, 1), // AMAIR2_EL1
        (0, 12, 0, 0), // VBAR_EL1
        (0, 13, 0, 4), // TPIDR_EL1
        (4, 1, 0, 0),  // SCTLR_EL2
        (4, 1, 1, 0),  // HCR_EL2
        (4, 1, 2, 2),  // HCRX_EL2
        (4, 2, 0, 0),  // TTBR0_EL2
        (4, 2, 0, 1),  // TTBR1_EL2
        (4, 2, 0, 2),  // TCR_EL2
        (4, 4, 1, 0),  // SP_EL1
        (4, 10, 1, 1), // MAIR2_EL2
        (4, 10, 2, 0), // MAIR_EL2
        (4, 12, 0, 0), // VBAR_EL2
        (4, 13, 0, 2), // TPIDR_EL2
        (6, 4, 1, 0),  // SP_EL2
    ];
    for (op1, crn, crm, op2) in registers {
        refused(Reason::MachineState, &[msr(op1, crn, crm, op2)]);
        out_of_line(&[mrs(op1, crn, crm, op2)]);
    }
    // In 128 bits: msrr ttbr0_el1, ttbr1_el1; mrrs and par_el1.
    refused(Reason::MachineState, &[0xd558_2000, 0xd558_2020]);
    out_of_line(&[0xd578_2000, 0xd558_7400, 0xd578_7400]);
    // TPIDR_EL0, TPIDRRO_EL0, CONTEXTIDR_EL1, CPACR_EL1, PAR_EL1, SCTLR_EL12, VBAR_EL12, VTTBR_EL2.
    for (op1, crn, crm, op2) in [
        (3, 13, 0, 2),
        (3, 13, 0, 3),
        (0, 13, 0, 1),
        (0, 1, 0, 2),
        (0, 7, 4, 0),
        (5, 1, 0, 0),
        (5, 12, 0, 0),
        (4, 2, 1, 0),
    ] {
        out_of_line(&[msr(op1, crn, crm, op2), mrs(op1, crn, crm, op2)]);
    }
}

/// DDI 0487 K1.2: CONSTRAINED UNPREDICTABLE. Each good word, and the field that should be all zeros or all ones.
#[test]
fn should_be_fields() {
    let fields = [
        (0xc8df_fc20, 16, 5, "ldar: Rs"),
        (0xc8df_fc20, 10, 5, "ldar: Rt2"),
        (0x089f_fc20, 16, 5, "stlrb: Rs"),
        (0x489f_7c20, 10, 5, "stllrh: Rt2"),
        (0xc8a0_7c02, 10, 5, "cas: Rt2"),
        (0x4820_7c02, 10, 5, "casp: Rt2"),
        (0xc980_7c02, 10, 5, "cast: Rt2"),
        (0x4980_7c02, 10, 5, "caspt: Rt2"),
        (0xf8bf_c000, 16, 5, "ldapr: Rs"),
        (0x9b43_7c26, 10, 5, "smulh: Ra"),
        (0x9bc3_7c26, 10, 5, "umulh: Ra"),
        (0x9180_0420, 14, 2, "addg: op3"),
        (0xd180_0420, 14, 2, "subg: op3"),
        (0xd503_30ff, 8, 4, "sb: CRm"),
        (0xd500_401f, 8, 4, "cfinv: CRm"),
        (0xd500_403f, 8, 4, "xaflag: CRm"),
        (0xd500_405f, 8, 4, "axflag: CRm"),
        (0x1e60_2028, 16, 5, "fcmp with zero: Rm"),
        (0x1ee0_2038, 16, 5, "fcmpe with zero: Rm"),
        (0xd508_751f, 0, 5, "ic iallu: Rt"),
        (0xd508_711f, 0, 5, "ic ialluis: Rt"),
        (0xd508_871f, 0, 5, "tlbi vmalle1: Rt"),
        (0xd508_971f, 0, 5, "tlbi vmalle1nxs: Rt"),
        (0xd50c_871f, 0, 5, "tlbi alle2: Rt"),
        (0xd50c_879f, 0, 5, "tlbi alle1: Rt"),
        (0xd50c_87df, 0, 5, "tlbi vmalls12e1: Rt"),
        (0xd50c_865f, 0, 5, "tlbi vmallws2e1: Rt"),
        (0xd50e_871f, 0, 5, "tlbi alle3: Rt"),
        (0xd50e_879f, 0, 5, "tlbi paall: Rt"),
        (0xd50e_819f, 0, 5, "tlbi paallos: Rt"),
        (0xd509_729f, 0, 5, "brb iall: Rt"),
        (0xd509_72bf, 0, 5, "brb inj: Rt"),
        (0xd508_c01f, 0, 5, "gsb sys: Rt"),
        (0xd508_c03f, 0, 5, "gsb ack: Rt"),
        (0xd508_c1ff, 0, 5, "gic cdeoi: Rt"),
    ];
    for (word, lsb, width, name) in fields {
        assert!(matches!(classify(word), Class::OutOfLine(_)), "{name}");
        for value in 1..1 << width {
            let word = word ^ value << lsb;
            assert_eq!(classify(word), Class::Refuse(Reason::Unallocated), "{name} {word:#010x}");
        }
    }
    // They have a register: tlbi vae1, vmalle1is (FEAT_TLBID), alle1os, at s1e1r, ic ivau, fcmp of two registers, madd.
    out_of_line(&[
        0xd508_8720,
        0xd508_8300,
        0xd50c_8180,
        0xd508_7800,
        0xd50b_7520,
        0x1e61_2020,
        0x1e61_2030,
        0x9b03_1026,
    ]);
}

/// A probe is itself an exception: it would be seen in these.
#[test]
fn registers_that_the_probe_overwrites() {
    // SPSR, ELR, AFSR0, AFSR1, ESR, FAR, PFAR (MFAR_EL3) of each exception level; HPFAR_EL2.
    for op1 in [0, 4, 6] {
        for (crn, crm, op2) in [(4, 0, 0), (4, 0, 1), (5, 1, 0), (5, 1, 1), (5, 2, 0), (6, 0, 0), (6, 0, 5)] {
            refused(Reason::ExceptionState, &[mrs(op1, crn, crm, op2), msr(op1, crn, crm, op2)]);
        }
    }
    refused(Reason::ExceptionState, &[mrs(4, 6, 0, 4), msr(4, 6, 0, 4)]);
    // Another kernel's, by their names for EL12; PAR_EL1, TFSR_EL1, DISR_EL1, VSESR_EL2.
    out_of_line(&[
        mrs(5, 4, 0, 0),
        mrs(5, 5, 2, 0),
        mrs(0, 7, 4, 0),
        mrs(0, 5, 6, 0),
        mrs(0, 12, 1, 1),
        mrs(4, 5, 2, 3),
    ]);
    refused(Reason::ExceptionState, &[0xd508_779f, 0xd508_77bf, 0xd508_77df]); // gcspushx, gcspopcx, gcspopx
}

#[test]
fn other_system_instructions() {
    // msr mdscr_el1, oslar_el1; mrs tpidr_el1, cntvct_el0; tlbi vmalle1; dc zva; at s1e1r; sysl; mrrs
    out_of_line(&[
        0xd510_0240,
        0xd510_1080,
        0xd538_d080,
        0xd53b_e040,
        0xd508_871f,
        0xd50b_7420,
        0xd508_7800,
        0xd52b_7420,
    ]);
    // yield, sev, sevl, esb, psb, tsb, csdb, an unallocated hint; dmb, dsb, isb, sb, clrex
    out_of_line(&[
        0xd503_203f,
        0xd503_209f,
        0xd503_20bf,
        0xd503_221f,
        0xd503_223f,
        0xd503_225f,
        0xd503_229f,
        0xd503_2fff,
    ]);
    out_of_line(&[0xd503_3bbf, 0xd503_3f9f, 0xd503_3fdf, 0xd503_30ff, 0xd503_3f5f]);
    refused(Reason::Wait, &[0xd503_205f, 0xd503_207f, 0xd503_1000, 0xd503_1020]);
    refused(Reason::Transaction, &[0xd523_3060, 0xd523_3160, 0xd503_307f, 0xd460_0000]);
    for word in [0xd503_201f, 0xd503_241f, 0xd503_245f, 0xd503_249f, 0xd503_24df] {
        assert_eq!(classify(word), Class::Simulate(Sim::Nop), "{word:#010x}");
    }
}

#[test]
fn memory() {
    // ldar, stlr, ldlar, stllr, ldapr, ldarb, stlrh: ordered, not exclusive; cas, casp, cast
    out_of_line(&[0xc8df_fc00, 0xc89f_fc00, 0xc8df_7c00, 0xc89f_7c00, 0xf8bf_c000, 0x08df_fc00, 0x489f_fc00]);
    out_of_line(&[0xc8a0_7c02, 0x88e0_fc02, 0x4820_7c02, 0x0860_fc02, 0xc980_7c02]);
    // ldadd, swp, ldclr, ldumax; ld64b; stp, ldtr, prfm (register), ld1
    out_of_line(&[
        0xf820_0020,
        0xb8e0_8020,
        0x3820_1020,
        0x7820_6020,
        0xf83f_d020,
        0xa9bf_7bfd,
        0xf840_0820,
        0xf8a1_6800,
    ]);
    out_of_line(&[0x4c40_7000]);
    // ldap1, stl1 of either element, of any registers; not of other elements.
    for word in [0x0d41_8400u32, 0x4d41_8400, 0x0d01_8400, 0x4d01_8400] {
        for registers in 0..1 << 10 {
            out_of_line(&[word | registers]);
        }
        for bit in [10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21] {
            assert_eq!(classify(word ^ 1 << bit), Class::Refuse(Reason::Unallocated), "{bit}");
        }
    }
    refused(
        Reason::MemoryCopy,
        &[0x1901_0440, 0x1941_0440, 0x1981_0440, 0x19c1_0440, 0x1d01_0440, 0x1dc1_0440],
    );
    for (word, size) in [
        (0x1c00_0047, VectorSize::Single),
        (0x5c00_0047, VectorSize::Double),
        (0x9c00_0047, VectorSize::Quad),
    ] {
        assert_eq!(classify(word), Class::Simulate(Sim::LoadVector { rt: 7, size, offset: 8 }));
    }
    // An odd register pair of casp; ldr literal with opc 11 of SIMD.
    refused(Reason::Unallocated, &[0x4821_7c02, 0x4820_7c03, 0xdc00_0000]);
}

#[test]
fn data_processing() {
    // add, subs, and, movz, bfm, extr, csel, madd, udiv, crc32, rmif, fadd
    out_of_line(&[
        0x9100_0421,
        0x7100_0421,
        0x9240_0021,
        0xd280_0020,
        0xb340_0020,
        0x93c0_0020,
        0x9a80_0020,
        0x9b00_7c20,
    ]);
    out_of_line(&[0x9ac0_0820, 0x1ac0_4020, 0xba00_0420, 0x1e60_2820]);
    // A logical immediate of all ones; movn with hw 2 of a W register; an odd bit field.
    refused(Reason::Unallocated, &[0x9240_fc00, 0x1240_0000, 0x12c0_0000, 0x5300_8000, 0xb300_0000]);
}

#[test]
fn what_is_exchangeable_can_still_be_refused_and_the_reverse() {
    assert!(ool::exchangeable(0xd400_0001) && matches!(classify(0xd400_0001), Class::Refuse(_)));
    assert!(!ool::exchangeable(0x9100_0421));
    // Whatever the probed word is, what follows it stops or leaves.
    let Class::OutOfLine(add) = classify(0x9100_0421) else { panic!("add x1, x1, #1 runs anywhere") };
    let copies = Copies::new(add, 0x1000, 0x2000).unwrap();
    assert_eq!(ool::imm_of_brk(copies.words()[Copies::TRAP as usize / 4]), Some(ool::OOL_END));
}

#[test]
fn every_reason_says_what_and_why() {
    let texts: Vec<String> = Reason::ALL.iter().map(Reason::to_string).collect();
    for (n, text) in texts.iter().enumerate() {
        assert!(text.contains(": ") && text.len() > 20, "{text}");
        assert!(!texts[..n].contains(text), "{text}");
    }
}
