//! Slot numbers that are kept for programs (rule T3).
//!
//! A program's slots are armed on the CPU that runs it, and only while it runs there, so all programs can use the same numbers. The
//! first slots of all programs have the number that is kept first, the second ones the number that is kept next, and so on. A number is
//! kept by a record for all CPUs, which no CPU arms, as long as a program needs it: whatever is free, the kernel's own slots can have.

use super::records::{Disposition, SLOTS, limit};
use crate::sync::IrqMutex;
use ::slots::{Access, Admitted, Cpus, Kind, Privilege, Request, SlotError, SlotId, VaSize};

/// The most slots of a kind that a program can have: those that are reached without banks of registers.
pub const MOST: usize = 16;

/// A number that is kept, and how many programs need it.
#[derive(Clone, Copy)]
struct Kept {
    id: Option<SlotId>,
    users: u32,
}

static KEPT: IrqMutex<[[Kept; MOST]; 2]> = IrqMutex::new([[Kept { id: None, users: 0 }; MOST]; 2]);

/// Keeps the number of a program's slot `nth` of its kind, counted from 0. Thread context. The caller gives the number back by
/// [`give_back`].
///
/// # Errors
/// [`SlotError::NoFreeSlot`] if the CPUs have no slot left: the kernel and the program use all of them.
pub fn keep(kind: Kind, nth: usize) -> Result<SlotId, SlotError> {
    let full = SlotError::NoFreeSlot { kind, total: limit(kind) };
    let mut kept = KEPT.lock();
    let kept = kept[kind as usize].get_mut(nth).ok_or(full)?;
    let id = match kept.id {
        Some(id) => id,
        None => {
            // No CPU ever has this encoding in its registers.
            let request = match kind {
                Kind::Breakpoint => Request::breakpoint(0, Privilege::El0),
                Kind::Watchpoint => Request::watchpoint(0, 8, Access::ReadWrite, Privilege::El0),
            };
            let admitted = Admitted::despite_no_probe(&request, VaSize::Bits48)?;
            let most = limit(kind).min(MOST as u8);
            SLOTS.reserve(admitted, Cpus::ALL, Disposition::PROGRAM, most).map_err(|_| full)?
        }
    };
    kept.id = Some(id);
    kept.users += 1;
    Ok(id)
}

/// Gives back what [`keep`] has kept. No CPU has the slot armed for the caller's program any more. Thread context.
pub fn give_back(kind: Kind, nth: usize) {
    let mut kept = KEPT.lock();
    let Some(kept) = kept[kind as usize].get_mut(nth) else { return };
    kept.users = kept.users.saturating_sub(1);
    if kept.users == 0
        && let Some(id) = kept.id.take()
    {
        // No CPU has armed the record, so nobody has to disarm it first (H1).
        let _ = SLOTS.retire(id).and_then(|()| SLOTS.free(id));
    }
}

/// Whether a record only keeps its number for programs. Any context.
pub(super) fn keeps(id: SlotId) -> bool {
    SLOTS.live(id).is_some_and(|record| record.payload.is_program())
}
