//! Where `classify` and the decoder differ on purpose.
use probe::{Class, Reason};

use crate::expected::Verdict;

pub struct Known {
    pub why: &'static str,
    /// How many of the 2^32 words it explains.
    pub count: u64,
    applies: fn(u32, Verdict, Class) -> bool,
}

/// The index in [`KNOWN`] of the explanation for a difference.
pub fn known(word: u32, expected: Verdict, class: Class) -> Option<usize> {
    KNOWN.iter().position(|k| (k.applies)(word, expected, class))
}

const UNALLOCATED: Verdict = Verdict::Refuse(Reason::Unallocated);
const REFUSED: Class = Class::Refuse(Reason::Unallocated);

fn op1(word: u32) -> u32 {
    word >> 16 & 7
}

fn crn(word: u32) -> u32 {
    word >> 12 & 0xf
}

/// MSR, MRS and the instructions in their space with op0 = 00.
fn op0_is_00(word: u32) -> bool {
    word & 0xffd8_0000 == 0xd500_0000
}

pub const KNOWN: &[Known] = &[
    Known {
        why: "unallocated words of scalar FP, Advanced SIMD, SVE and SME are not told from allocated ones: out of line they \
              are undefined as in place",
        count: 638_228_686,
        applies: |word, expected, class| {
            let op0 = word >> 25 & 0xf;
            let vector = op0 == 0b0010 || op0 & 0b0111 == 0b0111 || (op0 == 0 && word >> 31 == 1);
            vector && expected == UNALLOCATED && class == Class::OutOfLine
        },
    },
    Known {
        why: "op0 = 00 with no named instruction: the decoder prints MSR or MRS of a register S0_*, the architecture \
              allocates none",
        count: 1_047_516,
        applies: |word, expected, class| {
            op0_is_00(word) && expected == Verdict::OutOfLine && class == REFUSED
        },
    },
    Known {
        why: "hints, barriers and WFET, WFIT need op1 = 011: the decoder does not look",
        count: 511,
        applies: |word, expected, class| {
            op0_is_00(word)
                && op1(word) != 3
                && matches!(crn(word), 1..=3)
                && expected != UNALLOCATED
                && class == REFUSED
        },
    },
    Known {
        why: "MSR (immediate) with op1 = 001: the decoder takes every CRm for ALLINT, but 001x is PM and the rest unallocated",
        count: 14,
        applies: |word, expected, class| {
            let crm = word >> 8 & 0xf;
            op0_is_00(word)
                && op1(word) == 1
                && expected == Verdict::Refuse(Reason::InterruptMasks)
                && class == if crm >> 1 == 1 { Class::Refuse(Reason::PstateWrite) } else { REFUSED }
        },
    },
    Known {
        why: "TENTER and TCHANGE (FEAT_TEV) are newer than the table: refused, as unallocated",
        count: 20_736,
        applies: |word, expected, class| {
            let space = word & 0xffe0_001f == 0xd4e0_0000 || word >> 22 == 0b11_0101_0110;
            space && expected == Verdict::OutOfLine && class == REFUSED
        },
    },
    Known {
        why: "PACIA171615, PACIB171615, AUTIA171615 and AUTIB171615 (FEAT_PAuth_LR) are missing from the decoder",
        count: 4,
        applies: |word, expected, class| {
            matches!(word, 0xdac1_8bfe | 0xdac1_8ffe | 0xdac1_bbfe | 0xdac1_bffe)
                && expected == UNALLOCATED
                && class == Class::OutOfLine
        },
    },
    Known {
        why: "the decoder prints MSR (immediate) of PAN, and of SSBS with a reserved CRm, as MSR (register)",
        count: 30,
        applies: |word, expected, class| {
            let pan = word & 0xffff_f0ff == 0xd500_409f;
            let ssbs = word & 0xffff_f0ff == 0xd503_403f;
            (pan || ssbs) && expected == Verdict::OutOfLine && class == Class::Refuse(Reason::PstateWrite)
        },
    },
    Known {
        why: "the decoder has no name for ALLINT, PM, SVCR, ESR_EL2 and FAR_EL2",
        count: 256,
        applies: |word, expected, class| {
            let reason = match word & 0xffdf_ffe0 {
                0xd518_4300 => Reason::InterruptMasks,
                0xd518_4320 | 0xd51b_4240 => Reason::PstateWrite,
                0xd51c_5200 | 0xd51c_6000 => Reason::ExceptionState,
                _ => return false,
            };
            expected == Verdict::OutOfLine && class == Class::Refuse(reason)
        },
    },
];
