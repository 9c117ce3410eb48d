//! The locks that somebody waits for, by key.

use alloc::vec::Vec;
use core::ops::{Index, IndexMut};

use crate::{Error, LockKey, list::List, task::Slot};

#[derive(Debug)]
pub(crate) struct Lock {
    pub(crate) key: LockKey,
    pub(crate) owner: Slot,
    /// By priority; never empty between two operations.
    pub(crate) waiters: List,
    /// The next of the owner's locks, or of the free places.
    pub(crate) next: Option<u32>,
}

/// A task waits for one lock at most, so there are never more locks than tasks.
#[derive(Debug, Default)]
pub(crate) struct LockTable {
    places: Vec<Lock>,
    free: Option<u32>,
    /// The places in use, in the order of their keys.
    by_key: Vec<u32>,
}

impl LockTable {
    /// Makes room for `len` locks in all, so that [`LockTable::add`] needs no memory up to there.
    pub(crate) fn reserve(&mut self, len: usize) -> Result<(), Error> {
        self.places
            .try_reserve(len.saturating_sub(self.places.len()))
            .and_then(|()| self.by_key.try_reserve(len.saturating_sub(self.by_key.len())))
            .map_err(|_| Error::NoMemory)
    }

    fn search(&self, key: LockKey) -> Result<usize, usize> {
        self.by_key.binary_search_by_key(&key, |&place| self[place].key)
    }

    pub(crate) fn find(&self, key: LockKey) -> Option<u32> {
        Some(self.by_key[self.search(key).ok()?])
    }

    /// The place of `key`, which is added without waiters and without a place in its owner's list if it is not known.
    pub(crate) fn add(&mut self, key: LockKey, owner: Slot) -> u32 {
        let index = match self.search(key) {
            Ok(index) => return self.by_key[index],
            Err(index) => index,
        };
        let lock = Lock { key, owner, waiters: List::default(), next: None };
        let place = match self.free {
            Some(place) => {
                self.free = self[place].next;
                self[place] = lock;
                place
            }
            None => {
                self.places.push(lock);
                (self.places.len() - 1) as u32
            }
        };
        self.by_key.insert(index, place);
        place
    }

    pub(crate) fn remove(&mut self, place: u32) {
        if let Ok(index) = self.search(self[place].key) {
            self.by_key.remove(index);
            self[place].next = self.free.replace(place);
        }
    }
}

impl Index<u32> for LockTable {
    type Output = Lock;

    fn index(&self, place: u32) -> &Lock {
        &self.places[place as usize]
    }
}

impl IndexMut<u32> for LockTable {
    fn index_mut(&mut self, place: u32) -> &mut Lock {
        &mut self.places[place as usize]
    }
}
