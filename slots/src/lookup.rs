//! A hash table from an address to the slot that is set on it, so that the cost of a hit does not depend on how many slots are in use.

/// The buckets of a [`Lookup`]: so many that 16 keys rarely need a second multiplier.
const BUCKETS: usize = 256;
/// How many multipliers are tried before two keys are let share a bucket.
const TRIES: usize = 8;
/// In a bucket: no slot's key falls into it.
const NOBODY: u8 = 0xff;
/// In a bucket: the keys of several slots fall into it.
const SEVERAL: u8 = 0xfe;
/// A bit in a bucket: the slot's hits need more than to be counted.
const CAREFUL: u8 = 0x40;

/// What a [`Lookup`] knows of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// No slot has this key, unless `Several`.
    Nobody,
    /// This slot, if it is the key's: the caller compares. Whether it is plain.
    One(u8, bool),
    /// More than one key of this bucket, or more than one slot of this key: the caller looks at all.
    Several,
}

/// What a bucket has of one slot: its number, and [`CAREFUL`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry(pub(crate) u8);

impl Entry {
    #[inline(always)]
    pub(crate) const fn new(slot: u8, plain: bool) -> Entry {
        Entry(if plain { slot } else { slot | CAREFUL })
    }
}

/// A hash table without collisions, as far as a multiplier is found that makes none.
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

    /// The number of the one plain slot whose key falls into the bucket of `key`. A number that no slot has (64 or more) if there is
    /// none: ask [`Lookup::find`]. The caller compares the slot's key with `key`.
    #[inline(always)]
    pub(crate) fn plain(&self, key: u64) -> u8 {
        self.buckets[self.bucket(key)]
    }

    #[inline]
    pub(crate) fn find(&self, key: u64) -> Found {
        match self.buckets[self.bucket(key)] {
            NOBODY => Found::Nobody,
            SEVERAL => Found::Several,
            slot => Found::One(slot & !CAREFUL, slot & CAREFUL == 0),
        }
    }

    /// Where a slot of this key would be put; `None` if that takes a [rebuild](Lookup::rebuild).
    #[inline(always)]
    pub(crate) fn free_bucket(&self, key: u64) -> Option<usize> {
        let bucket = self.bucket(key);
        (self.buckets[bucket] == NOBODY).then_some(bucket)
    }

    /// Puts a slot into a bucket that is free.
    #[inline(always)]
    pub(crate) fn put(&mut self, bucket: usize, entry: Entry) {
        self.buckets[bucket % BUCKETS] = entry.0;
    }

    /// Takes a slot out; `keys` are those of all slots that stay.
    #[inline]
    pub(crate) fn remove(&mut self, key: u64, slot: u8, keys: impl Keys) {
        let bucket = self.bucket(key);
        match self.buckets[bucket] {
            SEVERAL => self.rebuild(keys),
            held if held & !CAREFUL == slot => self.buckets[bucket] = NOBODY,
            _ => {}
        }
    }

    /// Makes the table anew from the keys of all slots, with another multiplier if the present one has two keys share a bucket.
    #[cold]
    #[inline(never)]
    pub(crate) fn rebuild(&mut self, keys: impl Keys) {
        for again in 0..TRIES {
            if again > 0 {
                // Odd, as it must be.
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
                        // Two slots of one key share a bucket whatever the multiplier; two keys need not.
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

/// All keys, with their slots.
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

    /// What the lookup says of every key is what a search of all slots says, or `Several`; a key that one slot has alone is
    /// found at once, unless there are too many.
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
