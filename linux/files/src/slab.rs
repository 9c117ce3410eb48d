//! A vector of slots whose free slots are used again, so that the number of an element never changes while the element exists.

use alloc::vec::Vec;

use crate::{FileError, Result, bytes};

pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    first_free: Option<u32>,
    used: u32,
}

enum Slot<T> {
    Used(T),
    Free { next: Option<u32> },
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), first_free: None, used: 0 }
    }

    pub(crate) fn len(&self) -> u32 {
        self.used
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        match self.slots.get(slot as usize)? {
            Slot::Used(element) => Some(element),
            Slot::Free { .. } => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        match self.slots.get_mut(slot as usize)? {
            Slot::Used(element) => Some(element),
            Slot::Free { .. } => None,
        }
    }

    /// Stores an element and returns the number of its slot.
    ///
    /// # Errors
    /// `NoMemory`; `NoSpace` if no number is left.
    pub(crate) fn insert(&mut self, element: T) -> Result<u32> {
        if let Some(slot) = self.first_free {
            let place = self.slots.get_mut(slot as usize).ok_or(FileError::NoSpace)?;
            if let Slot::Free { next } = *place {
                self.first_free = next;
            }
            *place = Slot::Used(element);
            self.used += 1;
            return Ok(slot);
        }
        // The last number is kept back: cookies of directories add 2 to a slot, and a cookie is one past its slot.
        let slot =
            u32::try_from(self.slots.len()).ok().filter(|&slot| slot < u32::MAX).ok_or(FileError::NoSpace)?;
        bytes::room_for_one(&mut self.slots)?;
        self.slots.push(Slot::Used(element));
        self.used += 1;
        Ok(slot)
    }

    /// Takes an element out. Its slot is the next that is used again.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let place = self.slots.get_mut(slot as usize)?;
        if matches!(place, Slot::Free { .. }) {
            return None;
        }
        let next = if self.used == 1 { None } else { self.first_free };
        let Slot::Used(element) = core::mem::replace(place, Slot::Free { next }) else { return None };
        self.used -= 1;
        if self.used == 0 {
            self.slots = Vec::new();
            self.first_free = None;
        } else {
            self.first_free = Some(slot);
        }
        Some(element)
    }

    /// The first element whose slot is `from` or higher.
    pub(crate) fn next(&self, from: u32) -> Option<(u32, &T)> {
        self.slots.iter().enumerate().skip(from as usize).find_map(|(at, slot)| match slot {
            Slot::Used(element) => Some((at as u32, element)),
            Slot::Free { .. } => None,
        })
    }

    /// Panics if a slot is neither used nor found among the free ones.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut free = 0;
        let mut next = self.first_free;
        while let Some(slot) = next {
            let Slot::Free { next: behind } = self.slots[slot as usize] else {
                panic!("{slot} is used and free")
            };
            next = behind;
            free += 1;
        }
        assert_eq!(self.used as usize + free, self.slots.len());
    }
}
