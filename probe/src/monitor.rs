//! Which instructions set, use and clear the exclusive monitor.
use crate::bits::{bit, bits};

/// LDXR, LDAXR, LDXRB to LDAXRH, LDXP, LDAXP, and LDTXR, LDATXR (FEAT_LSUI).
#[inline]
pub const fn is_load_exclusive(word: u32) -> bool {
    is_exclusive(word) && bit(word, 22)
}

/// STXR, STLXR, STXRB to STLXRH, STXP, STLXP, and STTXR, STLTXR (FEAT_LSUI).
#[inline]
pub const fn is_store_exclusive(word: u32) -> bool {
    is_exclusive(word) && !bit(word, 22)
}

/// LDAR, STLR, CAS and CASP share the encoding group but leave the monitor alone.
#[inline]
const fn is_exclusive(word: u32) -> bool {
    // Whoever steps asks this of each instruction, and most are in no such group.
    if bits(word, 25, 5) != 0b00_100 || bit(word, 23) {
        return false;
    }
    let (pair, word_or_double, lsui) = (bit(word, 21), bit(word, 31), bit(word, 24));
    if lsui { !pair && word_or_double } else { !pair || word_or_double }
}

/// CLREX.
pub const fn is_clear_exclusive(word: u32) -> bool {
    word & 0xffff_f0ff == 0xd503_305f
}
