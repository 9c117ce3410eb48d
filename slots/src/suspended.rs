//! The set of slots that a context has switched off, so that the instruction that has hit them can run once.

use crate::record::Age;
use crate::{Kind, SlotId, SlotMask};

/// The slots that a context has suspended. Plain data, which interrupts set aside (rule M8); its size does not depend on the number
/// of slots.
///
/// The set holds slot numbers, but a slot number may get another use while the set is set aside. So the set also knows the newest
/// generation among its members. Generations of a table only grow, and a later use of a slot begins after this CPU has disarmed the
/// earlier one, that is, after the members were put in. So a record that is newer than the newest member is another use.
#[derive(Clone, Copy, Debug)]
pub struct Suspended {
    masks: [SlotMask; 2],
    newest: [Age; 2],
}

impl Suspended {
    /// A set without slots.
    pub const fn new() -> Self {
        Suspended { masks: [SlotMask::EMPTY; 2], newest: [Age::OLDEST; 2] }
    }

    /// Whether no slot is suspended.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.masks[0].0 | self.masks[1].0 == 0
    }

    /// The numbers of the suspended slots of one kind.
    #[inline]
    pub const fn mask(&self, kind: Kind) -> SlotMask {
        self.masks[kind as usize]
    }

    /// Whether the use `id` of a slot is in the set. Given the id of a use that is gone, this is also true if a later use of the
    /// same slot is in the set.
    #[inline]
    pub const fn contains(&self, id: SlotId) -> bool {
        self.mask(id.kind).contains(id.index) && self.newest(id.kind).covers(id.generation)
    }

    /// Adds a slot that this CPU has armed.
    #[inline]
    pub const fn insert(&mut self, id: SlotId) {
        self.insert_use(id.kind, id.index, id.generation);
    }

    #[inline(always)]
    pub(crate) const fn insert_use(&mut self, kind: Kind, n: u8, generation: u32) {
        let kind = kind as usize;
        if self.masks[kind].is_empty() || !self.newest[kind].covers(generation) {
            self.newest[kind] = Age::of(generation);
        }
        self.masks[kind] = self.masks[kind].with(n);
    }

    /// Takes the slot of `id` out of the set, if the set [contains](Self::contains) it.
    #[inline]
    pub const fn remove(&mut self, id: SlotId) {
        if self.contains(id) {
            self.masks[id.kind as usize] = self.mask(id.kind).without(SlotMask::of(id.index));
        }
    }

    /// Takes slot `n` out of the set, whichever use of the slot is in it.
    pub(crate) const fn forget(&mut self, kind: Kind, n: u8) {
        self.masks[kind as usize] = self.mask(kind).without(SlotMask::of(n));
    }

    /// Empties the set. This re-arms no slot.
    #[inline]
    pub const fn clear(&mut self) {
        self.masks = [SlotMask::EMPTY; 2];
    }

    /// The age of the newest use in the set.
    #[inline]
    pub(crate) const fn newest(&self, kind: Kind) -> Age {
        self.newest[kind as usize]
    }
}

impl Default for Suspended {
    fn default() -> Self {
        Self::new()
    }
}
