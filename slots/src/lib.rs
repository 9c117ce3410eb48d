//! Hardware breakpoint and watchpoint slots of AArch64: encodings, bookkeeping, attribution, order of register writes.
//!
//! A *slot* is one pair of registers of the CPU: `DBGBVR<n>_EL1` and `DBGBCR<n>_EL1` for a breakpoint,
//! `DBGWVR<n>_EL1` and `DBGWCR<n>_EL1` for a watchpoint. A *record* is what software knows about the slot of one
//! index on every CPU. The way from a wish to a hit:
//!
//! 1. [`Request`] says what to watch; [`NoProbe::admit`] refuses what must not be (rule H6) and encodes it.
//! 2. [`Tables::reserve`] takes a free index, fills its record and publishes it in one store (rule H1).
//! 3. Every CPU runs [`CpuSlots::arm`], with debug exceptions masked: value, control with enable, ISB.
//! 4. On a hit, [`Tables::breakpoint_hits`] or [`Tables::watchpoint_hits`] name the slots (rule H7),
//!    [`Tables::lookup`] reads their records, [`CpuSlots::suspend`] lets the instruction run once,
//!    [`CpuSlots::rearm_all`] ends the step-over.
//! 5. [`Tables::retire`], then [`CpuSlots::disarm`] on every CPU, then [`Tables::free`].
//!
//! Nothing here touches hardware: the registers are behind [`DebugRegs`], so that the kernel's back end, the
//! recording one of the tests (`fake`), and one for banked registers (FEAT_Debugv8p9) are interchangeable. Everything
//! that a hit needs is lock-free and may be called from debug context, with all exceptions masked.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "fake"))]
extern crate std;

mod attribution;
mod cpu;
mod error;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod mask;
mod noprobe;
mod regs;
mod request;
mod table;
mod tables;

pub use attribution::{WatchHit, breakpoint_hits, watchpoint_hits};
pub use cpu::{CpuSlots, Suspended};
pub use error::SlotError;
pub use mask::SlotMask;
pub use noprobe::{Admitted, NoProbe};
pub use regs::{DebugRegs, arm, disarm, rearm, reset_all, suspend};
pub use request::{Access, Encoding, Pieces, Privilege, Request};
pub use table::{Cpus, Payload, SlotId, Snapshot, State, Table};
pub use tables::Tables;

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

/// The number of slots of `kind` that a CPU with this `ID_AA64DFR0_EL1` has: the field BRPs or WRPs *plus one*.
///
/// At most 16. Under FEAT_Debugv8p9 a field of 15 means "16 or more, see `ID_AA64DFR1_EL1`"; the first 16 are then
/// the ones of bank 0 and work as ever.
pub const fn count_from_id(kind: Kind, id_aa64dfr0: u64) -> u8 {
    let shift = match kind {
        Kind::Breakpoint => 12,
        Kind::Watchpoint => 20,
    };
    ((id_aa64dfr0 >> shift) & 0xf) as u8 + 1
}

#[cfg(test)]
mod tests;
