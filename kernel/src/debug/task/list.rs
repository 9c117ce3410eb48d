//! The slots of one task.

use ::slots::{Encoding, Kind, Request, SlotId};
use alloc::vec::Vec;
use probe::sequence::Access;

/// What becomes of a hit of a task's slot, besides that it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the instruction runs.
    Count,
    /// The hit is reported ([`Report`](super::hit::Report)), then the instruction runs.
    Report,
    /// The hit is reported, and the slot stays armed: the instruction is not executed, and if the task goes on it hits the slot again. A tracer
    /// disarms the slot, steps the task, and arms the slot again.
    Stop,
}

/// One use of a slot by a task: a number that no other use of the task has had, and in its two lowest bits the answer. 0 is no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use(u64);

impl Use {
    /// No use.
    pub(super) const NONE: Self = Self(0);

    /// The use as a word, which is 0 for no use.
    #[inline(always)]
    pub(super) const fn to_word(self) -> u64 {
        self.0
    }

    /// The use of a word that `to_word` has made.
    #[inline(always)]
    pub(super) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(super) const fn new(number: u64, answer: Answer) -> Self {
        Self(number << 2 | answer as u64)
    }

    /// Whether this stands for a use.
    #[inline(always)]
    pub(super) const fn is_some(self) -> bool {
        self.0 != 0
    }

    #[inline(always)]
    pub(super) const fn is_reported(self) -> bool {
        self.0 & 3 != Answer::Count as u64
    }

    /// Whether this stands for a use whose hits are only counted.
    #[inline(always)]
    pub(super) const fn is_counted(self) -> bool {
        self.is_some() && !self.is_reported()
    }

    /// Whether the task is not to execute the instruction that has hit the slot.
    #[inline(always)]
    pub const fn stops(self) -> bool {
        self.0 & 3 == Answer::Stop as u64
    }
}

/// A slot of a task.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub this: Use,
    /// The slot number, which is kept for programs, and which of the task's slots of this kind it is.
    pub id: SlotId,
    pub nth: usize,
    pub encoding: Encoding,
    pub enabled: bool,
    /// No CPU has armed the slot yet: what the task has suspended in its number is an earlier use.
    pub fresh: bool,
    /// The hits up to when the slot was last disarmed on a CPU.
    pub hits: u64,
}

/// A program's address as the slots compare it: the top byte is ignored (TCR_EL1.TBI0).
pub(super) const fn untagged(address: u64) -> u64 {
    address & !(0xff << 56)
}

impl Slot {
    /// Has the slot match what `request` says, whose encoding is `encoding`.
    pub fn move_to(&mut self, request: &Request, encoding: Encoding) {
        debug_assert_eq!(self.id.kind, request.kind());
        self.encoding = encoding;
    }

    /// Whether this is a watchpoint that an access of the task hits. The access has the address as the program has it.
    pub fn is_hit_by(&self, access: &Access) -> bool {
        let (first, last) = self.encoding.watched();
        let address = untagged(access.address);
        self.id.kind == Kind::Watchpoint
            && self.encoding.matches_access(access.write)
            && first < address.saturating_add(access.bytes)
            && address <= last
    }
}

/// All slots of a task.
pub(super) struct Slots {
    pub all: Vec<Slot>,
    /// How many uses there have been.
    pub uses: u64,
}

impl Slots {
    pub const NONE: Self = Self { all: Vec::new(), uses: 0 };

    pub fn find(&mut self, this: Use) -> Option<&mut Slot> {
        self.all.iter_mut().find(|slot| slot.this == this)
    }
}

impl Slots {
    /// The kinds and numbers of all slots.
    pub fn numbers(&self) -> impl Iterator<Item = (Kind, usize)> + '_ {
        self.all.iter().map(|slot| (slot.id.kind, slot.nth))
    }
}
