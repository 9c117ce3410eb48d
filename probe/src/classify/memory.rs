//! Loads and stores (DDI 0487 C4.1, "Loads and Stores"). A function that returns `bool` says whether the word is allocated; its
//! documentation lists the instructions that it is for.
use super::{UNALLOCATED, allocated};
use crate::bits::{bit, bits, reg, word_offset};
use crate::class::{Class, Reason};
use crate::monitor::{is_load_exclusive, is_store_exclusive};
use crate::sim::{Literal, Sim, VectorSize};

/// Loads and stores: op0 = `x1x0`.
pub(super) const fn classify(word: u32) -> Class {
    let vector = bit(word, 26);
    let op24 = bit(word, 24);
    match bits(word, 28, 2) {
        0b00 if vector => allocated(!bit(word, 31) && structure(word)),
        0b00 => exclusive_group(word),
        0b01 if !op24 => literal(word),
        0b01 => ordered_tags_and_copy(word),
        0b10 => allocated(pair(word)),
        _ if op24 => allocated(form(word, Addressing::Plain)),
        _ => allocated(register(word)),
    }
}

/// Exclusives, and the instructions that share their encoding space without using the monitor: LDAR, STLR, LDLAR, STLLR, CAS, CASP
/// and the unprivileged CAST, CASPT.
const fn exclusive_group(word: u32) -> Class {
    if is_load_exclusive(word) || is_store_exclusive(word) {
        return Class::Refuse(Reason::Exclusive);
    }
    let size = bits(word, 30, 2);
    let ordered = bit(word, 23);
    let pair = bit(word, 21);
    let even_pairs = !bit(word, 16) && !bit(word, 0);
    // None of these has a second transfer register: Rt2 should be 31, and so should Rs of LDAR, STLR and kin.
    let unused = bits(word, 10, 5) == 31;
    allocated(if bit(word, 24) {
        // FEAT_LSUI: CASPT (size 01), CAST (size 11).
        ordered && unused && !pair && (size == 0b11 || (size == 0b01 && even_pairs))
    } else if pair {
        // CAS; CASP.
        unused && (ordered || even_pairs)
    } else {
        unused && bits(word, 16, 5) == 31
    })
}

/// LDR, LDRSW, PRFM (literal), LDR (literal, SIMD&FP).
const fn literal(word: u32) -> Class {
    let opc = bits(word, 30, 2);
    let (rt, offset) = (reg(word, 0), word_offset(word, 5, 19));
    if bit(word, 26) {
        let size = match opc {
            0b00 => VectorSize::Single,
            0b01 => VectorSize::Double,
            0b10 => VectorSize::Quad,
            _ => return UNALLOCATED,
        };
        return Class::Simulate(Sim::LoadVector { rt, size, offset });
    }
    let kind = match opc {
        0b00 => Literal::Word,
        0b01 => Literal::Double,
        0b10 => Literal::SignedWord,
        // A prefetch is a hint without an effect that the program can see: its simulation only moves the PC on.
        _ => return Class::Simulate(Sim::Nop),
    };
    Class::Simulate(Sim::LoadLiteral { rt, kind, offset })
}

/// The `011x01` group: MOPS, LDAPUR, STLUR, memory tags, FEAT_LRCPC3 pairs, FEAT_THE and FEAT_LSE128 atomics, GCSSTR.
const fn ordered_tags_and_copy(word: u32) -> Class {
    let size = bits(word, 30, 2);
    let opc = bits(word, 22, 2);
    let op = bits(word, 10, 2);
    if !bit(word, 21) && op == 0b01 && size == 0 {
        return if memory_copy(word) { Class::Refuse(Reason::MemoryCopy) } else { UNALLOCATED };
    }
    if bit(word, 26) {
        // SETGO*; LDAPUR, STLUR of SIMD&FP registers.
        if op == 0b00 && size == 0 && bits(word, 21, 3) == 0b110 {
            let allocated = bits(word, 16, 5) == 31 && bits(word, 12, 4) < 12 && set_registers(word);
            return if allocated { Class::Refuse(Reason::MemoryCopy) } else { UNALLOCATED };
        }
        return allocated(!bit(word, 21) && op == 0b10 && (size == 0 || opc < 2));
    }
    allocated(match (bit(word, 21), op) {
        // Memory tags: the bulk forms have no offset.
        (true, 0b00) if size == 0b11 => opc == 0b01 || bits(word, 12, 9) == 0,
        (true, _) if size == 0b11 => true,
        (true, _) => checked_atomic(word, size, op),
        // LDAPUR, STLUR and their signed forms.
        (false, 0b00) => opc < 2 || size < 2 || (size == 2 && opc == 2),
        (false, 0b10) if opc < 2 => ordered_pair(word, size),
        // STLR (pre-index), LDAPR (post-index).
        (false, 0b10) => size >= 2 && bits(word, 12, 9) == 0,
        // GCSSTR, GCSSTTR.
        (false, 0b11) => size == 0b11 && opc == 0 && bits(word, 13, 8) == 0b1111_1000,
        _ => false,
    })
}

/// LDIAPP, STILP, LDAP, LDAPP, STLP (FEAT_LRCPC3).
const fn ordered_pair(word: u32, size: u32) -> bool {
    match bits(word, 12, 4) {
        0b0000 | 0b0001 => size >= 2,
        0b0101 => size == 3,
        0b0111 => size == 3 && bit(word, 22),
        _ => false,
    }
}

/// LDTADD to SWPT, LDCLRP to SWPP, RCWCAS to RCWSSWPP (FEAT_LSUI, FEAT_LSE128, FEAT_THE).
const fn checked_atomic(word: u32, size: u32, op: u32) -> bool {
    let (o3, opc) = (bit(word, 15), bits(word, 12, 3));
    let (rs, rt) = (bits(word, 16, 5), bits(word, 0, 5));
    if size > 1 {
        return false;
    }
    match op {
        0b00 => {
            let form =
                if o3 { opc < 4 && (opc > 0 || size == 0) } else { size == 0 && (opc == 1 || opc == 3) };
            form && rs != 31 && rt != 31
        }
        0b01 => {
            if o3 {
                opc == 0
            } else {
                matches!(opc, 0 | 1 | 3)
            }
        }
        0b10 => !o3 && opc == 0,
        _ => !o3 && opc == 0 && rs & 1 == 0 && rt & 1 == 0,
    }
}

/// CPYFP to CPYE, SETP to SETGE.
const fn memory_copy(word: u32) -> bool {
    let (value, source) = (bits(word, 16, 5), bits(word, 5, 5));
    let destination = bits(word, 0, 5);
    if !set_registers(word) || value == source || value == destination {
        return false;
    }
    if bits(word, 22, 2) == 0b11 { bits(word, 12, 4) < 12 } else { value != 31 }
}

/// Whether the destination register of SET* or CPY* is not 31 and is not the register in bits 9 to 5.
const fn set_registers(word: u32) -> bool {
    bits(word, 0, 5) != 31 && bits(word, 0, 5) != bits(word, 5, 5)
}

/// LDP, STP and kin, STGP, LDTP, STTP.
const fn pair(word: u32) -> bool {
    let non_temporal = bits(word, 23, 2) == 0;
    // opc 01 of integer registers is LDPSW and STGP, which have no non-temporal form.
    bit(word, 26) || bits(word, 30, 2) != 0b01 || !non_temporal
}

enum Addressing {
    /// Unsigned, register or unscaled offset: PRFM exists.
    Plain,
    /// Pre-index and post-index.
    Writeback,
    Unprivileged,
}

/// Whether `size`, `V`, `opc` name a load or store in this addressing mode.
const fn form(word: u32, mode: Addressing) -> bool {
    let (size, opc) = (bits(word, 30, 2), bits(word, 22, 2));
    if bit(word, 26) {
        return !matches!(mode, Addressing::Unprivileged) && (opc < 2 || size == 0);
    }
    match (size, opc) {
        (3, 2) => matches!(mode, Addressing::Plain),
        (2 | 3, 3) => false,
        _ => true,
    }
}

/// The `111x00` group, by bits 21 and 11 to 10.
const fn register(word: u32) -> bool {
    let vector = bit(word, 26);
    match (bit(word, 21), bits(word, 10, 2)) {
        (false, 0b00) => form(word, Addressing::Plain),
        (false, 0b10) => form(word, Addressing::Unprivileged),
        (false, _) => form(word, Addressing::Writeback),
        (true, 0b00) if vector => float_atomic(word),
        (true, 0b00) => atomic(word),
        // The index is extended from a word or is a doubleword.
        (true, 0b10) => bit(word, 14) && form(word, Addressing::Plain),
        // LDRAA, LDRAB.
        (true, _) => !vector && bits(word, 30, 2) == 3,
    }
}

/// LDADD to SWP, LDAPR, LD64B to ST64BV0, RCWCLR to RCWSSWP.
const fn atomic(word: u32) -> bool {
    let (size, ordering) = (bits(word, 30, 2), bits(word, 22, 2));
    let (rs, rt) = (bits(word, 16, 5), bits(word, 0, 5));
    if !bit(word, 15) {
        return true;
    }
    match bits(word, 12, 3) {
        0b000 => true,
        0b100 => ordering == 0b10 && rs == 31,
        opc if size == 3 => {
            // LD64B and kin move eight registers, from an even one up to X22.
            let form = matches!(opc, 0b010 | 0b011) || (matches!(opc, 0b001 | 0b101) && rs == 31);
            form && ordering == 0 && rt & 1 == 0 && rt <= 22
        }
        0b001..=0b011 => size < 2,
        _ => false,
    }
}

/// LDFADD to STFMINNM (FEAT_LSFE).
const fn float_atomic(word: u32) -> bool {
    let store = bit(word, 15);
    matches!(bits(word, 12, 3), 0b000 | 0b100..=0b111)
        && (!store || (!bit(word, 23) && bits(word, 0, 5) == 31))
}

/// LD1 to LD4, ST1 to ST4, LD1R to LD4R; LDAP1, STL1 (FEAT_LRCPC3).
const fn structure(word: u32) -> bool {
    let post_index = bit(word, 23);
    if !post_index && bits(word, 16, 5) != 0 {
        // LDAP1, STL1: one doubleword element, bits 21 to 16 being 000001.
        return word & 0xbfbf_fc00 == 0x0d01_8400;
    }
    let (load, size) = (bit(word, 22), bits(word, 10, 2));
    if !bit(word, 24) {
        // LD2 to LD4 of one doubleword element need Q.
        return !bit(word, 21)
            && match bits(word, 12, 4) {
                0b0000 | 0b0100 | 0b1000 => size != 3 || bit(word, 30),
                0b0010 | 0b0110 | 0b0111 | 0b1010 => true,
                _ => false,
            };
    }
    let s = bit(word, 12);
    match bits(word, 14, 2) {
        0b00 => true,
        0b01 => size & 1 == 0,
        0b10 => size == 0 || (size == 1 && !s),
        _ => load && !s,
    }
}
