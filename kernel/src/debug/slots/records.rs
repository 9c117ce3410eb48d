//! The records of hardware slots, in one table for all CPUs, and what is done about a hit.

use crate::debug::client::{Handler, Hit};
use crate::exception::DebugFrame;
use ::slots::{Kind, Payload, Snapshot, Tables};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// What is done about a hit of a slot, besides counting it.
#[derive(Clone, Copy)]
pub enum Disposition {
    /// The hit is only counted, which is the fastest.
    Count,
    /// The handler is called.
    Call(Handler),
}

impl Payload for Disposition {
    #[inline(always)]
    fn to_word(self) -> u64 {
        match self {
            Self::Count => 0,
            Self::Call(handler) => handler as usize as u64,
        }
    }

    #[inline(always)]
    fn from_word(word: u64) -> Self {
        match word {
            0 => Self::Count,
            // SAFETY: the word came from `to_word`, which put the address of a `Handler` there.
            address => Self::Call(unsafe { core::mem::transmute::<usize, Handler>(address as usize) }),
        }
    }

    #[inline(always)]
    fn is_plain(&self) -> bool {
        matches!(self, Self::Count)
    }
}

/// Calls the handler of the slot of `record`, if it has one. The caller has counted the hit. Debug context.
pub fn dispose(frame: &mut DebugFrame, record: &Snapshot<Disposition>) {
    if let Disposition::Call(handler) = record.payload {
        handler(&Hit { id: record.id, address: record.encoding.watched().0 }, frame);
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
