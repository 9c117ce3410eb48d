//! A slot that is taken away when its holder goes.

use super::{Disposition, hits, install_split, remove, remove_counted};
use ::slots::{Cpus, Pieces, Request, SlotError, SlotId};

/// A slot, or the two of a range that one does not hold. Dropped, it is taken away as by [`remove`]; a slot that is gone by then,
/// because a handler took it away, is no error.
#[derive(Debug)]
#[must_use = "dropped at once, the slot is taken away at once"]
pub struct Installed(Pieces<SlotId>);

impl Installed {
    /// Sets a slot, or two: see [`install_split`].
    ///
    /// # Errors
    /// As there.
    pub fn new(request: &Request, cpus: Cpus, disposition: Disposition) -> Result<Self, SlotError> {
        install_split(request, cpus, disposition).map(Self)
    }

    /// The slot, or the first of two.
    pub fn id(&self) -> SlotId {
        self.0.first()
    }

    /// The slot, or both.
    pub fn slots(&self) -> Pieces<SlotId> {
        self.0
    }

    /// Hits so far; `None` once it is gone.
    pub fn hits(&self) -> Option<u64> {
        hits(self.0)
    }

    /// Takes it away, and says how often it was hit in all: see [`remove_counted`].
    ///
    /// # Errors
    /// [`SlotError::Gone`] if it is not there any more.
    pub fn remove(self) -> Result<Option<u64>, SlotError> {
        let slots = self.0;
        core::mem::forget(self);
        remove_counted(slots)
    }
}

impl From<SlotId> for Installed {
    /// Takes over a slot that was set by [`install`](super::install).
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
