//! Slots that the storm has set, each with its permit.

use super::permits;
use ::slots::{Cpus, Pieces, Request, SlotError, SlotId};
use alloc::format;
use alloc::string::{String, ToString};
use kernel::debug::slots::{self, Disposition};

/// A slot, or the two of a range, with the permit for it.
#[derive(Clone, Copy)]
pub struct Held {
    slots: Pieces<SlotId>,
    cpus: Cpus,
}

impl Held {
    /// Sets it. None if others hold what it would take.
    ///
    /// # Errors
    /// What should have been possible and was not.
    pub fn get(
        request: &Request,
        cpus: Cpus,
        handler: Option<slots::Handler>,
    ) -> Result<Option<Self>, String> {
        let count = request.split().map_err(|error| error.to_string())?.iter().count() as u64;
        if !permits::take(request.kind(), count, cpus) {
            return Ok(None);
        }
        let disposition = handler.map_or(Disposition::Count, Disposition::Call);
        match slots::install_split(request, cpus, disposition) {
            Ok(slots) => Ok(Some(Self { slots, cpus })),
            Err(SlotError::NoFreeSlot { .. } | SlotError::NeedsTwo { .. }) if cpus == Cpus::ALL => {
                permits::give(request.kind(), count, cpus);
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Which it is.
    pub fn id(&self) -> SlotId {
        self.slots.first()
    }

    /// Whether it has taken itself away, and is free again; then the permit is given back.
    pub fn is_gone(&self) -> bool {
        let gone = !there(self.slots);
        if gone {
            permits::give(self.slots.kind(), self.slots.iter().count() as u64, self.cpus);
        }
        gone
    }

    /// Takes it away for good. How often it was hit.
    ///
    /// # Errors
    /// If it is not as it must be then.
    pub fn give(&self) -> Result<u64, String> {
        let hits = slots::remove_counted(self.slots).map_err(|error| error.to_string())?;
        let hits = hits.ok_or("a removal in thread context did not wait for the other CPUs")?;
        if !self.is_gone() {
            return Err(format!("{:?} is still there when its removal has returned", self.slots));
        }
        Ok(hits)
    }
}

fn there(slots: Pieces<SlotId>) -> bool {
    slots::list().any(|record| slots.iter().any(|id| record.id == id))
}
