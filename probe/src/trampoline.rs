//! Trampolines of optimised probes: a branch takes the place of the BRK, and a hit takes no exception.
//!
//! One word of A64 text can be exchanged at a time, and BRK and B may be exchanged while other CPUs execute them. So a probe's BRK
//! can be replaced by a branch to code of its own. This code, a [`Trampoline`], saves the registers where an exception would have
//! saved them, calls the kernel's handler, restores the registers, runs the displaced instruction and branches back. No register
//! is lost on the way. The stack below SP is used, as an exception uses it.
//!
//! # The kernel's part
//!
//! The trampoline calls the kernel's shared *entry* with D, A, I and F masked. SP points to the frame, in which X0 to X30 and SP
//! are saved. X0 holds the probed context's DAIF, X27 the probed context's SP, and X30 the trampoline's address plus
//! [`OPEN`](Trampoline::OPEN). The entry must save NZCV at its start and restore NZCV at its end. At its end the entry loads X2 to
//! X27 from the frame and goes on, with D, A, I and F still masked, as the masks of the probed context demand. It may use X28 for
//! the branch, because the trampoline itself loads X28, X29, X30, X0 and X1:
//!
//! | DAIF of the probed context | the entry | then goes to |
//! |---|---|---|
//! | all open | loads the registers | the address that was in X30: the trampoline opens D and A, runs the instruction, opens I and F |
//! | I and F masked, D and A open | loads the registers | that address plus [`INTERRUPT`](Trampoline::INTERRUPT) minus `OPEN`: the trampoline opens D and A, runs the instruction |
//! | all masked | loads the registers | that address plus [`MASKED`](Trampoline::MASKED) minus `OPEN`: the trampoline changes no mask |
//! | any other | cannot go back to the trampoline | an exception of its own, with the saved registers as its frame: see [`Copies::form`](crate::ool::Copies::form) |
//!
//! # What is below SP
//!
//! The trampoline's frame lies below the probed context's SP, where an exception taken on the same stack would have put its own.
//! Whatever the probed code kept below SP is lost, and a displaced instruction that loads from there (`ldr x0, [sp, #-16]`, every load
//! with SP as its base and a negative offset) loads what the frame left. AAPCS64 ("Universal stack constraints") forbids code to use
//! memory below SP, so compilers emit no such load, and [`classify`](crate::classify()) does not refuse them:
//! [`Copies`](crate::ool::Copies) run them faithfully in a kernel whose exceptions use another stack. In such a kernel an optimised
//! probe on a load from below SP gives another value than the instruction does natively or in a copy.
//!
//! The frame is stored and loaded with D masked, so that no watchpoint sees the accesses. The one exception is the first store, STP
//! at the trampoline's start. To mask D the trampoline must read DAIF into a register, and a register is free only after that
//! store. So the store, and the instruction behind it, run with the masks of the probed context, and the store hits a watchpoint
//! that covers the stack below SP. The kernel can recognise this hit: [`interrupted`](Trampoline::interrupted) says how to put the
//! context back to the probed instruction, and the BRK at [`STAND_IN`](Trampoline::STAND_IN) goes on from there.
//!
//! An interrupt can come before the instruction that masks I, and after the instruction that unmasks it.
//! [`interrupted`](Trampoline::interrupted) then says what the kernel must do to move the context back to the probed instruction,
//! or on to the end of the trampoline. So only a context that a CPU is running now can be inside of a trampoline.

use crate::class::Relocatable;
use crate::ool::{KPROBE, NOP, OOL_END, branch, brk};

/// How the kernel's frame is laid out: X0 to X30 from its start, then SP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    size: u32,
}

impl Layout {
    /// A frame of `size` bytes. `None` if `size` is not a multiple of 16, as SP must be; less than 256, the bytes that the
    /// registers take; or more than 496, the largest multiple of 16 that the LDP at the trampoline's end can add to SP.
    pub const fn new(size: u32) -> Option<Layout> {
        if size.is_multiple_of(16) && size >= 256 && size <= 496 { Some(Layout { size }) } else { None }
    }

    /// The size in bytes.
    pub const fn size(self) -> u32 {
        self.size
    }
}

/// A trampoline's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(256))]
pub struct Trampoline {
    words: [u32; 64],
}

/// What the trampoline has in place of the displaced instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Displaced {
    /// The trampoline runs a copy of the displaced instruction.
    Word(Relocatable),
    /// The displaced instruction does nothing but lead to this address (see [`Sim::leads_to`](crate::Sim::leads_to)), so the
    /// trampoline branches there.
    LeadsTo(u64),
}

/// How far a context has got that was interrupted, or has faulted, in a trampoline, and so what the kernel must undo or complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interrupted {
    /// The trampoline has done nothing yet: the context is put back to the probed instruction.
    Before,
    /// The trampoline has lowered SP by the frame's size, and has saved X0 and X1 there. The kernel puts SP back, and the context
    /// to the probed instruction.
    Pushed,
    /// As `Pushed`, but the trampoline has overwritten X0 too: the kernel also loads X0 from the frame.
    Read,
    /// The displaced instruction has been executed: only the branch back is left.
    Behind,
    /// The displaced instruction has faulted. I and F were masked only while it ran: the probed context has them open.
    Faulted,
    /// The displaced instruction has faulted, in the masks that the probed context has.
    FaultedMasked,
}

/// The word of STP or LDP (`opcode` says which) of the registers `first` and `first + 1` at `[sp, #offset]`.
const fn pair(opcode: u32, first: u32, offset: i32) -> u32 {
    opcode | ((offset / 8) as u32 & 0x7f) << 15 | (first + 1) << 10 | 31 << 5 | first
}
const STP: u32 = 0xa900_0000;
const STP_BEFORE: u32 = 0xa980_0000;
const LDP: u32 = 0xa940_0000;
const LDP_BEHIND: u32 = 0xa8c0_0000;
const X30: i32 = 30 * 8;
const LDR_X30: u32 = 0xf940_0000 | (X30 as u32 / 8) << 10 | 31 << 5 | 30;
const MRS_X0_DAIF: u32 = 0xd53b_4220;
const MASK_ALL: u32 = 0xd503_4fdf;
const UNMASK_DA: u32 = 0xd503_4cff;
const UNMASK_IF: u32 = 0xd503_43ff;

impl Trampoline {
    /// The size of a trampoline in bytes, and also its alignment.
    pub const BYTES: usize = 256;
    /// The offset at which the entry returns into the trampoline if the probed context had nothing masked.
    pub const OPEN: u64 = 4 * 20;
    /// The offset at which the entry returns into the trampoline if the probed context had I and F masked.
    pub const INTERRUPT: u64 = 4 * 27;
    /// The offset at which the entry returns into the trampoline if the probed context had D, A, I and F masked.
    pub const MASKED: u64 = 4 * 33;
    /// The offset of a BRK that takes the place of the BRK that a probe without a trampoline has at the probed address.
    pub const STAND_IN: u64 = 4 * 58;
    /// The offset of a signed word: the probed address minus the trampoline's address.
    pub const PROBED: u64 = 4 * 59;
    /// The offset of two doublewords that the kernel may use as it likes.
    pub const DATA: u64 = 4 * 60;

    const FAULTED: u64 = 4 * 24;
    const BEHIND: u64 = 4 * 26;
    const FAULTED_INTERRUPT: u64 = 4 * 31;
    const FAULTED_MASKED: u64 = 4 * 36;

    /// The trampoline at the address `at` for the instruction at `probed`. `entry` is the address of the kernel's shared entry;
    /// `data` goes to [`DATA`](Self::DATA). `None` if `at` is not a multiple of [`BYTES`](Self::BYTES), if another address is not a
    /// multiple of 4, or if one of the branches does not reach its target.
    pub const fn new(
        layout: Layout,
        at: u64,
        probed: u64,
        displaced: Displaced,
        entry: u64,
        data: [u64; 2],
    ) -> Option<Trampoline> {
        // Because `at` is a multiple of `BYTES`, no sum of `at` and an offset in the trampoline overflows.
        if !at.is_multiple_of(Self::BYTES as u64) || !probed.is_multiple_of(4) {
            return None;
        }
        let distance = probed.wrapping_sub(at) as i64;
        if distance as i32 as i64 != distance {
            return None;
        }
        let (word, next) = match displaced {
            Displaced::Word(instruction) => (instruction.word(), probed.wrapping_add(4)),
            Displaced::LeadsTo(target) => (NOP, target),
        };
        let mut words = [brk(OOL_END); 64];
        let size = layout.size as i32;
        words[0] = pair(STP_BEFORE, 0, -size);
        words[1] = MRS_X0_DAIF;
        words[2] = MASK_ALL;
        // ADD X27, SP, #size; STP X30, X27.
        words[17] = 0x9100_0000 | layout.size << 10 | 31 << 5 | 27;
        words[18] = STP | (X30 as u32 / 8) << 15 | 27 << 10 | 31 << 5 | 30;
        let Some(call) = branch(at + 4 * 19, entry) else { return None };
        words[19] = call | 1 << 31;
        let mut n = 0;
        while n < 14 {
            let (first, offset) = (2 + 2 * n as u32, 16 + 16 * n as i32);
            words[3 + n] = pair(STP, first, offset);
            n += 1;
        }
        let mut tail = 0;
        while tail < 3 {
            let first = [Self::OPEN, Self::INTERRUPT, Self::MASKED][tail] as usize / 4;
            words[first] = pair(LDP, 28, 28 * 8);
            words[first + 1] = LDR_X30;
            words[first + 2] = pair(LDP_BEHIND, 0, size);
            tail += 1;
        }
        words[23] = UNMASK_DA;
        words[24] = word;
        words[25] = UNMASK_IF;
        words[30] = UNMASK_DA;
        words[31] = word;
        words[36] = word;
        let (Some(open), Some(interrupt), Some(masked)) =
            (branch(at + Self::BEHIND, next), branch(at + 4 * 32, next), branch(at + 4 * 37, next))
        else {
            return None;
        };
        words[26] = open;
        words[32] = interrupt;
        words[37] = masked;
        words[58] = brk(KPROBE);
        words[59] = distance as u32;
        words[60] = data[0] as u32;
        words[61] = (data[0] >> 32) as u32;
        words[62] = data[1] as u32;
        words[63] = (data[1] >> 32) as u32;
        Some(Trampoline { words })
    }

    /// The words of the trampoline's text, in the order of their addresses: [`BYTES`](Self::BYTES) bytes together.
    pub const fn words(&self) -> &[u32] {
        &self.words
    }

    /// How far a context has got that was interrupted, or has faulted, at this offset. `None` for offsets at which neither can
    /// happen.
    pub const fn interrupted(offset: u64) -> Option<Interrupted> {
        match offset {
            0 | Self::STAND_IN => Some(Interrupted::Before),
            4 => Some(Interrupted::Pushed),
            8 => Some(Interrupted::Read),
            Self::FAULTED => Some(Interrupted::Faulted),
            Self::BEHIND => Some(Interrupted::Behind),
            Self::FAULTED_INTERRUPT | Self::FAULTED_MASKED => Some(Interrupted::FaultedMasked),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, classify};

    const AT: u64 = 0xffff_8000_8200_0100;
    const PROBED: u64 = 0xffff_8000_8000_4000;
    const ENTRY: u64 = 0xffff_8000_8000_1000;
    const LAYOUT: Layout = Layout::new(304).unwrap();
    const ADD: u32 = 0x9100_0421;
    const DATA: [u64; 2] = [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321];

    fn made(displaced: Displaced) -> Trampoline {
        Trampoline::new(LAYOUT, AT, PROBED, displaced, ENTRY, DATA).unwrap()
    }

    fn word(trampoline: &Trampoline, offset: u64) -> u32 {
        trampoline.words[offset as usize / 4]
    }

    #[test]
    fn every_register_is_saved_and_restored_at_its_place() {
        let trampoline = made(Displaced::Word(Relocatable::new(ADD)));
        let saved = |range: core::ops::Range<usize>, opcode: u32| {
            range.map(move |index| (index, opcode)).collect::<Vec<_>>()
        };
        for (index, opcode) in
            [saved(3..17, STP), saved(20..21, LDP), saved(27..28, LDP), saved(33..34, LDP)].concat()
        {
            let word = trampoline.words[index];
            assert_eq!(word & 0xffc0_03e0, opcode | 31 << 5, "{index}");
            let (rt, rt2, slot) = (word & 31, word >> 10 & 31, word >> 15 & 0x7f);
            assert_eq!((rt2, slot), (rt + 1, rt), "{index}: X<n> is at 8 * n");
        }
        let numbers: Vec<u32> = trampoline.words[3..17].iter().map(|word| word & 31).collect();
        assert_eq!(numbers, (2..30).step_by(2).collect::<Vec<_>>());
        // The words that an assembler makes.
        assert_eq!(trampoline.words[..3], [0xa9ad_07e0, 0xd53b_4220, 0xd503_4fdf]);
        assert_eq!(trampoline.words[17..19], [0x9104_c3fb, 0xa90f_6ffe]);
        assert_eq!(
            trampoline.words[20..26],
            [0xa94e_77fc, 0xf940_7bfe, 0xa8d3_07e0, 0xd503_4cff, ADD, 0xd503_43ff]
        );
        assert_eq!(trampoline.words[27..32], [0xa94e_77fc, 0xf940_7bfe, 0xa8d3_07e0, 0xd503_4cff, ADD]);
        assert_eq!(trampoline.words[33..37], [0xa94e_77fc, 0xf940_7bfe, 0xa8d3_07e0, ADD]);
        for (index, word) in trampoline.words[..59].iter().enumerate() {
            let expected = matches!(index, 19 | 26 | 32 | 37..=58);
            assert_eq!(*word == brk(OOL_END) || *word == brk(KPROBE), index >= 38, "{index}");
            assert!(expected || classify(*word) != Class::Simulate(crate::Sim::Nop), "{index}");
        }
    }

    #[test]
    fn branches_lead_to_the_entry_and_behind_the_instruction() {
        let trampoline = made(Displaced::Word(Relocatable::new(ADD)));
        assert_eq!(word(&trampoline, 4 * 19), branch(AT + 4 * 19, ENTRY).unwrap() | 1 << 31);
        let leads = made(Displaced::LeadsTo(PROBED + 0x100));
        for back in [4 * 26, 4 * 32, 4 * 37] {
            assert_eq!(word(&trampoline, back), branch(AT + back, PROBED + 4).unwrap());
            assert_eq!(word(&leads, back), branch(AT + back, PROBED + 0x100).unwrap());
        }
        assert_eq!([4 * 24, 4 * 31, 4 * 36].map(|at| word(&leads, at)), [NOP; 3]);
        let far = AT - (128 << 20) - 4096;
        assert_eq!(
            Trampoline::new(LAYOUT, AT, far, Displaced::Word(Relocatable::new(ADD)), ENTRY, DATA),
            None
        );
        assert_eq!(
            Trampoline::new(LAYOUT, AT, PROBED, Displaced::Word(Relocatable::new(ADD)), far, DATA),
            None
        );
    }

    #[test]
    fn interrupts_are_open_at_five_places() {
        let open: Vec<u64> = (0..64)
            .map(|index| index * 4)
            .filter(|&offset| {
                matches!(
                    Trampoline::interrupted(offset),
                    Some(Interrupted::Before | Interrupted::Pushed | Interrupted::Read | Interrupted::Behind)
                )
            })
            .collect();
        assert_eq!(open, [0, 4, 8, 4 * 26, Trampoline::STAND_IN]);
        let trampoline = made(Displaced::Word(Relocatable::new(ADD)));
        assert_eq!(word(&trampoline, 8), MASK_ALL);
        assert_eq!(word(&trampoline, 4 * 25), UNMASK_IF);
        assert_eq!(word(&trampoline, Trampoline::STAND_IN), brk(KPROBE));
        let masked = Interrupted::FaultedMasked;
        for (offset, what) in [(4 * 24, Interrupted::Faulted), (4 * 31, masked), (4 * 36, masked)] {
            assert_eq!(word(&trampoline, offset), ADD);
            assert_eq!(Trampoline::interrupted(offset), Some(what));
        }
        let double = |offset: u64| {
            u64::from(word(&trampoline, offset)) | u64::from(word(&trampoline, offset + 4)) << 32
        };
        assert_eq!([double(Trampoline::DATA), double(Trampoline::DATA + 8)], DATA);
        assert_eq!(AT.wrapping_add_signed(word(&trampoline, Trampoline::PROBED) as i32 as i64), PROBED);
    }

    #[test]
    fn a_layout_is_one_that_the_instructions_can_encode() {
        let sizes: Vec<u32> = (0..2048).filter(|&size| Layout::new(size).is_some()).collect();
        assert_eq!(sizes, (256..=496).step_by(16).collect::<Vec<_>>());
        assert_eq!(Layout::new(u32::MAX), None);
        for size in sizes {
            let layout = Layout::new(size).unwrap();
            assert_eq!(layout.size(), size);
            let words =
                Trampoline::new(layout, AT, PROBED, Displaced::Word(Relocatable::new(ADD)), ENTRY, DATA)
                    .unwrap()
                    .words;
            let signed = |word: u32| ((word << 10) as i32 >> 25) * 8;
            assert_eq!(signed(words[0]), -(size as i32));
            for way in [Trampoline::OPEN, Trampoline::INTERRUPT, Trampoline::MASKED] {
                assert_eq!(signed(words[way as usize / 4 + 2]), size as i32);
            }
            assert_eq!(words[17] >> 10 & 0xfff, size);
        }
    }

    #[test]
    fn out_of_range_addresses_give_none() {
        let new = |at, probed, displaced, entry| Trampoline::new(LAYOUT, at, probed, displaced, entry, DATA);
        let word = Displaced::Word(Relocatable::new(ADD));
        for at in [AT + 4, AT + 64, AT + 128, AT + 255, u64::MAX, u64::MAX - 3, 0u64.wrapping_sub(128)] {
            assert_eq!(new(at, PROBED, word, ENTRY), None, "{at:#x}");
        }
        for odd in [1, 2, 3] {
            assert_eq!(new(AT, PROBED + odd, word, ENTRY), None);
            assert_eq!(new(AT, PROBED, word, ENTRY + odd), None);
            assert_eq!(new(AT, PROBED, Displaced::LeadsTo(PROBED + odd), ENTRY), None);
        }
        // The last trampoline in the address space, and the first.
        let last = 0u64.wrapping_sub(256);
        assert!(new(last, last - 0x1000, word, last - 0x2000).is_some());
        assert!(new(0, 0x1000, word, 0x2000).is_some());
        // The branch reaches its target, but the probed address is too far away for the signed word at `PROBED`.
        assert_eq!(new(AT, AT.wrapping_add(1 << 31), Displaced::LeadsTo(AT), AT), None);
        assert!(new(AT, AT.wrapping_sub(1 << 31), Displaced::LeadsTo(AT), AT).is_some());
    }
}
