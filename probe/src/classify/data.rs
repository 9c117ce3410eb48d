//! Data processing (DDI 0487 C4.1, "Data Processing -- Immediate" and "Data Processing -- Register"). A function that returns
//! `bool` says whether the word is allocated.
use super::{OUT_OF_LINE, UNALLOCATED, allocated};
use crate::bits::{bit, bits, reg};
use crate::class::{Class, Reason};
use crate::sim::Sim;

/// Data processing, immediate: op0 = `100x`.
pub(super) const fn immediate(word: u32) -> Class {
    let sf = bit(word, 31);
    let opc = bits(word, 29, 2);
    match bits(word, 23, 3) {
        0b000 | 0b001 => pc_relative(word),
        // Add, subtract.
        0b010 => OUT_OF_LINE,
        0b011 if bit(word, 22) => allocated(opc == 0 && bits(word, 20, 2) == 0), // SMAX to UMIN
        0b011 => allocated(sf && opc & 1 == 0 && bits(word, 14, 2) == 0),        // ADDG, SUBG
        0b100 => allocated(bitmask_immediate(word)),
        // MOVN, MOVZ, MOVK.
        0b101 => allocated(opc != 0b01 && (sf || !bit(word, 22))),
        // SBFM, BFM, UBFM.
        0b110 => allocated(opc != 0b11 && sf == bit(word, 22) && (sf || (!bit(word, 21) && !bit(word, 15)))),
        // AUTIASPPC, AUTIBSPPC; else EXTR.
        _ if word & 0xffc0_001f == 0xf380_001f => Class::Refuse(Reason::PcAuthentication),
        _ => allocated(opc == 0 && !bit(word, 21) && sf == bit(word, 22) && (sf || !bit(word, 15))),
    }
}

/// ADR, ADRP.
const fn pc_relative(word: u32) -> Class {
    let rd = reg(word, 0);
    let immediate = bits(word, 5, 19) << 2 | bits(word, 29, 2);
    let offset = (immediate << 11) as i32 >> 11;
    Class::Simulate(if bit(word, 31) { Sim::Adrp { rd, pages: offset } } else { Sim::Adr { rd, offset } })
}

/// Whether a logical immediate's N, imms describe a bitmask (`DecodeBitMasks` of the shared pseudocode).
const fn bitmask_immediate(word: u32) -> bool {
    let n = bits(word, 22, 1);
    let imms = bits(word, 10, 6);
    if !bit(word, 31) && n == 1 {
        return false;
    }
    let size_bits = n << 6 | (!imms & 0x3f);
    if size_bits < 2 {
        return false;
    }
    let levels = (1 << size_bits.ilog2()) - 1;
    imms & levels != levels
}

/// Data processing, register: op0 = `x101`.
pub(super) const fn register(word: u32) -> Class {
    let sf = bit(word, 31);
    let op = bit(word, 30);
    let s = bit(word, 29);
    let shift_fits = sf || !bit(word, 15);
    match bits(word, 24, 5) {
        // Logical (shifted register).
        0b01010 => allocated(shift_fits),
        // Add, subtract (extended register), (shifted register).
        0b01011 if bit(word, 21) => allocated(bits(word, 22, 2) == 0 && bits(word, 10, 3) <= 4),
        0b01011 => allocated(bits(word, 22, 2) != 0b11 && shift_fits),
        0b11010 => match bits(word, 21, 3) {
            0b000 => carry_and_flags(word, sf, op, s),
            // CCMN, CCMP.
            0b010 => allocated(s && !bit(word, 10) && !bit(word, 4)),
            // CSEL to CSNEG.
            0b100 => allocated(!s && !bit(word, 11)),
            0b110 if op => one_source(word, sf, s),
            0b110 => allocated(two_source(word, sf, s)),
            _ => UNALLOCATED,
        },
        0b11011 => allocated(!op && !s && three_source(word, sf)),
        _ => UNALLOCATED,
    }
}

const fn carry_and_flags(word: u32, sf: bool, op: bool, s: bool) -> Class {
    let op3 = bits(word, 10, 6);
    allocated(if op3 == 0 {
        true // ADC to SBCS
    } else if op3 & 0x1f == 1 {
        sf && !op && s && !bit(word, 4) // RMIF
    } else if op3 & 0xf == 2 {
        !sf && !op && s && bits(word, 15, 6) == 0 && bits(word, 0, 5) == 0b01101 // SETF8, SETF16
    } else {
        op3 >> 3 == 1 && sf && !s // ADDPT, SUBPT
    })
}

const fn two_source(word: u32, sf: bool, s: bool) -> bool {
    match bits(word, 10, 6) {
        0b000000 => sf, // SUBP, SUBPS
        _ if s => false,
        0b000010 | 0b000011 | 0b001000..=0b001011 | 0b011000..=0b011011 => true, // divide, shift, min and max
        0b000100 | 0b000101 | 0b001100 => sf,                                    // IRG, GMI, PACGA
        opcode @ 0b010000..=0b010111 => sf == (opcode & 3 == 3),                 // CRC32*
        _ => false,
    }
}

const fn one_source(word: u32, sf: bool, s: bool) -> Class {
    let opcode = bits(word, 10, 6);
    let rn = bits(word, 5, 5);
    let rd = bits(word, 0, 5);
    if s {
        return UNALLOCATED;
    }
    match bits(word, 16, 5) {
        0b00000 => allocated(opcode <= 0b001000 && (sf || opcode != 0b000011)),
        0b00001 if sf => match opcode {
            0b000000..=0b000111 => OUT_OF_LINE,         // PACIA to AUTDB
            0b001000..=0b010001 => allocated(rn == 31), // PACIZA to AUTDZB, XPACI, XPACD
            0b100000 | 0b100001 | 0b101000 | 0b101001 => {
                // PACNBIASPPC, PACNBIBSPPC, PACIASPPC, PACIBSPPC
                if rd == 30 && rn == 31 { Class::Refuse(Reason::PcAuthentication) } else { UNALLOCATED }
            }
            0b100010 | 0b100011 | 0b101110 | 0b101111 => allocated(rd == 30 && rn == 31), // PACIA171615 to AUTIB171615
            0b100100 | 0b100101 => allocated(rd == 30), // AUTIASPPCR, AUTIBSPPCR
            _ => UNALLOCATED,
        },
        _ => UNALLOCATED,
    }
}

const fn three_source(word: u32, sf: bool) -> bool {
    match bits(word, 21, 3) {
        0b000 => true,               // MADD, MSUB
        0b001 | 0b011 | 0b101 => sf, // SMADDL to UMSUBL, MADDPT, MSUBPT
        // SMULH, UMULH: Ra should be 31.
        0b010 | 0b110 => sf && !bit(word, 15) && bits(word, 10, 5) == 31,
        _ => false,
    }
}
