//! Out-of-line copies, and the words that are written into text: BRK, B, and which words may be exchanged under a running CPU.
use crate::bits::{bits, word_offset};
use crate::class::Relocatable;

/// The immediate of a probe's BRK. These immediates are Linux's (`asm/brk-imm.h`).
pub const KPROBE: u16 = 0x004;
/// The immediate of the BRK of a probe in user text.
pub const UPROBE: u16 = 0x005;
/// The immediate of the BRK at the end of an out-of-line copy.
pub const OOL_END: u16 = 0x006;
/// The immediate of the BRK to which a function with a return probe returns.
pub const RETURN_PROBE: u16 = 0x007;

/// The word of NOP.
pub const NOP: u32 = 0xd503_201f;
/// The word of ISB SY.
pub const ISB: u32 = 0xd503_3fdf;

/// The word of `BRK #imm`.
pub const fn brk(imm: u16) -> u32 {
    0xd420_0000 | (imm as u32) << 5
}

/// The immediate of `word` if it is a BRK.
pub const fn imm_of_brk(word: u32) -> Option<u16> {
    if word & 0xffe0_001f == 0xd420_0000 { Some(bits(word, 5, 16) as u16) } else { None }
}

/// The word of a `B` at `from` that goes to `to`. `None` if either is not a multiple of 4 or the distance is not within
/// -128 MiB up to 128 MiB - 4.
pub const fn branch(from: u64, to: u64) -> Option<u32> {
    let distance = to.wrapping_sub(from) as i64;
    let word = 0x1400_0000 | (distance >> 2) as u32 & 0x03ff_ffff;
    let reaches = word_offset(word, 0, 26) as i64 == distance;
    if reaches && from.is_multiple_of(4) { Some(word) } else { None }
}

/// Whether other CPUs may execute `word` while it is overwritten, without a rendezvous: true for B, BL, BRK, SVC, HVC, SMC, NOP and
/// ISB, and nothing else (DDI 0487 B2.2.5). It must be true for both the old and the new word.
pub const fn exchangeable(word: u32) -> bool {
    let branch = bits(word, 26, 5) == 0b00101;
    let exception = word & 0xff00_001c == 0xd400_0000
        && matches!((bits(word, 21, 3), bits(word, 0, 2)), (0b000, 0b01..=0b11) | (0b001, 0b00));
    branch || exception || word == NOP || word == ISB
}

/// The word of `MSR DAIFClr, #imm`.
const fn unmask(imm: u32) -> u32 {
    0xd503_40ff | imm << 8
}

/// The copies of one displaced instruction, in 64 bytes of text: one copy for each way in which an engine may have to run it. At
/// each hit [`form`](Self::form) chooses a copy by the masks of the probed context, and by whether the engine needs control back.
///
/// - [`OPEN`](Self::OPEN): the instruction, `MSR DAIFClr, #3`, a branch back. Entered with I and F masked, for a context in which
///   both were open. An interrupt can be taken only behind the instruction, at the branch back, and there
///   [`settled`](Self::settled) tells that the context can be moved on.
/// - [`MASKED`](Self::MASKED): the instruction and a branch back, for a context with I and F masked.
/// - [`TRAPPING`](Self::TRAPPING): the instruction and `BRK #OOL_END`, at which the engine gets control back and restores the
///   probed context's I and F itself.
///
/// All copies are entered with I and F masked and the rest of PSTATE as in the probed context, PSTATE.A too (ESB depends on A). The
/// copies' page must not be guarded, or BTYPE must be clear on entry, because a copy is no landing pad.
///
/// A fault whose PC is the first word of a form ([`faulted`](Self::faulted)) is a fault of the probed instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(64))]
pub struct Copies {
    words: [u32; 16],
}

impl Copies {
    /// The bytes of a `Copies`, and their alignment.
    pub const BYTES: usize = 64;
    /// Offset of the form for contexts where I and F are open.
    pub const OPEN: u64 = 0;
    /// Offset of the form for contexts where both are masked.
    pub const MASKED: u64 = 12;
    /// Offset of the form that returns control to the engine by an exception.
    pub const TRAPPING: u64 = 20;
    /// Offset of the BRK at the end of [`TRAPPING`](Self::TRAPPING).
    pub const TRAP: u64 = Self::TRAPPING + 4;

    /// The copies at address `at` of the instruction at address `probed`. `None` if `at` is not a multiple of [`BYTES`](Self::BYTES),
    /// `probed` is not a multiple of 4, or a branch back does not reach.
    pub const fn new(instruction: Relocatable, at: u64, probed: u64) -> Option<Copies> {
        let word = instruction.word();
        if !at.is_multiple_of(Self::BYTES as u64) {
            return None;
        }
        let next = probed.wrapping_add(4);
        let (Some(open), Some(masked)) = (branch(at + 8, next), branch(at + 16, next)) else { return None };
        let mut words = [brk(OOL_END); 16];
        words[0] = word;
        words[1] = unmask(0b0011);
        words[2] = open;
        words[3] = word;
        words[4] = masked;
        words[5] = word;
        Some(Copies { words })
    }

    /// The words to write, in the order of their addresses: [`BYTES`](Self::BYTES) bytes. The words behind the BRK at
    /// [`TRAP`](Self::TRAP) are BRKs, which no path reaches.
    pub const fn words(&self) -> &[u32] {
        &self.words
    }

    /// The offset of the form to enter for a context with this PSTATE (in SPSR's layout). `trap` says whether the engine needs
    /// control back behind the instruction, for a post-handler or because a step of the context waits. If only one of I and F is
    /// masked the engine always gets control back, to restore the masks.
    ///
    /// ```
    /// use stepwell_probe::ool::Copies;
    ///
    /// let (i, f) = (1 << 7, 1 << 6);
    /// assert_eq!(Copies::form(0, false), Copies::OPEN);
    /// assert_eq!(Copies::form(i | f, false), Copies::MASKED);
    /// assert_eq!(Copies::form(i, false), Copies::TRAPPING);
    /// assert_eq!(Copies::form(i | f, true), Copies::TRAPPING);
    /// ```
    #[inline(always)]
    pub const fn form(pstate: u64, trap: bool) -> u64 {
        match pstate >> 6 & 0b11 {
            _ if trap => Self::TRAPPING,
            0b00 => Self::OPEN,
            0b11 => Self::MASKED,
            _ => Self::TRAPPING,
        }
    }

    /// The form that has the displaced instruction at this offset; None if another instruction is there. The form tells whether I
    /// and F were open in the probed context, except for the trapping form, for which the engine has kept the masks.
    pub const fn faulted(offset: u64) -> Option<Faulted> {
        match offset {
            Self::OPEN => Some(Faulted::Open),
            Self::MASKED => Some(Faulted::Masked),
            Self::TRAPPING => Some(Faulted::Trapping),
            _ => None,
        }
    }

    /// Whether a context that is interrupted at this offset has executed the displaced instruction and stands at the branch back.
    /// The kernel may then move it behind the probed instruction, so that it does not use the copies any more.
    pub const fn settled(offset: u64) -> bool {
        offset == 8
    }
}

/// In which form the displaced instruction has faulted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Faulted {
    /// In [`Copies::OPEN`].
    Open,
    /// In [`Copies::MASKED`].
    Masked,
    /// In [`Copies::TRAPPING`].
    Trapping,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const FROM: u64 = 0xffff_8000_1000_0000;

    #[test]
    fn brk_round_trips_every_immediate() {
        for imm in 0..=u16::MAX {
            assert_eq!(imm_of_brk(brk(imm)), Some(imm));
        }
        assert_eq!(brk(KPROBE), 0xd420_0080);
        assert_eq!(brk(OOL_END), 0xd420_00c0);
        assert_eq!(brk(RETURN_PROBE), 0xd420_00e0);
        for word in [0xd440_0000, 0xd420_0001, 0xd420_0004, 0xd400_0001, NOP, 0] {
            assert_eq!(imm_of_brk(word), None, "{word:#010x}");
        }
    }

    #[test]
    fn branch_reaches_128_mib_and_no_further() {
        assert_eq!(branch(FROM, FROM), Some(0x1400_0000));
        assert_eq!(branch(FROM, FROM + 4), Some(0x1400_0001));
        assert_eq!(branch(FROM, FROM - 4), Some(0x17ff_ffff));
        assert_eq!(branch(FROM, FROM + 128 * MIB - 4), Some(0x15ff_ffff));
        assert_eq!(branch(FROM, FROM - 128 * MIB), Some(0x1600_0000));
        assert_eq!(branch(FROM, FROM + 128 * MIB), None);
        assert_eq!(branch(FROM, FROM - 128 * MIB - 4), None);
        assert_eq!(branch(FROM, FROM + (1 << 32)), None);
        assert_eq!(branch(FROM, FROM + 2), None);
        assert_eq!(branch(FROM + 2, FROM + 6), None);
        assert_eq!(branch(u64::MAX - 3, 0), Some(0x1400_0001));
    }

    #[test]
    fn exchangeable_is_the_architectures_list() {
        let yes = [
            0x1400_0000,
            0x17ff_ffff,
            0x9400_0001,
            0xd420_0080,
            0xd43f_ffe0,
            0xd400_0001,
            0xd400_0002,
            0xd400_0003,
            NOP,
            ISB,
        ];
        let no = [
            0x5400_0000, // b.eq
            0xb400_0000, // cbz
            0xd440_0000, // hlt
            0xd4a0_0001, // dcps1
            0xd61f_0000, // br
            0xd503_203f, // yield
            0xd503_245f, // bti c
            0xd503_3f9f, // dsb sy
            0xd503_3edf, // isb with a reserved option
            0x9100_0000, // add
            0x0000_0000, // udf
            0xd420_0004,
        ];
        for word in yes {
            assert!(exchangeable(word), "{word:#010x}");
        }
        for word in no {
            assert!(!exchangeable(word), "{word:#010x}");
        }
    }

    #[test]
    fn copies_come_back_behind_the_instruction() {
        let (at, add) = (FROM + 0x2000, Relocatable::new(0x9100_0421));
        let copies = Copies::new(add, at, FROM).unwrap();
        let word = |offset: u64| copies.words[offset as usize / 4];
        for form in [Copies::OPEN, Copies::MASKED, Copies::TRAPPING] {
            assert_eq!(word(form), add.word());
            assert!(Copies::faulted(form).is_some());
        }
        assert_eq!(word(Copies::OPEN + 4), 0xd503_43ff, "msr daifclr, #3");
        assert_eq!(word(Copies::OPEN + 8), branch(at + 8, FROM + 4).unwrap());
        assert_eq!(word(Copies::MASKED + 4), branch(at + 16, FROM + 4).unwrap());
        assert_eq!(word(Copies::TRAP), brk(OOL_END));
        let settled: Vec<u64> = (0..64).filter(|&offset| Copies::settled(offset)).collect();
        assert_eq!(settled, [Copies::OPEN + 8]);
        assert_eq!((0..64).filter(|&offset| Copies::faulted(offset).is_some()).count(), 3);
        assert_eq!(Copies::new(add, FROM + 129 * MIB, FROM), None);
        // The unused words at the end are BRKs.
        assert_eq!(copies.words()[7..], [brk(OOL_END); 9]);
    }

    /// Addresses at which the last word's branch just reaches, and arguments that are out of range.
    #[test]
    fn copies_are_aligned_and_within_reach() {
        let add = Relocatable::new(0x9100_0421);
        for at in [FROM + 4, FROM + 32, FROM + 63, u64::MAX, u64::MAX - 3, u64::MAX - 15, 1] {
            assert_eq!(Copies::new(add, at, FROM), None, "{at:#x}");
        }
        for probed in [FROM + 1, FROM + 2, u64::MAX] {
            assert_eq!(Copies::new(add, FROM, probed), None, "{probed:#x}");
        }
        // The last line of the address space, and a probed address near it.
        let last = 0u64.wrapping_sub(64);
        assert!(Copies::new(add, last, last - 4096).is_some());
        assert_eq!(Copies::new(add, last, FROM), None);
        // Back from `at + 8` by 128 MiB: the branch at `at + 16` does not reach.
        let at = FROM + 128 * MIB;
        assert_eq!(Copies::new(add, at, at + 8 - 128 * MIB - 4), None);
        assert!(Copies::new(add, at, at + 16 - 128 * MIB - 4).is_some());
        // As far in the other direction, the branch at `at + 8` is the one that does not reach.
        assert_eq!(Copies::new(add, at, at + 12 + 128 * MIB - 4 - 4), None);
        assert!(Copies::new(add, at, at + 8 + 128 * MIB - 4 - 4).is_some());
    }

    #[test]
    fn the_form_is_the_masks() {
        for pstate in 0..1 << 10 {
            let (i, f) = (pstate & 1 << 7 != 0, pstate & 1 << 6 != 0);
            let form = match (i, f) {
                (false, false) => Copies::OPEN,
                (true, true) => Copies::MASKED,
                _ => Copies::TRAPPING,
            };
            assert_eq!(Copies::form(pstate, false), form, "{pstate:#x}");
            assert_eq!(Copies::form(pstate, true), Copies::TRAPPING, "{pstate:#x}");
        }
    }
}
