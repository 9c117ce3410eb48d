//! Numbers as people type them.

/// An unsigned number: decimal, or hexadecimal after `0x`. Underscores may group its digits.
pub fn parse(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let mut value = 0u64;
    let mut any = false;
    for c in digits.chars() {
        if c == '_' && any {
            continue;
        }
        let digit = c.to_digit(radix)?;
        value = value.checked_mul(radix.into())?.checked_add(digit.into())?;
        any = true;
    }
    any.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_are_decimal_or_hexadecimal_and_fit_64_bits() {
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("10_000"), Some(10_000));
        assert_eq!(parse("0xffff_8000_0000_0000"), Some(0xffff_8000_0000_0000));
        assert_eq!(parse("0XfF"), Some(255));
        assert_eq!(parse("18446744073709551615"), Some(u64::MAX));
        for wrong in
            ["", "0x", "_1", "18446744073709551616", "0x1_0000_0000_0000_0000", "-1", "+1", "1g", "é"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn underscores_group_digits_and_are_none() {
        for (text, value) in [("1_", 1), ("1__0", 10), ("0x1_", 1), ("0xf_f", 255), ("00", 0), ("007", 7)] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for wrong in ["_", "0x_", "0x_1", "__1", "x1", "0b1", " 1", "1 ", "a"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse("0xffffffffffffffff"), Some(u64::MAX));
        assert_eq!(parse("0x10000000000000000"), None);
    }
}
