//! Chooses the instructions, and changes their operands so that they do no harm when they are executed natively.

use super::area::{self, LANDINGS, POOL};
use super::state::{State, scratch};
use harness::storm::Random;
use probe::{Class, Sim, classify};

/// A group of encodings: the fixed bits, and the bits that are random. If `classify` refuses a word, another one is drawn. So each
/// group yields words that can be probed, however few of its words these are.
pub struct Group {
    pub name: &'static str,
    fixed: u32,
    free: u32,
}

macro_rules! groups {
    ($($name:literal: $fixed:literal, $free:literal;)*) => {
        /// All groups. Samples take them in turns, so each group gets as many samples as every other.
        pub static GROUPS: &[Group] = &[$(Group { name: $name, fixed: $fixed, free: $free }),*];
    };
}

groups! {
    "anything": 0, 0xffff_ffff;
    "B": 0x1400_0000, 0x03ff_ffff;
    "BL": 0x9400_0000, 0x03ff_ffff;
    "B.cond": 0x5400_0000, 0x00ff_ffef;
    "BC.cond": 0x5400_0010, 0x00ff_ffef;
    "CBZ, CBNZ": 0x3400_0000, 0x81ff_ffff;
    "TBZ, TBNZ": 0x3600_0000, 0x81ff_ffff;
    "CB<cc> (register)": 0x7400_0000, 0x80ff_ffff;
    "CB<cc> (immediate)": 0x7500_0000, 0x80ff_ffff;
    "BR": 0xd61f_0000, 0x0000_03e0;
    "BLR": 0xd63f_0000, 0x0000_03e0;
    "RET": 0xd65f_0000, 0x0000_03e0;
    "ADR": 0x1000_0000, 0x60ff_ffff;
    "ADRP": 0x9000_0000, 0x60ff_ffff;
    "LDR, LDRSW, PRFM (literal)": 0x1800_0000, 0xc0ff_ffff;
    "LDR (literal, SIMD&FP)": 0x1c00_0000, 0xc0ff_ffff;
    "hints": 0xd503_201f, 0x0000_0fe0;
    "barriers": 0xd503_301f, 0x0000_0fe0;
    "flags": 0xd500_401f, 0x0000_00e0;
    "add, subtract (immediate)": 0x1100_0000, 0xe07f_ffff;
    "tags, minimum, maximum (immediate)": 0x1180_0000, 0xe07f_ffff;
    "logical (immediate)": 0x1200_0000, 0xe07f_ffff;
    "move wide": 0x1280_0000, 0xe07f_ffff;
    "bitfield": 0x1300_0000, 0xe07f_ffff;
    "extract": 0x1380_0000, 0xe07f_ffff;
    "logical (shifted)": 0x0a00_0000, 0xe0ff_ffff;
    "add, subtract (shifted)": 0x0b00_0000, 0xe0df_ffff;
    "add, subtract (extended)": 0x0b20_0000, 0xe0df_ffff;
    "with carry, flags": 0x1a00_0000, 0xe01f_ffff;
    "conditional compare": 0x1a40_0000, 0xe01f_ffff;
    "conditional select": 0x1a80_0000, 0xe01f_ffff;
    "two sources": 0x1ac0_0000, 0xa01f_ffff;
    "one source": 0x5ac0_0000, 0x8000_3fff;
    "one source (PAC)": 0xdac1_0000, 0x0000_7fff;
    "three sources": 0x1b00_0000, 0x80ff_ffff;
    "pairs": 0x2800_0000, 0xc7ff_ffff;
    "load, store (9 bits)": 0x3800_0000, 0xc7df_ffff;
    "atomics": 0x3820_0000, 0xc7df_f3ff;
    "load, store (register)": 0x3820_0800, 0xc7df_f3ff;
    "load, store (PAC)": 0xf820_0400, 0x00df_fbff;
    "load, store (12 bits)": 0x3900_0000, 0xc6ff_ffff;
    "ordered, compare and swap": 0x0800_0000, 0xc1ff_ffff;
    "ordered (9 bits), tags": 0x1900_0000, 0xc4ff_ffff;
    "structures": 0x0c00_0000, 0x41ff_ffff;
    "floating point": 0x1e00_0000, 0xe1ff_ffff;
    "Advanced SIMD": 0x0e00_0000, 0xf1ff_ffff;
    "SVE": 0x0400_0000, 0xe1ff_ffff;
    "SME": 0x8000_0000, 0x61ff_ffff;
    "MRS, MSR": 0xd510_0000, 0x002f_ffff;
}

/// Words that are never sampled because they cannot be run natively: mask, value, and what they would do.
const EXCLUDED: &[(u32, u32, &str)] = &[
    (0xffe0_fc00, 0x9ac0_1000, "IRG: each execution gives another tag"),
    (0xffe0_fc00, 0x9ac0_3000, "PACGA: traps to EL2, where nothing handles it"),
    (
        0xff80_0000,
        0xd500_0000,
        "system registers and operations beyond the list below: they change the machine, or two reads differ",
    ),
    (0xffc0_0000, 0xd540_0000, "the same, with 128 bits"),
];

/// The system instructions that are sampled: hints, barriers, and instructions that change flags. The masks leave out Rt.
const SYSTEM: &[(u32, u32)] = &[
    (0xffff_f01f, 0xd503_201f),
    (0xffff_f01f, 0xd503_301f),
    (0xffff_f0ff, 0xd500_401f), // CFINV
    (0xffff_f0ff, 0xd500_403f), // XAFLAG
    (0xffff_f0ff, 0xd500_405f), // AXFLAG
];

/// The MRS and MSR that are sampled: nothing else in the kernel writes these registers during a run.
const REGISTERS: &[u32] = &[
    0xd53b_4200, // NZCV
    0xd51b_4200,
    0xd53b_4400, // FPCR
    0xd53b_4420, // FPSR
    0xd51b_4420,
    0xd53b_d040, // TPIDR_EL0
    0xd51b_d040,
    0xd538_d080, // TPIDR_EL1
    0xd538_4240, // CurrentEL
    0xd538_4100, // SP_EL0
    0xd538_0000, // MIDR_EL1
    0xd538_00a0, // MPIDR_EL1
    0xd538_0400, // ID_AA64PFR0_EL1
    0xd538_0600, // ID_AA64ISAR0_EL1
    0xd538_1000, // SCTLR_EL1
    0xd538_c000, // VBAR_EL1
    0xd53b_0020, // CTR_EL0
    0xd53b_00e0, // DCZID_EL0
    0xd53b_e000, // CNTFRQ_EL0
];

fn is_excluded(word: u32) -> bool {
    let allowed =
        SYSTEM.iter().any(|&(mask, value)| word & mask == value) || REGISTERS.contains(&(word & !0x1f));
    !allowed && EXCLUDED.iter().any(|&(mask, value, _)| word & mask == value)
}

fn field(word: u32, lsb: u32, width: u32) -> u32 {
    word >> lsb & ((1 << width) - 1)
}

fn with(word: u32, lsb: u32, width: u32, value: u32) -> u32 {
    let mask = ((1 << width) - 1) << lsb;
    word & !mask | value << lsb & mask
}

/// A word of the group that can be probed at `slot`, its index in the area. None if a thousand attempts have found no such word.
pub fn draw(group: &Group, slot: u64, random: &mut Random) -> Option<u32> {
    for _ in 0..1000 {
        let mut word = group.fixed | random.word() & group.free;
        if group.name == "MRS, MSR" {
            word = random.pick(REGISTERS) | random.below(32);
        }
        word = tame(as_it_should_be(word), random);
        let probeable = match classify(word) {
            Class::Refuse(_) => false,
            Class::OutOfLine(_) => true,
            Class::Simulate(sim) => match aim(word, sim, slot, random) {
                Some(aimed) => {
                    word = aimed;
                    true
                }
                None => false,
            },
        };
        if probeable && !is_excluded(word) {
            return Some(word);
        }
    }
    None
}

/// Sets fields that should be all ones to ones, and fields that should be zero to zeros. A word with another value in such a
/// field is refused. Without this change, few random words of these groups would be left.
fn as_it_should_be(word: u32) -> u32 {
    match word {
        // LDAR, STLR and kin; CAST, CASPT.
        _ if word & 0x3fa0_0000 == 0x0880_0000 => word | 0x001f_7c00,
        _ if word & 0x3fa0_0000 == 0x0980_0000 => word | 0x0000_7c00,
        // First SMULH and UMULH, then ADDG and SUBG.
        _ if word & 0xff60_8000 == 0x9b40_0000 => word | 0x0000_7c00,
        _ if word & 0xbf80_0000 == 0x9180_0000 => word & !0x0000_c000,
        _ => word,
    }
}

/// Whether the word is a load or a store, literals excepted: bit 27 is set and bit 25 clear.
fn is_load_or_store(word: u32) -> bool {
    let literal = field(word, 28, 2) == 0b01 && field(word, 24, 1) == 0;
    word & 0x0a00_0000 == 0x0800_0000 && !literal
}

/// Whether the word is a load or a store that adds a register to the base.
fn has_index(word: u32) -> bool {
    field(word, 28, 2) == 0b11
        && field(word, 24, 1) == 0
        && field(word, 21, 1) == 1
        && field(word, 10, 2) == 0b10
}

/// Changes the word so that it accesses memory near its base, and leaves an SP on which exceptions can be taken: the word may move
/// SP by a small multiple of 16 only, and not access memory below SP.
fn tame(word: u32, random: &mut Random) -> u32 {
    let other = |word: u32, lsb, random: &mut Random| with(word, lsb, 5, random.below(31));
    let (rd, s) = (field(word, 0, 5), field(word, 29, 1));
    match field(word, 25, 4) {
        0b1000 | 0b1001 if rd == 31 => match field(word, 23, 3) {
            // ADD and SUB use all 64 bits of SP: if they wrote WSP, the upper half of SP would be 0, and no exception could be
            // taken.
            0b010 if s == 0 => {
                with(with(with(word | 1 << 31, 5, 5, 31), 22, 1, 0), 10, 12, random.below(64) * 16)
            }
            0b011 => other(word, 0, random),
            0b100 if field(word, 29, 2) != 3 => other(word, 0, random),
            _ => word,
        },
        0b0101 | 0b1101 if rd == 31 => match (field(word, 24, 5), field(word, 21, 3)) {
            (0b01011, 1 | 3 | 5 | 7) if s == 0 => other(word, 0, random),
            (0b11010, 0) if field(word, 10, 6) != 0 && s == 0 => other(word, 0, random),
            _ => word,
        },
        _ if is_load_or_store(word) => tame_access(word, random),
        _ => word,
    }
}

fn tame_access(mut word: u32, random: &mut Random) -> u32 {
    let (kind, op24) = (field(word, 28, 2), field(word, 24, 1));
    let pair = kind == 0b10;
    let long = kind == 0b11 && op24 == 1;
    if field(word, 5, 5) == 31 && !pair && !long {
        word = with(word, 5, 5, random.below(31));
    }
    if long {
        word = with(word, 16, 6, 0);
    } else if pair && field(word, 5, 5) == 31 {
        let (pre_index, store) = (field(word, 23, 2) == 0b11, field(word, 22, 1) == 0);
        let by = 4 * random.below(8);
        word = with(word, 15, 7, if pre_index && store { by.wrapping_neg() } else { by });
    } else if has_index(word) {
        while field(word, 16, 5) == field(word, 5, 5) {
            word = with(word, 16, 5, random.below(32));
        }
    } else if kind == 0b11 && field(word, 21, 1) == 1 && field(word, 10, 1) == 1 {
        word = with(with(word, 22, 1, 0), 17, 4, 0); // LDRAA, LDRAB: ten bits, times eight
    } else if word & 0xff20_0000 == 0xd920_0000 {
        word = with(word, 17, 4, 0); // tags: nine bits, times sixteen
    }
    word
}

/// The address that a branch goes to: mostly a landing, else an unmapped address, never the instruction itself.
fn target(slot: u64, reach: u64, random: &mut Random) -> u64 {
    if reach > 1 << 19 && random.one_in(8) {
        return area::unmapped() + 4 * u64::from(random.below(4096));
    }
    let reach = (reach / 4).min(400);
    loop {
        let index = slot - reach + u64::from(random.below(2 * reach as u32));
        if index != slot && index < LANDINGS {
            return area::word(index);
        }
    }
}

/// Gives direct branches and literals an address to go to or to read. None if the instruction cannot reach that address.
fn aim(word: u32, sim: Sim, slot: u64, random: &mut Random) -> Option<u32> {
    let at = area::word(slot);
    let (lsb, width) = match sim {
        Sim::Branch { .. } => (0, 26),
        Sim::BranchCond { .. } | Sim::CompareZero { .. } => (5, 19),
        Sim::TestBit { .. } => (5, 14),
        Sim::CompareBranch { .. } => (5, 9),
        Sim::LoadLiteral { .. } | Sim::LoadVector { .. } => (5, 19),
        _ => return Some(word),
    };
    let reach = 2 << width;
    let to = match sim {
        Sim::LoadLiteral { .. } | Sim::LoadVector { .. } if !random.one_in(8) => {
            // The largest literal has 16 bytes. They are all in the area, and none of them is the instruction under test.
            let pool = area::word(LANDINGS + u64::from(random.below(POOL as u32 - 4)));
            let landing = area::word(u64::from(random.below(slot as u32 - 8)));
            if random.one_in(3) { landing } else { pool }
        }
        Sim::LoadLiteral { .. } | Sim::LoadVector { .. } => area::unmapped(),
        _ => target(slot, reach, random),
    };
    let distance = to.wrapping_sub(at) as i64;
    (distance.unsigned_abs() < reach).then(|| with(word, lsb, width, (distance >> 2) as u32))
}

/// A random state for the word to run from. The base of a load or store and the target of an indirect branch are chosen by the
/// word.
pub fn state(word: u32, slot: u64, random: &mut Random) -> State {
    let value = |random: &mut Random| match random.below(8) {
        0 => {
            random.pick(&[0, 1, 63, 0x7f, 0x80, 0xffff, 1 << 31, 1 << 32, 1 << 63, u64::MAX, i64::MAX as u64])
        }
        1 => u64::from(random.word()),
        2 => i64::from(random.word() as i32) as u64,
        _ => random.long(),
    };
    let masks = random.pick(&[0x3, 0x3, 0xf, 0]) << 6;
    let mut state = State {
        x: core::array::from_fn(|_| value(random)),
        pstate: u64::from(random.below(16)) << 28 | masks,
        v: core::array::from_fn(|_| u128::from(value(random)) << 64 | u128::from(value(random))),
        tpidr_el0: random.long(),
        memory: (0..super::state::MEMORY).map(|_| value(random)).collect(),
        stack: (0..super::area::STACK).map(|_| value(random)).collect(),
    };
    let rn = field(word, 5, 5) as usize;
    if is_load_or_store(word) && rn != 31 {
        state.x[rn] = base(random);
        let rm = field(word, 16, 5) as usize;
        if has_index(word) && rm != 31 {
            state.x[rm] = u64::from(random.below(64)).wrapping_sub(16);
        }
    }
    if let Class::Simulate(Sim::BranchReg { .. } | Sim::BranchLinkReg { .. } | Sim::Return { .. }) =
        classify(word)
        && rn != 31
    {
        let misaligned = if random.one_in(16) { u64::from(random.below(4)) } else { 0 };
        state.x[rn] = target(slot, 1 << 20, random) + misaligned;
    }
    state
}

/// A base for memory accesses: mostly [`scratch`], aligned or not; else unmapped, or text, which cannot be written.
fn base(random: &mut Random) -> u64 {
    match random.below(16) {
        0 => area::unmapped(),
        1 => area::word(0),
        2 => random.pick(&[0, 0x1000, 1 << 55, 0xffff_8000_0000_0000, 0xfff0_0000_0000_0000]),
        3 | 4 => scratch() + u64::from(random.below(16)),
        _ => scratch() + 16 * u64::from(random.below(4)),
    }
}
