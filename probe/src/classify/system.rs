//! System instructions: hints, barriers, PSTATE, system registers (DDI 0487 C4.1, "Branches, Exception Generating and System
//! instructions", and C5).
//!
//! Accesses to the interrupt masks and to SPSel, and writes of all other PSTATE fields but the flags, are refused. Other reads and
//! writes of system registers run out of line, except in three cases in which the probe would change the result or break itself.
//! The probe's exceptions overwrite the registers that describe an exception. The probe's out-of-line copies run with interrupts
//! masked, so they see pending interrupts that would have been taken. And the probe depends on the translation, the vectors, the
//! stack and the per-CPU base, which some writes change. If the CPU does not have a system register, or not at this exception
//! level, the access is undefined out of line as it is in place.
use super::{OUT_OF_LINE, UNALLOCATED, allocated};
use crate::bits::{bit, bits};
use crate::class::{Class, Reason};
use crate::sim::Sim;

/// `op0:op1:CRn:CRm:op2` of a system register, as bits 20 to 5 of MSR and MRS hold it.
const fn key(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// MSR, MRS, SYS, SYSL, hints and barriers: bits 31 to 22 are `1101010100`.
pub(super) const fn classify(word: u32) -> Class {
    let read = bit(word, 21);
    match bits(word, 19, 2) {
        0b00 if read => transaction_result(word),
        0b00 => match (bits(word, 16, 3), bits(word, 12, 4)) {
            (0b011, 0b0001) => wait_with_timeout(word),
            _ if bits(word, 0, 5) != 31 => UNALLOCATED,
            (0b011, 0b0010) => hint(bits(word, 5, 7)),
            (0b011, 0b0011) => barrier(word),
            (_, 0b0100) => pstate_immediate(word),
            _ => UNALLOCATED,
        },
        0b01 => operation(word, read),
        _ => register(bits(word, 5, 16), read),
    }
}

/// MRRS, MSRR, SYSP (FEAT_D128): bits 31 to 22 are `1101010101`.
pub(super) const fn pair(word: u32) -> Class {
    let read = bit(word, 21);
    let sysp = !read && bits(word, 19, 2) == 0b01;
    let rt = bits(word, 0, 5);
    if rt & 1 != 0 && !(sysp && rt == 31) {
        return UNALLOCATED;
    }
    // TTBR0 and TTBR1 are among the registers of 128 bits. No register that an exception writes is among them.
    if !read && !sysp && probes_depend_on(bits(word, 5, 16)) {
        return Class::Refuse(Reason::MachineState);
    }
    OUT_OF_LINE
}

/// TSTART, TTEST.
const fn transaction_result(word: u32) -> Class {
    if bits(word, 5, 14) & !(1 << 3) == key(0, 3, 3, 0, 3) {
        Class::Refuse(Reason::Transaction)
    } else {
        UNALLOCATED
    }
}

/// WFET, WFIT.
const fn wait_with_timeout(word: u32) -> Class {
    if bits(word, 6, 6) == 0 { Class::Refuse(Reason::Wait) } else { UNALLOCATED }
}

/// HINT #`imm`. An unallocated hint is a NOP.
const fn hint(imm: u32) -> Class {
    match imm {
        0 => Class::Simulate(Sim::Nop),
        2 | 3 => Class::Refuse(Reason::Wait),
        // BTI, BTI c, BTI j, BTI jc.
        32 | 34 | 36 | 38 => Class::Simulate(Sim::Nop),
        39 => Class::Refuse(Reason::PcAuthentication),
        _ => OUT_OF_LINE,
    }
}

/// CLREX, DSB, DMB, ISB, SB, TCOMMIT.
const fn barrier(word: u32) -> Class {
    let crm = bits(word, 8, 4);
    match bits(word, 5, 3) {
        0b001 => allocated(crm & 3 == 2), // DSB nXS
        0b010 | 0b100 | 0b101 | 0b110 => OUT_OF_LINE,
        0b111 => allocated(crm == 0), // SB
        0b011 if crm == 0 => Class::Refuse(Reason::Transaction),
        _ => UNALLOCATED,
    }
}

/// MSR (immediate), CFINV, XAFLAG, AXFLAG.
const fn pstate_immediate(word: u32) -> Class {
    let crm = bits(word, 8, 4);
    Class::Refuse(match (bits(word, 16, 3), bits(word, 5, 3)) {
        // SPSR brings the condition flags back from the copy, like those that CMP writes.
        (0b000, 0b000..=0b010) => return allocated(crm == 0),
        (0b000, 0b101) => Reason::StackSelect,
        (0b011, 0b110 | 0b111) => Reason::InterruptMasks,
        (0b001, 0b000) if crm & 0b1110 == 0 => Reason::InterruptMasks, // ALLINT
        (0b001, 0b000) if crm & 0b1110 == 2 => Reason::PstateWrite,    // PM
        // UAO, PAN; SSBS, DIT, SVCR, TCO.
        (0b000, 0b011 | 0b100) | (0b011, 0b001..=0b100) => Reason::PstateWrite,
        _ => Reason::Unallocated,
    })
}

/// SYS and SYSL.
const fn operation(word: u32, read: bool) -> Class {
    const GCSPUSHX: u32 = key(1, 0, 7, 7, 4);
    const GCSPOPCX: u32 = key(1, 0, 7, 7, 5);
    const GCSPOPX: u32 = key(1, 0, 7, 7, 6);
    // FEAT_GCIE: the acknowledge of GICv5.
    const GICR_CDIA: u32 = key(1, 0, 12, 3, 0);
    const GICR_CDNMIA: u32 = key(1, 0, 12, 3, 1);
    let which = bits(word, 5, 16);
    match which {
        GCSPUSHX | GCSPOPCX | GCSPOPX if !read => Class::Refuse(Reason::ExceptionState),
        GICR_CDIA | GICR_CDNMIA if read => Class::Refuse(Reason::InterruptState),
        _ if !read && has_no_operand(which) => allocated(bits(word, 0, 5) == 31),
        _ => OUT_OF_LINE,
    }
}

/// Whether the operation takes no register, so that its Rt should be 0b11111. The TLBI operations that are broadcast to other CPUs
/// are not among them, because with FEAT_TLBID they take a register.
const fn has_no_operand(which: u32) -> bool {
    const IC_IALLUIS: u32 = key(1, 0, 7, 1, 0);
    const IC_IALLU: u32 = key(1, 0, 7, 5, 0);
    const BRB_IALL: u32 = key(1, 1, 7, 2, 4);
    const BRB_INJ: u32 = key(1, 1, 7, 2, 5);
    const GSB_SYS: u32 = key(1, 0, 12, 0, 0);
    const GSB_ACK: u32 = key(1, 0, 12, 0, 1);
    const GIC_CDEOI: u32 = key(1, 0, 12, 1, 7);
    let (op1, crn, crm, op2) = (which >> 11 & 7, which >> 7 & 0xf, which >> 3 & 0xf, which & 7);
    // CRn 9 is the nXS form of CRn 8.
    let tlbi = crn == 8 || crn == 9;
    match (op1, crm, op2) {
        // VMALLE1; ALLE2, ALLE1, VMALLS12E1, VMALLWS2E1; ALLE3, PAALL, PAALLOS.
        (0, 7, 0) | (4, 7, 0 | 4 | 6) | (4, 6, 2) | (6, 7, 0 | 4) | (6, 1, 4) if tlbi => true,
        _ => matches!(which, IC_IALLUIS | IC_IALLU | BRB_IALL | BRB_INJ | GSB_SYS | GSB_ACK | GIC_CDEOI),
    }
}

/// MSR (register) and MRS.
const fn register(which: u32, read: bool) -> Class {
    const DAIF: u32 = key(3, 3, 4, 2, 1);
    const ALLINT: u32 = key(3, 0, 4, 3, 0);
    const SPSEL: u32 = key(3, 0, 4, 2, 0);
    const PAN: u32 = key(3, 0, 4, 2, 3);
    const UAO: u32 = key(3, 0, 4, 2, 4);
    const PM: u32 = key(3, 0, 4, 3, 1);
    const SVCR: u32 = key(3, 3, 4, 2, 2);
    const DIT: u32 = key(3, 3, 4, 2, 5);
    const SSBS: u32 = key(3, 3, 4, 2, 6);
    const TCO: u32 = key(3, 3, 4, 2, 7);
    match which {
        DAIF | ALLINT => Class::Refuse(Reason::InterruptMasks),
        SPSEL => Class::Refuse(Reason::StackSelect),
        PAN | UAO | PM | SVCR | DIT | SSBS | TCO if !read => Class::Refuse(Reason::PstateWrite),
        _ if exceptions_write(which) => Class::Refuse(Reason::ExceptionState),
        _ if masks_by_priority(which) => Class::Refuse(Reason::InterruptState),
        _ if read && shows_pending_interrupts(which) => Class::Refuse(Reason::InterruptState),
        _ if !read && probes_depend_on(which) => Class::Refuse(Reason::MachineState),
        _ => OUT_OF_LINE,
    }
}

/// Whether an exception writes the register, or leaves it UNKNOWN, at the exception level that the exception is taken to (DDI 0487
/// D1.3.5.6). The _EL2 names are the _EL1 registers of a kernel that runs at EL2; the _EL12 names are another kernel's. AFSR is
/// IMPLEMENTATION DEFINED syndrome.
const fn exceptions_write(which: u32) -> bool {
    const SPSR_EL1: u32 = key(3, 0, 4, 0, 0);
    const ELR_EL1: u32 = key(3, 0, 4, 0, 1);
    const AFSR0_EL1: u32 = key(3, 0, 5, 1, 0);
    const AFSR1_EL1: u32 = key(3, 0, 5, 1, 1);
    const ESR_EL1: u32 = key(3, 0, 5, 2, 0);
    const FAR_EL1: u32 = key(3, 0, 6, 0, 0);
    const PFAR_EL1: u32 = key(3, 0, 6, 0, 5);
    const SPSR_EL2: u32 = key(3, 4, 4, 0, 0);
    const ELR_EL2: u32 = key(3, 4, 4, 0, 1);
    const AFSR0_EL2: u32 = key(3, 4, 5, 1, 0);
    const AFSR1_EL2: u32 = key(3, 4, 5, 1, 1);
    const ESR_EL2: u32 = key(3, 4, 5, 2, 0);
    const FAR_EL2: u32 = key(3, 4, 6, 0, 0);
    const HPFAR_EL2: u32 = key(3, 4, 6, 0, 4);
    const PFAR_EL2: u32 = key(3, 4, 6, 0, 5);
    const SPSR_EL3: u32 = key(3, 6, 4, 0, 0);
    const ELR_EL3: u32 = key(3, 6, 4, 0, 1);
    const AFSR0_EL3: u32 = key(3, 6, 5, 1, 0);
    const AFSR1_EL3: u32 = key(3, 6, 5, 1, 1);
    const ESR_EL3: u32 = key(3, 6, 5, 2, 0);
    const FAR_EL3: u32 = key(3, 6, 6, 0, 0);
    const MFAR_EL3: u32 = key(3, 6, 6, 0, 5);
    matches!(which, SPSR_EL1 | ELR_EL1 | AFSR0_EL1 | AFSR1_EL1 | ESR_EL1 | FAR_EL1 | PFAR_EL1)
        || matches!(
            which,
            SPSR_EL2 | ELR_EL2 | AFSR0_EL2 | AFSR1_EL2 | ESR_EL2 | FAR_EL2 | HPFAR_EL2 | PFAR_EL2
        )
        || matches!(which, SPSR_EL3 | ELR_EL3 | AFSR0_EL3 | AFSR1_EL3 | ESR_EL3 | FAR_EL3 | MFAR_EL3)
}

/// Whether the register holds the priority mask or running priorities of the CPU interface, which an engine that masks by priority
/// changes.
const fn masks_by_priority(which: u32) -> bool {
    const ICC_PMR_EL1: u32 = key(3, 0, 4, 6, 0);
    const ICC_AP0R0_EL1: u32 = key(3, 0, 12, 8, 4);
    const ICC_AP0R3_EL1: u32 = key(3, 0, 12, 8, 7);
    const ICC_AP1R0_EL1: u32 = key(3, 0, 12, 9, 0);
    const ICC_AP1R3_EL1: u32 = key(3, 0, 12, 9, 3);
    const ICC_RPR_EL1: u32 = key(3, 0, 12, 11, 3);
    // GICv5 (FEAT_GCIE).
    const ICC_APR_EL1: u32 = key(3, 1, 12, 0, 0);
    const ICC_PCR_EL1: u32 = key(3, 1, 12, 0, 2);
    const ICC_HAPR_EL1: u32 = key(3, 1, 12, 0, 3);
    matches!(which, ICC_PMR_EL1 | ICC_RPR_EL1 | ICC_APR_EL1 | ICC_PCR_EL1 | ICC_HAPR_EL1)
        || matches!(which, ICC_AP0R0_EL1..=ICC_AP0R3_EL1 | ICC_AP1R0_EL1..=ICC_AP1R3_EL1)
}

/// Whether a read of the register tells of a pending interrupt, or acknowledges it: registers of the PE and of its CPU interface,
/// and registers of the PE's own timers, counters and buffers, whose status bits are their interrupt requests.
const fn shows_pending_interrupts(which: u32) -> bool {
    const ISR_EL1: u32 = key(3, 0, 12, 1, 0);
    const ICC_IAR0_EL1: u32 = key(3, 0, 12, 8, 0);
    const ICC_HPPIR0_EL1: u32 = key(3, 0, 12, 8, 2);
    const ICC_NMIAR1_EL1: u32 = key(3, 0, 12, 9, 5);
    const ICC_IAR1_EL1: u32 = key(3, 0, 12, 12, 0);
    const ICC_HPPIR1_EL1: u32 = key(3, 0, 12, 12, 2);
    // GICv5: the highest-priority pending interrupt, and the two registers each that clear and set the pending state of PPIs.
    const ICC_HPPIR_EL1: u32 = key(3, 0, 12, 10, 3);
    const ICC_PPI_CPENDR0_EL1: u32 = key(3, 0, 12, 13, 4);
    const ICC_PPI_SPENDR1_EL1: u32 = key(3, 0, 12, 13, 7);
    const ICH_MISR_EL2: u32 = key(3, 4, 12, 11, 2);
    // ISTATUS.
    const CNTP_CTL_EL0: u32 = key(3, 3, 14, 2, 1);
    const CNTV_CTL_EL0: u32 = key(3, 3, 14, 3, 1);
    const CNTHP_CTL_EL2: u32 = key(3, 4, 14, 2, 1);
    const CNTHV_CTL_EL2: u32 = key(3, 4, 14, 3, 1);
    const CNTHVS_CTL_EL2: u32 = key(3, 4, 14, 4, 1);
    const CNTHPS_CTL_EL2: u32 = key(3, 4, 14, 5, 1);
    const CNTP_CTL_EL02: u32 = key(3, 5, 14, 2, 1);
    const CNTV_CTL_EL02: u32 = key(3, 5, 14, 3, 1);
    const CNTPS_CTL_EL1: u32 = key(3, 7, 14, 2, 1);
    // Overflow of counters; buffers of the profiling and trace extensions.
    const PMOVSCLR_EL0: u32 = key(3, 3, 9, 12, 3);
    const PMOVSSET_EL0: u32 = key(3, 3, 9, 14, 3);
    const PMBSR_EL1: u32 = key(3, 0, 9, 10, 3);
    const PMBSR_EL2: u32 = key(3, 4, 9, 10, 3);
    const TRBSR_EL1: u32 = key(3, 0, 9, 11, 3);
    const TRBSR_EL2: u32 = key(3, 4, 9, 11, 3);
    matches!(which, ISR_EL1 | ICC_IAR0_EL1 | ICC_HPPIR0_EL1 | ICC_NMIAR1_EL1 | ICC_IAR1_EL1 | ICC_HPPIR1_EL1)
        || matches!(which, ICC_HPPIR_EL1 | ICC_PPI_CPENDR0_EL1..=ICC_PPI_SPENDR1_EL1 | ICH_MISR_EL2)
        || matches!(which, CNTP_CTL_EL0 | CNTV_CTL_EL0 | CNTHP_CTL_EL2 | CNTHV_CTL_EL2 | CNTHVS_CTL_EL2)
        || matches!(which, CNTHPS_CTL_EL2 | CNTP_CTL_EL02 | CNTV_CTL_EL02 | CNTPS_CTL_EL1)
        || matches!(which, PMOVSCLR_EL0 | PMOVSSET_EL0 | PMBSR_EL1 | PMBSR_EL2 | TRBSR_EL1 | TRBSR_EL2)
}

/// Whether a write of the register can keep a copy from being fetched, its BRK from being taken, or the BRK's handler from finding
/// its stack and its CPU.
const fn probes_depend_on(which: u32) -> bool {
    // Registers whose encodings for EL1 and EL2 differ only in op1, which is 0 or 4.
    const SCTLR: u32 = key(3, 0, 1, 0, 0);
    const SCTLR2: u32 = key(3, 0, 1, 0, 3);
    const TTBR0: u32 = key(3, 0, 2, 0, 0);
    const TTBR1: u32 = key(3, 0, 2, 0, 1);
    const TCR: u32 = key(3, 0, 2, 0, 2);
    const TCR2: u32 = key(3, 0, 2, 0, 3);
    // FEAT_SRMASK: other names of SCTLR, SCTLR2, TCR and TCR2.
    const SCTLR_ALIAS: u32 = key(3, 0, 1, 4, 6);
    const SCTLR2_ALIAS: u32 = key(3, 0, 1, 4, 7);
    const TCR_ALIAS: u32 = key(3, 0, 2, 7, 6);
    const TCR2_ALIAS: u32 = key(3, 0, 2, 7, 7);
    const MAIR2_EL2: u32 = key(3, 0, 10, 1, 1);
    const MAIR: u32 = key(3, 0, 10, 2, 0);
    const MAIR2_EL1: u32 = key(3, 0, 10, 2, 1);
    const PIRE0: u32 = key(3, 0, 10, 2, 2);
    const PIR: u32 = key(3, 0, 10, 2, 3);
    const POR: u32 = key(3, 0, 10, 2, 4);
    const AMAIR: u32 = key(3, 0, 10, 3, 0);
    const AMAIR2: u32 = key(3, 0, 10, 3, 1);
    const VBAR: u32 = key(3, 0, 12, 0, 0);
    // Registers whose encodings do not follow that rule: the stack pointers have op1 0, 4 and 6; TPIDR_EL2 has another op2 than
    // TPIDR_EL1.
    const SP_EL0: u32 = key(3, 0, 4, 1, 0);
    const SP_EL1: u32 = key(3, 4, 4, 1, 0);
    const SP_EL2: u32 = key(3, 6, 4, 1, 0);
    const TPIDR_EL1: u32 = key(3, 0, 13, 0, 4);
    const TPIDR_EL2: u32 = key(3, 4, 13, 0, 2);
    const HCR_EL2: u32 = key(3, 4, 1, 1, 0);
    const HCRX_EL2: u32 = key(3, 4, 1, 2, 2);
    const EL2: u32 = key(0, 4, 0, 0, 0);
    matches!(which, SP_EL0 | SP_EL1 | SP_EL2 | TPIDR_EL1 | TPIDR_EL2 | HCR_EL2 | HCRX_EL2)
        || matches!(which & !EL2, SCTLR | SCTLR2 | TTBR0 | TTBR1 | TCR | TCR2 | VBAR)
        || matches!(which & !EL2, SCTLR_ALIAS | SCTLR2_ALIAS | TCR_ALIAS | TCR2_ALIAS)
        || matches!(which & !EL2, MAIR | MAIR2_EL1 | MAIR2_EL2 | PIRE0 | PIR | POR | AMAIR | AMAIR2)
}
