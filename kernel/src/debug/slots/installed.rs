//! A slot that is removed when the value that stands for it is dropped.

use super::{Disposition, hits, install_split, remove, remove_counted};
use ::slots::{Cpus, Pieces, Request, SlotError, SlotId};

/// A slot, or two slots for a range that one slot cannot hold. When the value is dropped, the slots are removed as by
/// [`remove`]. If a handler has removed them before, that is no error.
#[derive(Debug)]
#[must_use = "the slot is removed when this value is dropped"]
pub struct Installed(Pieces<SlotId>);

impl Installed {
    /// Sets a slot, or two slots, as [`install_split`] does.
    ///
    /// # Errors
    /// Those of `install_split`.
    pub fn new(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<Self, SlotError> {
        install_split(request, cpus, disposition).map(Self)
    }

    /// The id of the slot; of two slots the id of the first.
    pub fn id(&self) -> SlotId {
        self.0.first()
    }

    /// The ids of the slot or of both slots.
    pub fn slots(&self) -> Pieces<SlotId> {
        self.0
    }

    /// How often the slot was hit so far; `None` if it was removed.
    pub fn hits(&self) -> Option<u64> {
        hits(self.0)
    }

    /// Removes the slot, and returns how often it was hit in all: see [`remove_counted`].
    ///
    /// # Errors
    /// [`SlotError::Gone`] if the slot was removed before.
    pub fn remove(self) -> Result<Option<u64>, SlotError> {
        let slots = self.0;
        core::mem::forget(self);
        remove_counted(slots)
    }
}

impl From<SlotId> for Installed {
    /// Takes over a slot that [`install`](super::install) has set: from here on, dropping the value removes the slot.
    fn from(id: SlotId) -> Self {
        Self(id.into())
    }
}

impl Drop for Installed {
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    fn drop(&mut self) {
        let _ = remove(self.0);
    }
}
