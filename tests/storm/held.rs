//! Slots that the storm has set, each with its permit.

use super::permits;
use ::slots::{Cpus, Pieces, Request, SlotError, SlotId};
use alloc::format;
use alloc::string::{String, ToString};
use kernel::debug::slots::Watcher;
use kernel::debug::slots::{self, Disposition};

/// A slot, or the two slots of a range, with the permit for it.
#[derive(Clone, Copy)]
pub struct Held {
    slots: Pieces<SlotId>,
    cpus: Cpus,
}

impl Held {
    /// Sets a slot. None if others hold the permits or the slots that it needs.
    ///
    /// # Errors
    /// If the slot cannot be set although nothing stands in the way.
    pub fn get(
        request: &Request,
        cpus: Cpus,
        watcher: Option<&'static Watcher>,
    ) -> Result<Option<Self>, String> {
        let count = request.split().map_err(|error| error.to_string())?.iter().count() as u64;
        if !permits::take(request.kind(), count, cpus) {
            return Ok(None);
        }
        let disposition = watcher.map_or(Disposition::Count, Disposition::Call);
        match slots::install_split(request, cpus, disposition) {
            Ok(slots) => Ok(Some(Self { slots, cpus })),
            Err(SlotError::NoFreeSlot { .. } | SlotError::NeedsTwo { .. }) if cpus == Cpus::ALL => {
                permits::give(request.kind(), count, cpus);
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The slot, or the first one of a range.
    pub fn id(&self) -> SlotId {
        self.slots.first()
    }

    /// Whether the slot is free again after its removal, which may be by its own handler. If it is free, gives back the permit.
    pub fn is_gone(&self) -> bool {
        let gone = !there(self.slots);
        if gone {
            permits::give(self.slots.kind(), self.slots.iter().count() as u64, self.cpus);
        }
        gone
    }

    /// Removes the slot, gives back the permit, and returns how often the slot was hit.
    ///
    /// # Errors
    /// If the removal fails, or the slot is still there afterwards.
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
