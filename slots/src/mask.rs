//! A set of slot indices.

/// A set of slots of one kind, by index. It has 64 bits, because a CPU with banked registers (FEAT_Debugv8p9) can have 64 slots of
/// a kind.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SlotMask(pub u64);

impl SlotMask {
    /// No slot.
    pub const EMPTY: SlotMask = SlotMask(0);

    /// Slot `index` alone; empty when `index` is 64 or more.
    #[inline]
    pub const fn of(index: u8) -> SlotMask {
        SlotMask(if index < 64 { 1 << index } else { 0 })
    }

    /// The slots 0 to `count - 1`.
    #[inline]
    pub const fn first(count: u8) -> SlotMask {
        SlotMask(if count >= 64 { u64::MAX } else { (1 << count) - 1 })
    }

    /// Whether no slot is in the set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether slot `index` is in the set.
    #[inline]
    pub const fn contains(self, index: u8) -> bool {
        self.0 & SlotMask::of(index).0 != 0
    }

    /// How many slots are in the set.
    #[inline]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The indices in the set, lowest first.
    #[inline]
    pub const fn iter(self) -> Indices {
        Indices(self.0)
    }

    /// The set with slot `index` added.
    #[inline]
    #[must_use]
    pub const fn with(self, index: u8) -> SlotMask {
        SlotMask(self.0 | SlotMask::of(index).0)
    }

    /// The set without the slots of `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: SlotMask) -> SlotMask {
        SlotMask(self.0 & !other.0)
    }

    /// The slots in either set.
    #[inline]
    #[must_use]
    pub const fn union(self, other: SlotMask) -> SlotMask {
        SlotMask(self.0 | other.0)
    }

    /// The slots in both sets.
    #[inline]
    #[must_use]
    pub const fn intersection(self, other: SlotMask) -> SlotMask {
        SlotMask(self.0 & other.0)
    }
}

impl IntoIterator for SlotMask {
    type Item = u8;
    type IntoIter = Indices;

    #[inline]
    fn into_iter(self) -> Indices {
        self.iter()
    }
}

/// The indices of a [`SlotMask`], lowest first.
#[derive(Clone, Debug)]
pub struct Indices(u64);

impl Iterator for Indices {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        if self.0 == 0 {
            return None;
        }
        let index = self.0.trailing_zeros() as u8;
        self.0 &= self.0 - 1;
        Some(index)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.count_ones() as usize;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Indices {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_mask_yields_its_indices_in_order() {
        let mask = SlotMask::EMPTY.with(63).with(0).with(5);
        assert_eq!(mask.into_iter().collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!((mask.count(), mask.iter().len()), (3, 3));
        assert!(mask.iter().eq(mask));
        let mut left = mask.iter();
        assert_eq!((left.next(), left.len(), left.size_hint()), (Some(0), 2, (2, Some(2))));
        assert_eq!(SlotMask::first(64), SlotMask(u64::MAX));
        assert_eq!(SlotMask::first(6), SlotMask(0x3f));
        assert!(SlotMask::of(64).is_empty());
    }
}
