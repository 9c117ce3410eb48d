// Takes a CPU from the exception level that it was entered at to EL1, and writes every control register that matters whole.
//
// Out of reset, and after firmware that does not say otherwise, these registers are UNKNOWN: a bit that nobody writes may be set.
// So no register is read, changed and written back. A register is written before those whose meaning depends on it:
//
//   1. SCTLR_EL2, by its own name: from then on a load has the right endianness. No memory is read before.
//   2. VBAR_EL2: from then on exceptions that EL2 takes are reported (trap.S).
//   3. HCR_EL2, which says by E2H what the names SCTLR_EL1, CPTR_EL2 and CNTHCTL_EL2 mean at EL2 (DDI 0487 D13.1.3), and an ISB.
//   4. Everything else at EL2, then ERET.
//   5. At EL1, also for a CPU that was entered there: the control registers of EL1.
//
// A bit whose feature the CPU lacks is RES0, so writing 1 to it changes nothing. A bit that means "do not trap" is therefore
// written as 1 without a look at the ID register of its feature, and a bit that means "trap" is written as 0. A register that
// exists only with a feature is UNDEFINED without it, so the ID register is checked first.

.section .head.text, "ax"

// SCTLR_EL1 (DDI 0487 D24.2.178): RES1 bits, EIS and EOS: exception entry and return synchronise, rule M13.
.equ SCTLR_RES1,    (1 << 29) | (1 << 28) | (1 << 23) | (1 << 22) | (1 << 20) | (1 << 11)
.equ SCTLR_MMU_OFF, SCTLR_RES1
// M, C, I, SA; A stays 0: unaligned accesses to normal memory are legal.
.equ SCTLR_MMU_ON,  SCTLR_RES1 | (1 << 0) | (1 << 2) | (1 << 3) | (1 << 12)

// SCTLR_EL2 (D24.2.179): RES1 bits of the format without E2H; MMU and caches off, little endian.
.equ SCTLR_EL2_OFF, 0x30c50830

// HCR_EL2 (D24.2.58): EL1 is AArch64; nothing is routed to EL2, and nothing trapped. RW; APK, API (pointer authentication); FIEN
// (error injection); EnSCXT; ATA (allocation tags): all but RW trap while they are 0.
.equ HCR,           (1 << 31) | (1 << 40) | (1 << 41) | (1 << 47) | (1 << 53) | (1 << 56)
.equ E2H,           34

// HCRX_EL2 (D24.2.59): EnAS0, EnALS, EnASR, MSCEn, TCR2En, SCTLR2En, D128En, EnIDCP128, GCSEn, EnFPM, PACMEn.
.equ HCRX,          0x7 | (1 << 11) | (0x3 << 14) | (1 << 17) | (0xf << 21)

// Fine-grained traps (D24.2.54 to 57): only the bits whose name begins with n, which trap while they are 0.
.equ HFG_RW,        0xfff4000000000000  // nAMAIR2 to nGCS_EL0, nACCDATA: HFGRTR_EL2 and HFGWTR_EL2
.equ HFGI,          0x0f80000000000000  // nGCSEPP, nGCSSTR, nGCSPUSHM, nBRBIALL, nBRBINJ
.equ HDFG_R,        0x7800000000000000  // nPMSNEVFR, nBRBDATA, nBRBCTL, nBRBIDR
.equ HDFG_W,        0x7000000000000000  // nPMSNEVFR, nBRBDATA, nBRBCTL
.equ HFG2_R,        0x7fff              // nACTLRALIAS to nPFAR
.equ HFG2_W,        0x7ffd              // the same but nERXGSR
.equ HFGI2,         0x2                 // nDCCIVAPS
.equ HDFG2_R,       0x01dfffff          // nPMBMAR to nPMECR, nMDSELR among them
.equ HDFG2_W,       0x01f9ffbf

// MDCR_EL2 (D24.3.19) without HPMN. TDE, TDA, TDOSA, TDRA = 0: all debug exceptions and debug registers belong to EL1.
// E2PB, E2TB: the profiling buffer and the trace buffer do too. EnSPM and EnSTEPOP trap while they are 0. EBWE: EL1 can
// use the banks of MDSELR_EL1.
.equ MDCR,          (3 << 12) | (1 << 15) | (3 << 24) | (1 << 43) | (1 << 50)

// Sets a register to a constant without a load, which would read the bytes in the wrong order if SCTLR_ELx.EE is set.
.macro constant register, value
    movz    \register, #((\value) & 0xffff)
    movk    \register, #(((\value) >> 16) & 0xffff), lsl #16
    .if (((\value) >> 32) & 0xffff)
    movk    \register, #(((\value) >> 32) & 0xffff), lsl #32
    .endif
    .if (((\value) >> 48) & 0xffff)
    movk    \register, #(((\value) >> 48) & 0xffff), lsl #48
    .endif
.endm

// Branches to \to unless the field of ID register \register at bit \at is at least \least. Clobbers x1.
.macro unless register, at, least, to
    mrs     x1, \register
    ubfx    x1, x1, #\at, #4
    cmp     x1, #\least
    b.lo    \to
.endm

// Returns at EL1h with D, A, I, F masked; on entry they are masked already. Clobbers x0 to x3.
enter_el1:
    mrs     x0, CurrentEL
    cmp     x0, #(2 << 2)
    b.ne    at_el1

    constant x0, SCTLR_EL2_OFF
    msr     sctlr_el2, x0
    adr     x0, el2_vectors
    msr     vbar_el2, x0
    msr     tpidr_el2, xzr              // trap.S: nothing is being reported
    isb

    constant x0, HCR
    mrs     x1, S3_0_C0_C7_4            // ID_AA64MMFR4_EL1.E2H0: below 0 where E2H is RES1
    tbz     x1, #27, 1f
    orr     x0, x0, #(1 << E2H)
1:
    msr     hcr_el2, x0
    isb
    // E2H is read back: it may read as 1 although the ID register does not say that it is RES1.
    mrs     x3, hcr_el2

    // The registers that have another name or another format if E2H is 1.
    constant x0, SCTLR_MMU_OFF
    tbnz    x3, #E2H, 2f
    msr     sctlr_el1, x0
    mov     x0, #3                      // CNTHCTL_EL2: EL1PCTEN, EL1PCEN
    msr     cnthctl_el2, x0
    // CPTR_EL2: RES1 bits, no traps. TZ and TSM are RES1 if the CPU has no SVE and no SME that they could trap.
    constant x0, 0x22ff
    mrs     x1, id_aa64pfr0_el1
    tst     x1, #(0xf << 32)            // SVE
    cset    x1, eq
    bfi     x0, x1, #8, #1              // TZ
    mrs     x1, id_aa64pfr1_el1
    tst     x1, #(0xf << 24)            // SME
    cset    x1, eq
    bfi     x0, x1, #12, #1             // TSM
    msr     cptr_el2, x0
    b       3f
2:
    msr     S3_5_C1_C0_0, x0            // SCTLR_EL12
    mov     x0, #(3 << 10)              // CNTHCTL_EL2: EL1PCTEN, EL1PTEN
    msr     cnthctl_el2, x0
    constant x0, 0x03330000             // CPTR_EL2: SMEN, FPEN, ZEN; nothing traps
    msr     cptr_el2, x0
3:
    isb                                 // CPTR_EL2 is in force: ZCR_EL2 and SMCR_EL2 do not trap
    unless  id_aa64pfr0_el1, 32, 1, 4f
    mov     x0, #0xf
    msr     S3_4_C1_C2_0, x0            // ZCR_EL2: the longest vectors that the CPU has
4:
    unless  id_aa64pfr1_el1, 24, 1, 5f
    constant x0, (0x3 << 30) | 0xf
    msr     S3_4_C1_C2_6, x0            // SMCR_EL2: FA64, EZT0, the longest vectors that the CPU has
5:
    unless  id_aa64mmfr1_el1, 40, 1, 6f
    constant x0, HCRX
    msr     S3_4_C1_C2_2, x0            // HCRX_EL2
6:
    msr     cntvoff_el2, xzr
    unless  id_aa64mmfr0_el1, 60, 2, 7f
    msr     S3_4_C14_C0_6, xzr          // CNTPOFF_EL2
7:
    // EL2's own timers are off.
    msr     cnthp_ctl_el2, xzr
    unless  id_aa64mmfr1_el1, 8, 1, 8f
    msr     S3_4_C14_C3_1, xzr          // CNTHV_CTL_EL2
8:
    msr     hstr_el2, xzr
    msr     hacr_el2, xzr
    msr     vttbr_el2, xzr
    constant x0, (1 << 31)
    msr     vtcr_el2, x0                // RES1; there is no stage 2
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0
    unless  id_aa64mmfr1_el1, 16, 1, 9f
    msr     S3_0_C10_C4_3, xzr          // LORC_EL1: no limited ordering regions
9:
    mrs     x0, id_aa64pfr0_el1
    mrs     x1, id_aa64pfr1_el1
    ubfx    x0, x0, #40, #4             // MPAM
    ubfx    x1, x1, #16, #4             // MPAM_frac
    orr     x0, x0, x1
    cbz     x0, 10f
    mov     x0, #(1 << 50)
    msr     S3_4_C10_C5_0, x0           // MPAM2_EL2: the default partition; EnMPAMSM; nothing traps
    mrs     x0, S3_0_C10_C4_4           // MPAMIDR_EL1
    tbz     x0, #17, 10f                // HAS_HCR
    msr     S3_4_C10_C4_0, xzr          // MPAMHCR_EL2
10:
    // MDCR_EL2.HPMN is PMCR_EL0.N: all event counters are EL1's.
    constant x0, MDCR
    mrs     x1, id_aa64dfr0_el1
    ubfx    x1, x1, #8, #4              // PMUVer
    cbz     x1, 11f
    cmp     x1, #0xf
    b.eq    11f
    mrs     x1, pmcr_el0
    ubfx    x1, x1, #11, #5
    orr     x0, x0, x1
11:
    msr     mdcr_el2, x0

    unless  id_aa64mmfr0_el1, 56, 1, 13f
    constant x0, HFG_RW
    msr     S3_4_C1_C1_4, x0            // HFGRTR_EL2
    msr     S3_4_C1_C1_5, x0            // HFGWTR_EL2
    constant x0, HFGI
    msr     S3_4_C1_C1_6, x0            // HFGITR_EL2
    constant x0, HDFG_R
    msr     S3_4_C3_C1_4, x0            // HDFGRTR_EL2
    constant x0, HDFG_W
    msr     S3_4_C3_C1_5, x0            // HDFGWTR_EL2
    unless  id_aa64pfr0_el1, 44, 1, 12f
    msr     S3_4_C3_C1_6, xzr           // HAFGRTR_EL2, with activity monitors
12:
    unless  id_aa64mmfr0_el1, 56, 2, 13f
    constant x0, HDFG2_R
    msr     S3_4_C3_C1_0, x0            // HDFGRTR2_EL2
    constant x0, HDFG2_W
    msr     S3_4_C3_C1_1, x0            // HDFGWTR2_EL2
    mov     x0, #HFG2_R
    msr     S3_4_C3_C1_2, x0            // HFGRTR2_EL2
    mov     x0, #HFG2_W
    msr     S3_4_C3_C1_3, x0            // HFGWTR2_EL2
    mov     x0, #HFGI2
    msr     S3_4_C3_C1_7, x0            // HFGITR2_EL2
13:
    unless  id_aa64pfr0_el1, 24, 1, 14f
    mov     x0, #0xf
    msr     S3_4_C12_C9_5, x0           // ICC_SRE_EL2: SRE, no bypass, EL1 may set its own SRE
    isb
    mrs     x0, S3_4_C12_C9_5
    tbz     x0, #0, 14f                 // SRE stays 0: a GICv2's registers are in use
    msr     S3_4_C12_C11_0, xzr         // ICH_HCR_EL2
14:
    mov     x0, #0x3c5                  // EL1h, D, A, I, F masked
    msr     spsr_el2, x0
    adr     x0, at_el1
    msr     elr_el2, x0
    isb
    eret

// The control registers of EL1, on every CPU, whichever level the CPU was entered at.
at_el1:
    msr     spsel, #1
    constant x0, SCTLR_MMU_OFF
    msr     sctlr_el1, x0
    // The locks first: while the OS lock is set, fields of MDSCR_EL1 that belong to an external debugger can be written.
    msr     oslar_el1, xzr
    msr     osdlr_el1, xzr
    isb
    msr     mdscr_el1, xzr              // the kernel's copy of MDSCR_EL1 starts with 0
    msr     cpacr_el1, xzr              // the kernel uses no SIMD&FP registers
    msr     cntkctl_el1, xzr
    unless  S3_0_C0_C7_3, 0, 1, 1f      // ID_AA64MMFR3_EL1.TCRX
    msr     S3_0_C2_C0_3, xzr           // TCR2_EL1: no indirect permissions, no overlays
1:
    unless  S3_0_C0_C7_3, 4, 1, 2f      // ID_AA64MMFR3_EL1.SCTLRX
    msr     S3_0_C1_C0_3, xzr           // SCTLR2_EL1
2:
    unless  id_aa64pfr1_el1, 44, 1, 3f  // GCS
    msr     S3_0_C2_C5_0, xzr           // GCSCR_EL1
3:
    isb
    ret
