//! System instructions: hints, barriers, PSTATE, system registers (C4.1.94, C5).
//!
//! Reads and writes of system registers run out of line except where the probe itself stands in the way: its exceptions
//! overwrite ELR, SPSR, ESR and FAR, and its out-of-line copies run with interrupts masked. A system register that the CPU
//! does not have, or not at this exception level, is undefined out of line as it is in place.
use super::{UNALLOCATED, allocated};
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
        0b01 => sys(word, read),
        _ => register(bits(word, 5, 16), read),
    }
}

/// MRRS, MSRR, SYSP (FEAT_D128): bits 31 to 22 are `1101010101`. None of the 128-bit registers is the probe's.
pub(super) const fn pair(word: u32) -> Class {
    let sysp = !bit(word, 21) && bits(word, 19, 2) == 0b01;
    let rt = bits(word, 0, 5);
    allocated(rt & 1 == 0 || (sysp && rt == 31))
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
        _ => Class::OutOfLine,
    }
}

/// CLREX, DSB, DMB, ISB, SB, TCOMMIT.
const fn barrier(word: u32) -> Class {
    let crm = bits(word, 8, 4);
    match bits(word, 5, 3) {
        0b001 => allocated(crm & 3 == 2), // DSB nXS
        0b010 | 0b100 | 0b101 | 0b110 | 0b111 => Class::OutOfLine,
        0b011 if crm == 0 => Class::Refuse(Reason::Transaction),
        _ => UNALLOCATED,
    }
}

/// MSR (immediate), CFINV, XAFLAG, AXFLAG.
const fn pstate_immediate(word: u32) -> Class {
    let crm = bits(word, 8, 4);
    Class::Refuse(match (bits(word, 16, 3), bits(word, 5, 3)) {
        // The condition flags come back in SPSR like those that CMP writes.
        (0b000, 0b000..=0b010) => return Class::OutOfLine,
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
const fn sys(word: u32, read: bool) -> Class {
    const GCSPUSHX: u32 = key(1, 0, 7, 7, 4);
    const GCSPOPCX: u32 = key(1, 0, 7, 7, 5);
    const GCSPOPX: u32 = key(1, 0, 7, 7, 6);
    match bits(word, 5, 16) {
        GCSPUSHX | GCSPOPCX | GCSPOPX if !read => Class::Refuse(Reason::ExceptionState),
        _ => Class::OutOfLine,
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
    // The _EL2 names are the same registers where the kernel runs at EL2; the _EL12 names are another's.
    const SPSR_EL1: u32 = key(3, 0, 4, 0, 0);
    const ELR_EL1: u32 = key(3, 0, 4, 0, 1);
    const ESR_EL1: u32 = key(3, 0, 5, 2, 0);
    const FAR_EL1: u32 = key(3, 0, 6, 0, 0);
    const SPSR_EL2: u32 = key(3, 4, 4, 0, 0);
    const ELR_EL2: u32 = key(3, 4, 4, 0, 1);
    const ESR_EL2: u32 = key(3, 4, 5, 2, 0);
    const FAR_EL2: u32 = key(3, 4, 6, 0, 0);
    match which {
        DAIF | ALLINT => Class::Refuse(Reason::InterruptMasks),
        SPSEL => Class::Refuse(Reason::StackSelect),
        PAN | UAO | PM | SVCR | DIT | SSBS | TCO if !read => Class::Refuse(Reason::PstateWrite),
        SPSR_EL1 | ELR_EL1 | ESR_EL1 | FAR_EL1 | SPSR_EL2 | ELR_EL2 | ESR_EL2 | FAR_EL2 => {
            Class::Refuse(Reason::ExceptionState)
        }
        _ => Class::OutOfLine,
    }
}
