//! A hash table from an address to the slot that is set on it, so that the cost of a hit does not depend on how many slots are in
//! use.

/// The number of buckets of a [`Lookup`]. With 256 buckets, 16 keys rarely need a second multiplier.
const BUCKETS: usize = 256;
/// How many multipliers [`Lookup::rebuild`] tries before it lets two keys share a bucket.
const TRIES: usize = 8;
/// The contents of a bucket into which no slot's key falls.
const NOBODY: u8 = 0xff;
/// The contents of a bucket into which the keys of several slots fall, be they alike or different.
const SEVERAL: u8 = 0xfe;
/// A bit beside the slot number in a bucket: a hit of this slot needs more than to be counted, so the slot is not plain.
const CAREFUL: u8 = 0x40;

/// What a [`Lookup`] knows of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// No slot has this key.
    Nobody,
    /// One slot falls into the bucket of this key: its number, and whether it is plain. The slot's key may be another one, so the
    /// caller compares.
    One(u8, bool),
    /// Several slots fall into the bucket of this key, so the caller searches all slots. Perhaps none of them has this key.
    Several,
}

/// What a bucket holds of one slot: the slot number, with the bit [`CAREFUL`] set if the slot is not plain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry(pub(crate) u8);

impl Entry {
    #[inline(always)]
    pub(crate) const fn new(slot: u8, plain: bool) -> Entry {
        Entry(if plain { slot } else { slot | CAREFUL })
    }
}

/// A hash table that has no collisions as long as [`Lookup::rebuild`] finds a multiplier with which no two keys share a bucket.
#[derive(Debug)]
pub(crate) struct Lookup {
    multiplier: u64,
    buckets: [u8; BUCKETS],
}

impl Lookup {
    pub(crate) const fn new() -> Lookup {
        Lookup { multiplier: 0x9e37_79b9_7f4a_7c15, buckets: [NOBODY; BUCKETS] }
    }

    #[inline(always)]
    fn bucket(&self, key: u64) -> usize {
        (key.wrapping_mul(self.multiplier) >> (64 - BUCKETS.trailing_zeros())) as usize
    }

    /// The number of the slot that alone falls into the bucket of `key`, if that slot is plain. The caller compares the slot's key
    /// with `key`. In every other case the result is 64 or more, which is no slot's number, and the caller asks [`Lookup::find`].
    #[inline(always)]
    pub(crate) fn plain(&self, key: u64) -> u8 {
        self.buckets[self.bucket(key)]
    }

    /// As [`Lookup::plain`], also if the slot is not plain.
    #[inline(always)]
    pub(crate) fn only(&self, key: u64) -> u8 {
        self.plain(key) & !CAREFUL
    }

    #[inline]
    pub(crate) fn find(&self, key: u64) -> Found {
        match self.buckets[self.bucket(key)] {
            NOBODY => Found::Nobody,
            SEVERAL => Found::Several,
            slot => Found::One(slot & !CAREFUL, slot & CAREFUL == 0),
        }
    }

    /// The bucket of `key` if no slot falls into it yet. `None` if the bucket is in use; then adding a slot takes a
    /// [rebuild](Lookup::rebuild).
    #[inline(always)]
    pub(crate) fn free_bucket(&self, key: u64) -> Option<usize> {
        let bucket = self.bucket(key);
        (self.buckets[bucket] == NOBODY).then_some(bucket)
    }

    /// Puts a slot into a bucket that [`Lookup::free_bucket`] has found.
    #[inline(always)]
    pub(crate) fn put(&mut self, bucket: usize, entry: Entry) {
        self.buckets[bucket % BUCKETS] = entry.0;
    }

    /// Takes a slot out. `keys` has the keys of all slots that stay, in case the table must be rebuilt from them.
    #[inline]
    pub(crate) fn remove(&mut self, key: u64, slot: u8, keys: impl Keys) {
        let bucket = self.bucket(key);
        match self.buckets[bucket] {
            SEVERAL => self.rebuild(keys),
            held if held & !CAREFUL == slot => self.buckets[bucket] = NOBODY,
            _ => {}
        }
    }

    /// Makes the table anew from the keys of all slots. If two different keys share a bucket, tries the next multiplier.
    #[cold]
    #[inline(never)]
    pub(crate) fn rebuild(&mut self, keys: impl Keys) {
        for again in 0..TRIES {
            if again > 0 {
                // The multiplier must be odd: with an even one the top bits of the key would not count.
                self.multiplier = self.multiplier.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2) | 1;
            }
            self.buckets = [NOBODY; BUCKETS];
            let mut shared = false;
            keys.each(|key, _, entry| {
                let bucket = self.bucket(key);
                let held = self.buckets[bucket];
                self.buckets[bucket] = match held {
                    NOBODY => entry.0,
                    _ => {
                        // Two slots with the same key share a bucket with every multiplier, so only different keys count as shared.
                        keys.each(|other, _, _| shared |= other != key && self.bucket(other) == bucket);
                        SEVERAL
                    }
                };
            });
            if !shared {
                return;
            }
        }
    }
}

/// The armed slots that a [`Lookup`] is rebuilt from: [`Keys::each`] calls `use_` with key, slot number and entry of each slot.
pub(crate) trait Keys {
    fn each(&self, use_: impl FnMut(u64, u8, Entry));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Random;
    use std::vec::Vec;

    impl Keys for &Vec<(u64, u8, bool)> {
        fn each(&self, mut use_: impl FnMut(u64, u8, Entry)) {
            self.iter().for_each(|&(key, slot, plain)| use_(key, slot, Entry::new(slot, plain)));
        }
    }

    /// For every key, the lookup gives the answer that a search of all slots would give, or `Several`. With up to 16 slots it never
    /// gives `Several` for a key that only one slot has.
    #[test]
    fn every_key_is_found_after_every_change() {
        let mut random = Random(11);
        for (slots, keys) in [(2, 2), (4, 3), (6, 1000), (6, 5), (16, 1 << 30), (16, 20), (64, 1 << 40)] {
            let mut lookup = Lookup::new();
            let mut held: Vec<(u64, u8, bool)> = Vec::new();
            let mut several = 0;
            for _ in 0..4000 {
                let slot = random.below(slots) as u8;
                if let Some(at) = held.iter().position(|&(_, n, _)| n == slot) {
                    let (key, ..) = held.swap_remove(at);
                    lookup.remove(key, slot, &held);
                } else {
                    let (key, plain) = (random.below(keys), random.below(3) > 0);
                    held.push((key, slot, plain));
                    match lookup.free_bucket(key) {
                        Some(bucket) => lookup.put(bucket, Entry::new(slot, plain)),
                        None => lookup.rebuild(&held),
                    }
                }
                for &(key, slot, plain) in &held {
                    let alone = held.iter().filter(|other| other.0 == key).count() == 1;
                    match lookup.find(key) {
                        Found::One(n, is_plain) => {
                            assert_eq!((n, is_plain, alone), (slot, plain, true));
                            assert_eq!(lookup.plain(key), if plain { slot } else { slot | CAREFUL });
                            assert_eq!(lookup.only(key), slot);
                        }
                        Found::Several => several += u32::from(alone),
                        Found::Nobody => panic!("{key:#x} of {slot} is lost"),
                    }
                }
            }
            assert!(slots > 16 || several == 0, "{slots} slots, {keys} keys: {several} times not at once");
        }
    }
}
