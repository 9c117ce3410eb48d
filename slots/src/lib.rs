//! Hardware breakpoint and watchpoint slots of AArch64: encodings, bookkeeping, attribution, order of register writes.
//!
//! A *slot* is one pair of registers of the CPU: `DBGBVR<n>_EL1` and `DBGBCR<n>_EL1` for a breakpoint,
//! `DBGWVR<n>_EL1` and `DBGWCR<n>_EL1` for a watchpoint. A *record* is what software knows about one use of a slot, which has
//! the same number on every CPU that it is for; each CPU that has armed it keeps of it what a hit needs. The way from a wish to a hit:
//!
//! 1. [`Request`] says what to watch; [`NoProbe::admit`] refuses what must not be (rule H6) and encodes it, or
//!    [`NoProbe::admit_split`] does, into two slots where that is exact.
//! 2. [`Tables::reserve`], or [`Tables::reserve_pieces`], takes a number that is free on those CPUs, fills a record and
//!    publishes it in one store (rule H1).
//! 3. Every CPU runs [`CpuSlots::arm`], with debug exceptions masked: value, control with enable, ISB.
//! 4. On a hit, [`CpuSlots::plain_breakpoint`] or [`CpuSlots::plain_watchpoint`] name the slot in constant time where one alone
//!    matches and is only counted ([`CpuHits`]); else [`CpuSlots::breakpoint_hits`] or [`CpuSlots::watchpoint_hits`] name the
//!    slots (rule H7) and [`CpuSlots::record`] says what they are for. [`CpuSlots::suspend`] lets the instruction run once,
//!    [`CpuSlots::rearm_all`] ends the step-over.
//! 5. [`Tables::retire`], then [`CpuSlots::disarm`] on every CPU, then [`Tables::free`].
//!
//! Nothing here touches hardware: the registers are behind [`DebugRegs`], so that the kernel's back end, the
//! ones of the tests (`fake`), and [`Banked`] for more than 16 slots of a kind (FEAT_Debugv8p9) are interchangeable. Everything
//! that a hit needs is lock-free and may be called from debug context, with all exceptions masked.
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
