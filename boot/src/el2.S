// Leaves EL2 for EL1 with every debug facility given to EL1, or puts EL1 into the state that is wanted if entered there.

.section .head.text, "ax"

// SCTLR_EL1 (DDI 0487 D24.2.178): RES1 bits, EIS and EOS: exception entry and return synchronise, rule M13.
.equ SCTLR_RES1,    (1 << 29) | (1 << 28) | (1 << 23) | (1 << 22) | (1 << 20) | (1 << 11)
.equ SCTLR_MMU_OFF, SCTLR_RES1
// M, C, I, SA; A stays 0: unaligned accesses to normal memory are legal.
.equ SCTLR_MMU_ON,  SCTLR_RES1 | (1 << 0) | (1 << 2) | (1 << 3) | (1 << 12)

// Returns at EL1h with D, A, I, F masked. Clobbers x0 to x3.
enter_el1:
    ldr     x0, =SCTLR_MMU_OFF
    msr     sctlr_el1, x0
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.eq    1f
    msr     spsel, #1
    msr     daifset, #0xf
    isb
    ret
1:
    mov     x0, #(1 << 31)              // HCR_EL2.RW: EL1 is AArch64; nothing trapped, nothing routed here
    msr     hcr_el2, x0
    isb
    mrs     x0, cnthctl_el2
    orr     x0, x0, #3                  // EL1PCTEN, EL1PCEN
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr
    mov     x0, #0x33ff                 // CPTR_EL2: RES1 bits, no traps
    msr     cptr_el2, x0
    msr     hstr_el2, xzr
    msr     vttbr_el2, xzr
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0

    // MDCR_EL2: TDE, TDA, TDOSA, TDRA = 0: all debug exceptions and registers are EL1's. HPMN = PMCR_EL0.N.
    mrs     x1, id_aa64dfr0_el1
    mov     x0, xzr
    ubfx    x2, x1, #8, #4              // PMUVer
    cbz     x2, 2f
    cmp     x2, #0xf
    b.eq    2f
    mrs     x2, pmcr_el0
    ubfx    x0, x2, #11, #5
2:
    and     x2, x1, #0xf                // DebugVer
    cmp     x2, #11                     // FEAT_Debugv8p9
    b.lo    3f
    orr     x0, x0, #(1 << 43)          // EBWE: MDSELR_EL1's banks are usable from EL1
3:
    msr     mdcr_el2, x0

    // Fine-grained traps are UNKNOWN out of reset (FEAT_FGT, FEAT_FGT2).
    mrs     x1, id_aa64mmfr0_el1
    ubfx    x2, x1, #56, #4             // FGT
    cbz     x2, 4f
    msr     S3_4_C3_C1_4, xzr           // HDFGRTR_EL2
    msr     S3_4_C3_C1_5, xzr           // HDFGWTR_EL2
    msr     S3_4_C1_C1_4, xzr           // HFGRTR_EL2
    msr     S3_4_C1_C1_5, xzr           // HFGWTR_EL2
    msr     S3_4_C1_C1_6, xzr           // HFGITR_EL2
    cmp     x2, #2
    b.lo    4f
    mov     x0, #(1 << 5)               // nMDSELR_EL1: do not trap
    msr     S3_4_C3_C1_0, x0            // HDFGRTR2_EL2
    msr     S3_4_C3_C1_1, x0            // HDFGWTR2_EL2
4:
    mrs     x0, id_aa64pfr0_el1
    ubfx    x0, x0, #24, #4             // GIC system registers
    cbz     x0, 5f
    mrs     x0, S3_4_C12_C9_5           // ICC_SRE_EL2
    orr     x0, x0, #(1 << 0)           // SRE
    orr     x0, x0, #(1 << 3)           // Enable: EL1 may set its own SRE
    msr     S3_4_C12_C9_5, x0
    isb
    mrs     x0, S3_4_C12_C9_5
    tbz     x0, #0, 5f
    msr     S3_4_C12_C11_0, xzr         // ICH_HCR_EL2
5:
    adr     x0, el2_stub_vectors
    msr     vbar_el2, x0
    mov     x0, #0x3c5                  // EL1h, D, A, I, F masked
    msr     spsr_el2, x0
    msr     elr_el2, x30
    isb
    eret

// What stays at EL2: one hypervisor call, HVC #1, that makes a virtual SError pending for EL1 (HCR_EL2.VSE, which needs
// AMO), so that rules M9 and M16 can be tried on a machine that has no broken hardware. All else is ignored.
.balign 2048
el2_stub_vectors:
    .rept 16
    .balign 128
    b       el2_stub
    .endr
el2_stub:
    msr     tpidr_el2, x0
    mrs     x0, esr_el2
    eor     x0, x0, #(1 << 0)           // the immediate 1 and nothing else: what is left is EC 0x16 and IL
    ror     x0, x0, #25
    cmp     x0, #0x2d
    b.ne    1f
    mrs     x0, hcr_el2
    orr     x0, x0, #(1 << 8)           // VSE
    orr     x0, x0, #(1 << 5)           // AMO
    msr     hcr_el2, x0
1:
    mrs     x0, tpidr_el2
    eret
