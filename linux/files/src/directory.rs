//! The entries of one directory: found by name, listed by slot.
//!
//! An entry keeps its slot as long as it exists, and the slot is its cookie for getdents64. So entries that come or go between
//! two calls change neither the places nor the order of the others. A second vector has the slots in the order of the names:
//! a lookup is a binary search whatever names a program chooses, and both vectors grow by fallible allocation.

use alloc::vec::Vec;

use crate::slab::Slab;
use crate::{InodeId, Result, bytes};

pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) inode: InodeId,
}

pub(crate) struct Directory {
    entries: Slab<Entry>,
    /// Slots of `entries`, ordered by name.
    by_name: Vec<u32>,
    /// How many entries are directories.
    pub(crate) subdirectories: u32,
}

impl Directory {
    pub(crate) const fn new() -> Self {
        Self { entries: Slab::new(), by_name: Vec::new(), subdirectories: 0 }
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.len()
    }

    fn name(&self, slot: u32) -> &[u8] {
        self.entries.get(slot).map_or(&[], |entry| &entry.name)
    }

    /// Where the name is in `by_name`, or where it would have to be.
    fn position(&self, name: &[u8]) -> core::result::Result<usize, usize> {
        self.by_name.binary_search_by(|&slot| self.name(slot).cmp(name))
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<(u32, InodeId)> {
        let slot = *self.by_name.get(self.position(name).ok()?)?;
        Some((slot, self.entries.get(slot)?.inode))
    }

    pub(crate) fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot)
    }

    /// Adds an entry whose name the directory does not have, and returns the entry's slot.
    ///
    /// # Errors
    /// `NoMemory`, `NoSpace`; nothing has changed then.
    pub(crate) fn add(&mut self, name: Vec<u8>, inode: InodeId) -> Result<u32> {
        bytes::room_for_one(&mut self.by_name)?;
        let at = self.position(&name).unwrap_or_else(|at| at);
        let slot = self.entries.insert(Entry { name, inode })?;
        self.by_name.insert(at, slot);
        Ok(slot)
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Entry> {
        if let Ok(at) = self.position(self.name(slot)) {
            self.by_name.remove(at);
        }
        let entry = self.entries.remove(slot);
        if self.entries.len() == 0 {
            self.by_name = Vec::new();
        }
        entry
    }

    /// Gives an entry a name that the directory does not have. The entry keeps its slot.
    pub(crate) fn rename(&mut self, slot: u32, name: Vec<u8>) {
        let Ok(from) = self.position(self.name(slot)) else { return };
        let to = self.position(&name).unwrap_or_else(|at| at);
        // Whatever stands between the two places moves by one, and the slot goes to the other end.
        if from < to {
            self.by_name[from..to].rotate_left(1);
        } else {
            self.by_name[to..=from].rotate_right(1);
        }
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.name = name;
        }
    }

    /// Makes an entry lead to another inode.
    pub(crate) fn redirect(&mut self, slot: u32, inode: InodeId) {
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.inode = inode;
        }
    }

    /// The first entry whose slot is `from` or higher.
    pub(crate) fn next(&self, from: u32) -> Option<(u32, &Entry)> {
        self.entries.next(from)
    }

    /// Panics if the two vectors do not agree. Returns how many entries are directories, as `is_directory` says.
    #[cfg(test)]
    pub(crate) fn check(&self, is_directory: impl Fn(u32, InodeId) -> bool) -> u32 {
        self.entries.check();
        assert_eq!(self.by_name.len(), self.entries.len() as usize);
        assert!(self.by_name.is_sorted_by(|&one, &other| self.name(one) < self.name(other)));
        self.by_name.iter().map(|&slot| u32::from(is_directory(slot, self.entry(slot).unwrap().inode))).sum()
    }
}
