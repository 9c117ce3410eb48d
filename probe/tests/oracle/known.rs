//! Where `classify` and the decoder differ on purpose.
use stepwell_probe::{Class, Reason};

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

/// Instructions with a field that should be all zeros or all ones: mask and value of the rest, the field, and what it should be.
const SHOULD_BE: &[(u32, u32, u32, u32)] = &[
    // LDAR, STLR, LDLAR, STLLR; CAST, CASPT.
    (0x3fa0_0000, 0x0880_0000, 0x001f_7c00, 0x001f_7c00),
    (0xbfa0_0000, 0x8980_0000, 0x0000_7c00, 0x0000_7c00),
    (0xbfa1_0001, 0x0980_0000, 0x0000_7c00, 0x0000_7c00),
    // SMULH, UMULH; ADDG, SUBG; FCMP, FCMPE with zero.
    (0xff60_8000, 0x9b40_0000, 0x0000_7c00, 0x0000_7c00),
    (0xbfc0_0000, 0x9180_0000, 0x0000_c000, 0),
    (0xff20_fc0f, 0x1e20_2008, 0x001f_0000, 0),
    // SB; CFINV, XAFLAG, AXFLAG.
    (0xffff_f0ff, 0xd503_30ff, 0x0000_0f00, 0),
    (0xffff_f0ff, 0xd500_401f, 0x0000_0f00, 0),
    (0xffff_f0ff, 0xd500_403f, 0x0000_0f00, 0),
    (0xffff_f0ff, 0xd500_405f, 0x0000_0f00, 0),
];

/// SYS that has no register: what is not Rt.
const NO_REGISTER: &[u32] = &[
    0xd508_7100,
    0xd508_7500,
    0xd508_8700,
    0xd508_9700,
    0xd508_c000,
    0xd508_c020,
    0xd508_c1e0,
    0xd509_7280,
    0xd509_72a0,
    0xd50c_8640,
    0xd50c_9640,
    0xd50c_8700,
    0xd50c_9700,
    0xd50c_8780,
    0xd50c_9780,
    0xd50c_87c0,
    0xd50c_97c0,
    0xd50e_8180,
    0xd50e_9180,
    0xd50e_8700,
    0xd50e_9700,
    0xd50e_8780,
    0xd50e_9780,
];

pub const KNOWN: &[Known] = &[
    Known {
        why: "a should-be-zero or should-be-one field that is not: the decoder does not look",
        count: 30_169_669,
        applies: |word, expected, class| {
            let field = SHOULD_BE
                .iter()
                .any(|&(mask, value, field, good)| word & mask == value && word & field != good);
            let sys = NO_REGISTER.contains(&(word & !0x1f)) && word & 0x1f != 31;
            (field || sys) && expected == Verdict::OutOfLine && class == REFUSED
        },
    },
    Known {
        why: "the decoder has no LDAP1 and STL1 (FEAT_LRCPC3)",
        count: 4_096,
        applies: |word, expected, class| {
            word & 0xbfbf_fc00 == 0x0d01_8400
                && expected == UNALLOCATED
                && matches!(class, Class::OutOfLine(_))
        },
    },
    Known {
        why: "the decoder has no name for GICR CDIA and CDNMIA, nor for some registers that are refused, nor for any in MSRR",
        count: 4_400,
        applies: |word, expected, class| {
            let gicr = word & 0xffff_ffc0 == 0xd528_c300;
            let register = word & 0xffd0_0000 == 0xd510_0000 || word & 0xfff0_0001 == 0xd550_0000;
            let reason = matches!(
                class,
                Class::Refuse(Reason::InterruptState | Reason::ExceptionState | Reason::MachineState)
            );
            (gicr || register) && reason && expected == Verdict::OutOfLine
        },
    },
    Known {
        why: "unallocated words of scalar FP, Advanced SIMD, SVE and SME are not told from allocated ones: out of line they \
              are undefined as in place",
        count: 638_226_702,
        applies: |word, expected, class| {
            let op0 = word >> 25 & 0xf;
            let vector = op0 == 0b0010 || op0 & 0b0111 == 0b0111 || (op0 == 0 && word >> 31 == 1);
            vector && expected == UNALLOCATED && matches!(class, Class::OutOfLine(_))
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
                && matches!(class, Class::OutOfLine(_))
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
        why: "the decoder has no name for ALLINT, PM and SVCR",
        count: 128,
        applies: |word, expected, class| {
            let reason = match word & 0xffdf_ffe0 {
                0xd518_4300 => Reason::InterruptMasks,
                0xd518_4320 | 0xd51b_4240 => Reason::PstateWrite,
                _ => return false,
            };
            expected == Verdict::OutOfLine && class == Class::Refuse(reason)
        },
    },
];
