//! Hardware breakpoint and watchpoint slots of AArch64: encodings, bookkeeping, attribution, order of register writes.
//!
//! A *slot* is one pair of registers of the CPU: `DBGBVR<n>_EL1` and `DBGBCR<n>_EL1` for a breakpoint,
//! `DBGWVR<n>_EL1` and `DBGWCR<n>_EL1` for a watchpoint. A *record* is what software knows about one use of a slot. A record can be
//! for several CPUs; its slot has the same number on all of them. Each CPU that has armed the slot keeps a copy of what a hit needs
//! ([`CpuSlots`]). The way from a request to a hit:
//!
//! 1. [`Request`] says what to watch. [`NoProbe::admit`] refuses addresses where no slot may be (rule H6) and encodes the others
//!    for one slot; [`NoProbe::admit_split`] encodes for two slots what one cannot hold.
//! 2. [`Tables::reserve`], or [`Tables::reserve_pieces`] for two slots, takes a slot number that is free on the CPUs asked for,
//!    fills a record and publishes the record in one store (rule H1).
//! 3. Every CPU runs [`CpuSlots::arm`], with debug exceptions masked. It writes the value register, then the control register with
//!    the enable bit, then executes an ISB.
//! 4. On a hit, [`CpuSlots::plain_breakpoint`] or [`CpuSlots::plain_watchpoint`] names the slot in constant time if only one slot
//!    matches and its hits are only to be counted ([`CpuHits`]). For all other hits [`CpuSlots::breakpoint_hits`] or
//!    [`CpuSlots::watchpoint_hits`] names the slots (rule H7). [`CpuSlots::suspend_whole`] switches a slot off so that the
//!    instruction can run once, and says what the slot is for; [`CpuSlots::rearm_all`] switches it on again.
//! 5. [`Tables::retire`] begins the removal, every CPU runs [`CpuSlots::disarm`], and [`Tables::free`] ends the removal.
//!
//! Nothing here touches hardware: every register access goes through the trait [`DebugRegs`]. A kernel implements it with `msr`,
//! the tests with variables (`fake`), and [`Banked`] adds what more than 16 slots of a kind need (FEAT_Debugv8p9). Everything
//! that a hit needs is lock-free and may be called from a debug exception handler, with all exceptions masked.
//!
//! Rules are named as in the crate `stepwell-rules` (H1, H6, M8 and so on); the text beside each name says what the rule demands.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "fake"))]
extern crate std;

mod armed;
mod attribution;
mod bank;
mod cpu;
mod encoding;
mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod hits;
mod lookup;
mod mask;
mod noprobe;
mod pieces;
mod record;
mod regs;
mod request;
mod suspended;
mod sync;
mod table;
mod tables;
mod va;

pub use attribution::{WatchHit, breakpoint_hits, watchpoint_hits};
pub use bank::{BankSelect, Banked, Counts, EMBWE, banks_answer, reset_all};
pub use cpu::CpuSlots;
pub use encoding::{Access, Encoding, Privilege};
pub use error::SlotError;
pub use hits::CpuHits;
pub use mask::{Indices, SlotMask};
pub use noprobe::{Admitted, NoProbe};
pub use pieces::Pieces;
pub use record::{Cpus, Payload, SlotId, Snapshot, State};
pub use regs::{DebugRegs, ReadRegs, arm, disarm};
pub use request::Request;
pub use suspended::Suspended;
pub use table::Table;
pub use tables::Tables;
pub use va::VaSize;

/// The two kinds of slots.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `DBGBVR<n>_EL1`, `DBGBCR<n>_EL1`: matches the address of an instruction about to be executed.
    Breakpoint,
    /// `DBGWVR<n>_EL1`, `DBGWCR<n>_EL1`: matches the address of a data access.
    Watchpoint,
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Kind::Breakpoint => "breakpoint",
            Kind::Watchpoint => "watchpoint",
        })
    }
}

#[cfg(test)]
mod tests;
