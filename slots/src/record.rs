//! What software knows of one slot.
//!
//! A record's *state word* holds everything that decides about it (control register, generation, state) and changes
//! in one store. The other words are written only while the state says that nobody may use them. A reader loads the state word,
//! then the other words, then the state word again. So a reader in debug context never waits and never acts on a torn record.

use crate::sync::{AtomicU32, AtomicU64, constant};
use crate::{Encoding, Kind};

/// What the owner of a slot keeps in its record (disposition, handler, who asked): anything that fits a word.
pub trait Payload: Copy {
    /// The value as a word.
    fn to_word(self) -> u64;
    /// The value from a word that `to_word` made.
    fn from_word(word: u64) -> Self;
    /// Whether a hit is only to be counted: then it can be dealt with in the shortest way (see
    /// [`CpuSlots::plain_breakpoint`](crate::CpuSlots::plain_breakpoint)).
    fn is_plain(&self) -> bool {
        true
    }
}

impl Payload for u64 {
    #[inline]
    fn to_word(self) -> u64 {
        self
    }
    #[inline]
    fn from_word(word: u64) -> Self {
        word
    }
}

/// A set of CPUs, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cpus(pub u64);

impl Cpus {
    /// Every CPU, those that come up later too (rule H5).
    pub const ALL: Cpus = Cpus(u64::MAX);

    /// CPU number `cpu` alone; empty when it is 64 or more.
    pub const fn of(cpu: u32) -> Cpus {
        Cpus(if cpu < 64 { 1 << cpu } else { 0 })
    }

    /// Whether CPU number `cpu` is in the set.
    #[inline]
    pub const fn contains(self, cpu: u32) -> bool {
        self.0 & Cpus::of(cpu).0 != 0
    }
}

/// Names one use of one slot. When the slot is freed and used again, the next use has another generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(align(8))]
pub struct SlotId {
    /// The kind of slot.
    pub kind: Kind,
    /// The number of the slot's registers, on every CPU that the slot is for.
    pub index: u8,
    /// The number of its record.
    pub record: u8,
    /// Which use of the table's slots this is. The number has 30 bits and wraps around: an id must not be kept while the slots of
    /// its kind are reserved a thousand million times.
    pub generation: u32,
}

impl SlotId {
    /// The id as a word, for a caller that keeps it in an atomic. The word is never 0, so 0 can stand for "no slot".
    pub const fn to_word(self) -> u64 {
        1 << 63
            | (self.kind as u64) << 48
            | (self.index as u64) << 40
            | (self.record as u64) << 32
            | self.generation as u64
    }

    /// The id from a word that `to_word` made.
    pub const fn from_word(word: u64) -> SlotId {
        SlotId {
            kind: if word >> 48 & 1 == 0 { Kind::Breakpoint } else { Kind::Watchpoint },
            index: (word >> 40) as u8,
            record: (word >> 32) as u8,
            generation: word as u32,
        }
    }
}

/// What a record says of its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The slot is in use: CPUs may arm it.
    Live,
    /// The slot is being removed. No CPU may arm it any more, but some CPUs may still have it armed, so a hit of it is not
    /// spurious.
    Retired,
}

/// A record as it was at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Snapshot<P> {
    /// The id of the use that the record describes.
    pub id: SlotId,
    /// Whether the slot is in use or is being removed.
    pub state: State,
    /// The register contents.
    pub encoding: Encoding,
    /// The CPUs that the slot is for.
    pub cpus: Cpus,
    /// What the slot's owner keeps in the record.
    pub payload: P,
    /// The number of the slot that holds the other half, if the request is split over two slots.
    pub mate: Option<u8>,
    /// Whether a hit of the slot needs nothing but to be counted and stepped over.
    pub plain: bool,
}

/// How new one use of a slot is, by its generation. One counter numbers the uses of all slots of a table, so a later use of any
/// slot has a later generation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age(u32);

impl Age {
    pub(crate) const OLDEST: Age = Age(0);

    #[inline]
    pub(crate) const fn of(generation: u32) -> Age {
        Age(generation)
    }

    /// Whether a use with that generation is as old as this one, or older. Generations wrap around: this one and the 2^29 - 1
    /// before it count as such, all others are newer.
    #[inline]
    pub(crate) const fn covers(self, generation: u32) -> bool {
        self.0.wrapping_sub(generation) & (1 << 29) == 0
    }
}

pub(crate) const FREE: u64 = 0;
pub(crate) const FILLING: u64 = 1;
pub(crate) const LIVE: u64 = 2;
pub(crate) const RETIRED: u64 = 3;
pub(crate) const GENERATIONS: u64 = (1 << 30) - 1;

/// State word: `control[63:32]`, `generation[31:2]`, `state[1:0]`.
pub(crate) const fn word(control: u32, generation: u64, state: u64) -> u64 {
    (control as u64) << 32 | (generation & GENERATIONS) << 2 | state
}

pub(crate) const fn state_of(word: u64) -> u64 {
    word & 3
}

pub(crate) const fn generation_of(word: u64) -> u64 {
    word >> 2 & GENERATIONS
}

pub(crate) const fn control_of(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The small fields of a record in one word: the slot number in `[7:0]`; in `[15:8]` the mate's number plus one, or 0 if the slot
/// has no mate; in `[16]` 1 if its hits need more than to be counted ([`with_care`](crate::Admitted::with_care)).
#[inline(always)]
pub(crate) const fn place(slot: u8, mate: Option<u8>, plain: bool) -> u32 {
    let mate = match mate {
        Some(mate) => mate + 1,
        None => 0,
    };
    slot as u32 | (mate as u32) << 8 | (!plain as u32) << 16
}

/// The words of one record: one cache line.
#[repr(C, align(64))]
pub(crate) struct Record {
    pub(crate) state: AtomicU64,
    pub(crate) value: AtomicU64,
    pub(crate) cpus: AtomicU64,
    pub(crate) payload: AtomicU64,
    pub(crate) place: AtomicU32,
}

impl Record {
    constant! {
        pub(crate) const fn new() -> Record {
            Record {
                state: AtomicU64::new(word(0, 0, FREE)),
                value: AtomicU64::new(0),
                cpus: AtomicU64::new(0),
                payload: AtomicU64::new(0),
                place: AtomicU32::new(0),
            }
        }
    }
}
