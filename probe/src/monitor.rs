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

/// Calls `each` with the index of every load-exclusive and store-exclusive in a text, in ascending order. Fast for long texts:
/// eight words are ruled out at a time, with two words in a register.
pub fn exclusives(text: &[u32], mut each: impl FnMut(usize)) {
    // Exclusives have bit 27 set, and bits 29 and 25 clear. Few other words do.
    const BIT_27: u64 = 1 << 59 | 1 << 27;
    let chunks = text.chunks_exact(8);
    let mut look = |first: usize, words: &[u32]| {
        for (index, &word) in words.iter().enumerate() {
            if is_exclusive(word) {
                each(first + index);
            }
        }
    };
    let rest = chunks.remainder();
    for (index, chunk) in chunks.enumerate() {
        let any = chunk.chunks_exact(2).fold(0, |any, pair| {
            let both = u64::from(pair[1]) << 32 | u64::from(pair[0]);
            any | both & !(both >> 2) & !(both << 2)
        });
        if any & BIT_27 != 0 {
            look(8 * index, chunk);
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

    /// The top 11 bits decide. Tries all of their values, at several places of a chunk and behind the last chunk, among different
    /// words.
    #[test]
    fn exclusives_are_found_wherever_they_are() {
        for around in [0, 0xd503_201f, 0x3600_0000, u32::MAX] {
            for top in 0..1 << 11 {
                for (at, length) in [(0, 1), (6, 7), (0, 8), (1, 8), (7, 8), (8, 9), (13, 24)] {
                    let mut text = std::vec![around; length];
                    text[at] = top << 21;
                    let mut found = Vec::new();
                    exclusives(&text, |index| found.push(index));
                    let is = |word| is_load_exclusive(word) || is_store_exclusive(word);
                    let wanted: Vec<usize> = (0..length).filter(|&index| is(text[index])).collect();
                    assert_eq!(found, wanted, "{:#x} at {at} of {length} among {around:#x}", top << 21);
                }
            }
        }
    }
}
