//! Field extraction, as the encoding tables of DDI 0487 C4.1 write it.

/// The `width` bits of `word` from bit `lsb` up. `width` is 1 to 31.
#[inline(always)]
pub(crate) const fn bits(word: u32, lsb: u32, width: u32) -> u32 {
    (word >> lsb) & ((1 << width) - 1)
}

/// Bit `n` of `word`.
#[inline(always)]
pub(crate) const fn bit(word: u32, n: u32) -> bool {
    word >> n & 1 == 1
}

/// A branch or literal offset in bytes: the signed `width`-bit field at `lsb`, times four.
pub(crate) const fn word_offset(word: u32, lsb: u32, width: u32) -> i32 {
    let field = (word << (32 - lsb - width)) as i32;
    (field >> (32 - width)) * 4
}

/// A register field (five bits at `lsb`).
pub(crate) const fn reg(word: u32, lsb: u32) -> u8 {
    bits(word, lsb, 5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_keep_their_sign() {
        assert_eq!(word_offset(0x14ff_ffff & 0x17ff_ffff, 0, 26), 0x3ff_fffc);
        assert_eq!(word_offset(0x17ff_ffff, 0, 26), -4);
        assert_eq!(word_offset(0x1600_0000, 0, 26), -(1 << 27));
        assert_eq!(word_offset(0x15ff_ffff, 0, 26), (1 << 27) - 4);
        assert_eq!(word_offset(0x5480_0000, 5, 19), -(1 << 20));
        assert_eq!(word_offset(0x5400_0020, 5, 19), 4);
    }
}
