//! The records of hardware slots, in one table for all CPUs, and what is done about a hit.

use crate::debug::client::{Hit, Watcher};
use crate::exception::DebugFrame;
use ::slots::{Kind, Payload, Snapshot, Tables};
use core::ptr;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What is done about a hit of a slot, besides counting it.
#[derive(Clone, Copy)]
pub enum Disposition {
    /// The hit is only counted, which is the fastest.
    Count,
    /// The watcher is told.
    Call(&'static Watcher),
}

/// Stands for no watcher, in the records of [`Disposition::PROGRAM`].
static NOBODY: Watcher = Watcher { handler: |_, _| (), data: 0 };

impl Disposition {
    /// The slot's number is kept for programs ([`bank`](super::bank)): each CPU sets the slot for the program that it runs. This is no variant
    /// of its own, so that a disposition stays one word.
    pub const PROGRAM: Self = Self::Call(&NOBODY);

    /// Whether this is [`PROGRAM`](Self::PROGRAM).
    pub fn is_program(self) -> bool {
        matches!(self, Self::Call(watcher) if ptr::eq(watcher, &NOBODY))
    }
}

impl Payload for Disposition {
    #[inline(always)]
    fn to_word(self) -> u64 {
        match self {
            Self::Count => 0,
            Self::Call(watcher) => ptr::from_ref(watcher).expose_provenance() as u64,
        }
    }

    #[inline(always)]
    fn from_word(word: u64) -> Self {
        match word {
            0 => Self::Count,
            // SAFETY: the word came from `to_word`, which put the address of a static `Watcher` there.
            address => Self::Call(unsafe { &*ptr::with_exposed_provenance(address as usize) }),
        }
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        matches!(self, Self::Count)
    }
}

/// Tells the watcher of the slot of `record` of a hit, if the slot has one. The caller has counted the hit. Debug context.
pub fn dispose(frame: &mut DebugFrame, record: &Snapshot<Disposition>) {
    if let Disposition::Call(watcher) = record.payload {
        let address = record.encoding.watched().0;
        (watcher.handler)(&Hit { id: record.id, address, data: watcher.data }, frame);
    }
}

/// How many records there are of each kind. There are more than a CPU has slots, because slots of the same number on
/// different CPUs can be in different use, and each use has a record of its own.
pub(super) const RECORDS: usize = 256;

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.data")]
pub(super) static SLOTS: Tables<Disposition, RECORDS, RECORDS> = Tables::new();

/// How many slots of each kind can be handed out: as many as the CPU with the fewest has. 0 until the first CPU is
/// initialised.
#[unsafe(link_section = ".noprobe.data")]
pub(super) static LIMITS: [AtomicU8; 2] = [const { AtomicU8::new(0) }; 2];

pub(super) const KINDS: [Kind; 2] = [Kind::Breakpoint, Kind::Watchpoint];

pub(super) fn limit(kind: Kind) -> u8 {
    LIMITS[kind as usize].load(Relaxed)
}
