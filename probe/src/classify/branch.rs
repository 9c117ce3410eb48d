//! Branches and exception generation (DDI 0487 C4.1, "Branches, Exception Generating and System instructions"). System instructions
//! are in [`super::system`].
use super::{UNALLOCATED, system};
use crate::bits::{bit, bits, reg, word_offset};
use crate::class::{Class, Reason};
use crate::sim::{Compare, Cond, Operand, Sim, Width};

/// Branches, exception generation and system: op0 = `101x`.
pub(super) const fn classify(word: u32) -> Class {
    match bits(word, 25, 6) {
        // B, BL: bit 25 belongs to imm26.
        0b001010 | 0b001011 => {
            Class::Simulate(Sim::Branch { offset: word_offset(word, 0, 26), link: bit(word, 31) })
        }
        0b011010 => Class::Simulate(Sim::CompareZero {
            rt: reg(word, 0),
            width: if bit(word, 31) { Width::Double } else { Width::Word },
            nonzero: bit(word, 24),
            offset: word_offset(word, 5, 19),
        }),
        0b011011 => Class::Simulate(Sim::TestBit {
            rt: reg(word, 0),
            bit: (bits(word, 31, 1) << 5 | bits(word, 19, 5)) as u8,
            nonzero: bit(word, 24),
            offset: word_offset(word, 5, 14),
        }),
        0b111010 => compare_and_branch(word),
        0b101010 if !bit(word, 31) => conditional(word),
        0b101010 if !bit(word, 24) => exception_generation(word),
        0b101010 => match bits(word, 22, 2) {
            0b00 => system::classify(word),
            0b01 => system::pair(word),
            _ => UNALLOCATED,
        },
        0b101011 if bit(word, 31) => branch_register(word),
        _ => UNALLOCATED,
    }
}

/// B.cond, BC.cond, RETAASPPC, RETABSPPC.
const fn conditional(word: u32) -> Class {
    if !bit(word, 24) {
        return Class::Simulate(Sim::BranchCond {
            cond: Cond(bits(word, 0, 4) as u8),
            offset: word_offset(word, 5, 19),
        });
    }
    if bits(word, 22, 2) == 0 && bits(word, 0, 5) == 31 {
        Class::Refuse(Reason::AuthenticatedBranch)
    } else {
        UNALLOCATED
    }
}

/// `CB<cc>`, `CBB<cc>`, `CBH<cc>` (FEAT_CMPBR).
const fn compare_and_branch(word: u32) -> Class {
    let sf = bit(word, 31);
    let immediate = bit(word, 24);
    let compare = match (bits(word, 21, 3), immediate) {
        (0b000, _) => Compare::SignedGreater,
        (0b001, false) => Compare::SignedGreaterEqual,
        (0b001, true) => Compare::SignedLess,
        (0b010, _) => Compare::UnsignedGreater,
        (0b011, false) => Compare::UnsignedGreaterEqual,
        (0b011, true) => Compare::UnsignedLess,
        (0b110, _) => Compare::Equal,
        (0b111, _) => Compare::NotEqual,
        _ => return UNALLOCATED,
    };
    let full = if sf { Width::Double } else { Width::Word };
    let (width, rhs) = if immediate {
        if bit(word, 14) {
            return UNALLOCATED;
        }
        (full, Operand::Immediate(bits(word, 15, 6) as u8))
    } else {
        let width = match bits(word, 14, 2) {
            0b00 => full,
            0b10 if !sf => Width::Byte,
            0b11 if !sf => Width::Half,
            _ => return UNALLOCATED,
        };
        (width, Operand::Register(reg(word, 16)))
    };
    Class::Simulate(Sim::CompareBranch {
        compare,
        width,
        lhs: reg(word, 0),
        rhs,
        offset: word_offset(word, 5, 9),
    })
}

/// SVC, HVC, SMC, BRK, HLT, DCPS1 to DCPS3, TCANCEL, TENTER.
const fn exception_generation(word: u32) -> Class {
    if bits(word, 2, 3) != 0 {
        return UNALLOCATED;
    }
    match (bits(word, 21, 3), bits(word, 0, 2)) {
        (0b000 | 0b101, 0b01..=0b11) => Class::Refuse(Reason::ExceptionGeneration),
        (0b001 | 0b010, 0b00) => Class::Refuse(Reason::Breakpoint),
        (0b011, 0b00) => Class::Refuse(Reason::Transaction),
        _ => UNALLOCATED,
    }
}

/// BR, BLR, RET, ERET, DRPS and their authenticated forms.
const fn branch_register(word: u32) -> Class {
    let rn = reg(word, 5);
    let op4 = bits(word, 0, 5);
    if bits(word, 16, 5) != 31 {
        return UNALLOCATED;
    }
    match (bits(word, 21, 4), bits(word, 10, 6)) {
        (0b0000, 0) if op4 == 0 => Class::Simulate(Sim::BranchReg { rn }),
        (0b0001, 0) if op4 == 0 => Class::Simulate(Sim::BranchLinkReg { rn }),
        (0b0010, 0) if op4 == 0 => Class::Simulate(Sim::Return { rn }),
        // BRAAZ, BLRAAZ; RETAA, RETAASPPCR; BRAA, BLRAA and their B-key forms.
        (0b0000 | 0b0001, 0b10 | 0b11) if op4 == 31 => Class::Refuse(Reason::AuthenticatedBranch),
        (0b0010, 0b10 | 0b11) if rn == 31 => Class::Refuse(Reason::AuthenticatedBranch),
        (0b1000 | 0b1001, 0b10 | 0b11) => Class::Refuse(Reason::AuthenticatedBranch),
        (0b0100 | 0b0101, 0) if rn == 31 && op4 == 0 => Class::Refuse(Reason::ExceptionReturn),
        (0b0100, 0b10 | 0b11) if rn == 31 && op4 == 31 => Class::Refuse(Reason::ExceptionReturn),
        _ => UNALLOCATED,
    }
}
