//! The time since the counter was 0, and what is made of it.

/// Nanoseconds since the counter was 0. Any context.
pub fn nanoseconds() -> u64 {
    // The frequency has 32 bits, so the product of the remainder does not overflow.
    let (count, frequency) = (crate::drivers::timer::now(), crate::drivers::timer::frequency().max(1));
    count / frequency * 1_000_000_000 + count % frequency * 1_000_000_000 / frequency
}

/// Bytes that nobody outside can foresee only as far as the counter cannot be: the machine has no better source. Any context.
pub fn random() -> [u8; 16] {
    // The finalizer of SplitMix64 on the counter, twice.
    let mix = |mut word: u64| {
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    };
    let count = crate::drivers::timer::now();
    let words =
        [mix(count.wrapping_add(0x9e37_79b9_7f4a_7c15)), mix(count.wrapping_add(0x3c6e_f372_fe94_f82a))];
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&words[0].to_le_bytes());
    bytes[8..].copy_from_slice(&words[1].to_le_bytes());
    bytes
}
