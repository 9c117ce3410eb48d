//! The ordinary loads and stores of an attempt. They are noted when the attempt meets them, and made between the two native
//! exclusives.

use super::access::Ordinary;
use super::{Fault, Memory, Shape};

/// The most accesses that one attempt may have, and also the most elements that may be loaded, or stored (a pair has two elements).
const ROOM: usize = 8;

/// A load that has been made and must give the same value again. It lies in one doubleword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Check {
    /// The doubleword's address, a multiple of 8.
    pub address: u64,
    /// The bits of the doubleword that were loaded.
    pub mask: u64,
    /// The value of these bits, at their places in the doubleword; all other bits are 0.
    pub value: u64,
}

/// A store that is still to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Store {
    /// The address of the store, a multiple of `size`.
    pub address: u64,
    /// The value to be stored.
    pub value: u64,
    /// How many bytes are stored: 1, 2, 4 or 8.
    pub size: u64,
}

/// What is to be done between the two exclusives of [`Memory::exchange`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Between {
    checks: [Check; ROOM],
    checks_len: usize,
    stores: [Store; ROOM],
    stores_len: usize,
}

impl Between {
    /// No loads and no stores: the exclusives have nothing in between.
    pub const NOTHING: Self = Self {
        checks: [Check { address: 0, mask: 0, value: 0 }; ROOM],
        checks_len: 0,
        stores: [Store { address: 0, value: 0, size: 0 }; ROOM],
        stores_len: 0,
    };

    /// The loads, to be made first.
    pub fn checks(&self) -> &[Check] {
        &self.checks[..self.checks_len]
    }

    /// The stores, to be made behind the loads in this order.
    pub fn stores(&self) -> &[Store] {
        &self.stores[..self.stores_len]
    }

    /// The same accesses at other addresses: `map` has the place of a doubleword or of a store. None if one of them has none.
    pub fn mapped(mut self, mut map: impl FnMut(u64, bool) -> Option<u64>) -> Option<Self> {
        for check in &mut self.checks[..self.checks_len] {
            check.address = map(check.address, false)?;
        }
        for store in &mut self.stores[..self.stores_len] {
            store.address = map(store.address, true)?;
        }
        Some(self)
    }

    /// Notes a store. Returns false, and notes nothing, if there is no room or the store is misaligned.
    pub(super) fn put(&mut self, address: u64, size: u8, value: u64) -> bool {
        let room = self.stores_len < ROOM && address.is_multiple_of(u64::from(size));
        if room {
            self.stores[self.stores_len] = Store { address, value, size: size.into() };
            self.stores_len += 1;
        }
        room
    }

    /// Loads a value: the value of an earlier store of the attempt, or else the value in memory. A load from memory is noted. None
    /// if there is no room, the load is misaligned, or an earlier store covers only a part of it.
    ///
    /// # Errors
    /// [`Fault`] if the load faults.
    pub(super) fn get(
        &mut self,
        address: u64,
        size: u8,
        memory: &mut impl Memory,
    ) -> Result<Option<u64>, Fault> {
        if !address.is_multiple_of(u64::from(size)) {
            return Ok(None);
        }
        let overlaps = |store: &&Store| {
            // Both ranges are aligned to their sizes, so they overlap only if one contains the other.
            let larger = store.size.max(u64::from(size));
            store.address / larger == address / larger
        };
        if let Some(store) = self.stores().iter().rev().find(overlaps) {
            let same = store.address == address && store.size == u64::from(size);
            return Ok(same.then_some(store.value));
        }
        if self.checks_len == ROOM {
            return Ok(None);
        }
        let [value, _] = memory.load(address, Shape { size, pair: false })?;
        let shift = 8 * (address % 8);
        let mask = u64::MAX >> (64 - 8 * u32::from(size)) << shift;
        self.checks[self.checks_len] = Check { address: address & !7, mask, value: value << shift };
        self.checks_len += 1;
        Ok(Some(value))
    }

    /// Makes all stores at once, for an attempt that ends without its store-exclusive.
    ///
    /// # Errors
    /// [`Fault`] if a store faults; the stores before it have been made.
    pub(super) fn store_all(&self, memory: &mut impl Memory) -> Result<(), Fault> {
        self.stores().iter().try_for_each(|store| memory.store(store.address, store.size as u8, store.value))
    }
}

/// An ordinary access that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// The address of the first byte accessed.
    pub address: u64,
    /// How many bytes were accessed.
    pub bytes: u64,
    /// True for a store, false for a load.
    pub write: bool,
}

/// The ordinary accesses of an attempt, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accesses {
    list: [Access; ROOM],
    len: usize,
}

impl Accesses {
    /// An empty list.
    pub const NONE: Self = Self { list: [Access { address: 0, bytes: 0, write: false }; ROOM], len: 0 };

    /// The accesses, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = Access> + '_ {
        self.list[..self.len].iter().copied()
    }

    /// Notes an access. Returns false, and notes nothing, if there is no room.
    pub(super) fn push(&mut self, ordinary: &Ordinary) -> bool {
        let room = self.len < ROOM;
        if room {
            self.list[self.len] =
                Access { address: ordinary.address, bytes: ordinary.bytes(), write: ordinary.write };
            self.len += 1;
        }
        room
    }
}
