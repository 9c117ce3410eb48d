//! From a word to its [`Class`], by the encoding index of DDI 0487 C4.1: one file for each top-level group.
//!
//! The integer groups, branches, system and loads and stores are decoded down to what is allocated. Scalar FP, Advanced SIMD, SVE
//! and SME data processing is not: none of it depends on the PC or touches PSTATE beyond the flags, so every word there is
//! [`Class::OutOfLine`]. If such a word is unallocated, its copy takes the same undefined-instruction exception out of line that
//! the original takes in place.
//!
//! A decoded word that breaks a should-be-zero or should-be-one field is refused: it is CONSTRAINED UNPREDICTABLE
//! (DDI 0487 K1.2), and CPUs and emulators differ on whether it is undefined.
use crate::bits::{bit, bits};
use crate::class::{Class, Reason, Relocatable};

mod branch;
mod data;
mod memory;
mod system;

pub(crate) const UNALLOCATED: Class = Class::Refuse(Reason::Unallocated);

/// The verdict on a row of the encoding tables whose instructions run out of line; [`classify`] puts the word in.
pub(crate) const OUT_OF_LINE: Class = Class::OutOfLine(Relocatable::UNKNOWN);

/// The verdict on a row of the encoding tables: its instructions run out of line if `yes`, and are unallocated otherwise.
pub(crate) const fn allocated(yes: bool) -> Class {
    if yes { OUT_OF_LINE } else { UNALLOCATED }
}

/// How to run the A64 instruction `word` under a probe. Total: each of the 2^32 words gets a verdict. May be called from any
/// context.
///
/// The function sees one word only. [`classify_at`](crate::classify_at) also sees whether the instruction lies inside an exclusive
/// sequence.
///
/// ```
/// use stepwell_probe::{Class, Reason, classify};
///
/// assert!(matches!(classify(0x9100_0420), Class::OutOfLine(_))); // add x0, x1, #1
/// assert!(matches!(classify(0x9000_0000), Class::Simulate(_))); // adrp x0, .
/// assert_eq!(classify(0xd69f_03e0), Class::Refuse(Reason::ExceptionReturn)); // eret
/// ```
pub const fn classify(word: u32) -> Class {
    match row(word) {
        Class::OutOfLine(_) => Class::OutOfLine(Relocatable::new(word)),
        other => other,
    }
}

/// The verdict of the row of the encoding index that a word is in.
const fn row(word: u32) -> Class {
    match bits(word, 25, 4) {
        0b0000 => reserved(word),
        0b0001 | 0b0011 => UNALLOCATED,
        // SVE.
        0b0010 if is_move_prefix(word) => Class::Refuse(Reason::MovePrefix),
        0b0010 => OUT_OF_LINE,
        0b1000 | 0b1001 => data::immediate(word),
        0b1010 | 0b1011 => branch::classify(word),
        0b0100 | 0b0110 | 0b1100 | 0b1110 => memory::classify(word),
        0b0101 | 0b1101 => data::register(word),
        // Scalar FP and Advanced SIMD. FCMP and FCMPE with zero: Rm should be 0.
        _ => allocated(word & 0xff20_fc07 != 0x1e20_2000 || !bit(word, 3) || bits(word, 16, 5) == 0),
    }
}

/// Whether the word is MOVPRFX, predicated or not.
pub(crate) const fn is_move_prefix(word: u32) -> bool {
    word & 0xffff_fc00 == 0x0420_bc00 || word & 0xff3e_e000 == 0x0410_2000
}

/// UDF, SME, and the rest of the reserved group (DDI 0487 C4.1, "Reserved").
const fn reserved(word: u32) -> Class {
    if bit(word, 31) {
        OUT_OF_LINE
    } else if word >> 16 == 0 {
        Class::Refuse(Reason::Udf)
    } else {
        UNALLOCATED
    }
}
