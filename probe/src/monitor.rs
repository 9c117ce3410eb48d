//! Which instructions set, use and clear the exclusive monitor.
use crate::bits::{bit, bits};

/// Whether the word is a load-exclusive: LDXR, LDAXR, LDXRB to LDAXRH, LDXP, LDAXP, or LDTXR, LDATXR (FEAT_LSUI).
#[inline]
pub const fn is_load_exclusive(word: u32) -> bool {
    is_exclusive(word) && bit(word, 22)
}

/// Whether the word is a store-exclusive: STXR, STLXR, STXRB to STLXRH, STXP, STLXP, or STTXR, STLTXR (FEAT_LSUI).
#[inline]
pub const fn is_store_exclusive(word: u32) -> bool {
    is_exclusive(word) && !bit(word, 22)
}

/// Calls `each` with the index of every load-exclusive and store-exclusive in a text, in ascending order. The text comes in pairs of
/// words, the first of which is the lower half. Fast for long texts: eight words are ruled out at a time.
pub fn exclusives(text: &[u64], mut each: impl FnMut(usize)) {
    // Exclusives have bit 27 set, and bits 29 and 25 clear. Few other words do.
    const BIT_27: u64 = 1 << 59 | 1 << 27;
    let candidates = |pair: u64| pair & !(pair >> 2) & !(pair << 2);
    let mut look = |first: usize, pairs: &[u64]| {
        for (index, &pair) in pairs.iter().enumerate().filter(|&(_, &pair)| candidates(pair) & BIT_27 != 0) {
            for (half, word) in [pair as u32, (pair >> 32) as u32].into_iter().enumerate() {
                if is_exclusive(word) {
                    each(2 * (first + index) + half);
                }
            }
        }
    };
    let chunks = text.chunks_exact(4);
    let rest = chunks.remainder();
    for (index, chunk) in chunks.enumerate() {
        if chunk.iter().fold(0, |any, &pair| any | candidates(pair)) & BIT_27 != 0 {
            look(4 * index, chunk);
        }
    }
    look(text.len() - rest.len(), rest);
}

/// Whether the word is an exclusive. LDAR, STLR, CAS and CASP share the encoding group but do not use the monitor.
#[inline]
const fn is_exclusive(word: u32) -> bool {
    // Called for each instruction that is stepped; most are not in the group, so the group is tested first.
    if bits(word, 25, 5) != 0b00_100 || bit(word, 23) {
        return false;
    }
    let (pair, word_or_double, lsui) = (bit(word, 21), bit(word, 31), bit(word, 24));
    if lsui { !pair && word_or_double } else { !pair || word_or_double }
}

/// Whether the word is CLREX.
pub const fn is_clear_exclusive(word: u32) -> bool {
    word & 0xffff_f0ff == 0xd503_305f
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn pair(words: &[u32]) -> u64 {
        u64::from(words[1]) << 32 | u64::from(words[0])
    }

    /// The top 11 bits decide. Tries all of their values, at several places of a chunk and behind the last chunk, among different
    /// words.
    #[test]
    fn exclusives_are_found_wherever_they_are() {
        for around in [0, 0xd503_201f, 0x3600_0000, u32::MAX] {
            for top in 0..1 << 11 {
                for (at, length) in [(0, 2), (1, 2), (6, 8), (0, 16), (15, 16), (16, 18), (27, 48)] {
                    let mut text = std::vec![around; length];
                    text[at] = top << 21;
                    let mut found = Vec::new();
                    let pairs: Vec<u64> = text.chunks_exact(2).map(pair).collect();
                    exclusives(&pairs, |index| found.push(index));
                    let is = |word| is_load_exclusive(word) || is_store_exclusive(word);
                    let wanted: Vec<usize> = (0..length).filter(|&index| is(text[index])).collect();
                    assert_eq!(found, wanted, "{:#x} at {at} of {length} among {around:#x}", top << 21);
                }
            }
        }
    }
}
