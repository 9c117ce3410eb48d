//! What a stepping debugger must know of the next instruction: whether it is a call, waits, or masks debug exceptions.

/// Whether the instruction is a call: a branch that leaves the address behind it in x30 (DDI 0487 C4.1, "Branches, Exception
/// Generating and System instructions"): BL, BLR and its forms with pointer authentication.
pub const fn is_call(word: u32) -> bool {
    const BL: u32 = 0b100101;
    let blr = word & 0xffff_fc1f == 0xd63f_0000;
    // Key A or B in bit 10.
    let blraaz = word & 0xffff_f81f == 0xd63f_081f;
    let blraa = word & 0xffff_f800 == 0xd73f_0800;
    word >> 26 == BL || blr || blraaz || blraa
}

/// Whether the instruction waits (WFE), or tells that its loop waits (YIELD) (DDI 0487 C6.2).
#[inline]
pub const fn is_wait(word: u32) -> bool {
    matches!(word, 0xd503_203f | 0xd503_205f)
}

/// Whether the instruction masks debug exceptions: MSR DAIFSet with D, or MSR DAIF from a register whose value, given by `x`, has D
/// (DDI 0487 C5.2.2, C6.2.229).
#[inline]
pub fn masks_debug(word: u32, x: impl FnOnce(u8) -> u64) -> bool {
    const D_OF_DAIFSET: u32 = 1 << 11;
    const D: u64 = 1 << 9;
    if word & 0xffff_f0ff == 0xd503_40df {
        return word & D_OF_DAIFSET != 0;
    }
    let register = (word & 0x1f) as u8;
    word & 0xffff_ffe0 == 0xd51b_4220 && register != 31 && x(register) & D != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls() {
        let calls = [
            0x9400_0001, // bl . + 4
            0x97ff_ffff, // bl . - 4
            0xd63f_0000, // blr x0
            0xd63f_03c0, // blr x30
            0xd63f_081f, // blraaz x0
            0xd63f_0fdf, // blrabz x30
            0xd73f_0801, // blraa x0, x1
            0xd73f_0fff, // blrab xzr, sp
        ];
        for word in calls {
            assert!(is_call(word), "{word:#010x}");
        }
        let others = [
            0x1400_0001, // b . + 4
            0xd61f_0000, // br x0
            0xd71f_0801, // braa x0, x1
            0xd65f_03c0, // ret
            0xd65f_0bff, // retaa
            0xd69f_03e0, // eret
            0xd63f_0001, // unallocated
            0xd63f_0801, // unallocated
            0xd63f_0400, // unallocated
            0xd503_201f, // nop
            0,
        ];
        for word in others {
            assert!(!is_call(word), "{word:#010x}");
        }
    }

    #[test]
    fn waits() {
        assert!(is_wait(0xd503_203f), "yield");
        assert!(is_wait(0xd503_205f), "wfe");
        assert!(!is_wait(0xd503_201f), "nop");
        assert!(!is_wait(0xd503_207f), "wfi");
        assert!(!is_wait(0xd503_209f), "sev");
    }

    #[test]
    fn what_masks_debug_exceptions() {
        let none = |_| -> u64 { panic!("no register in it") };
        assert!(masks_debug(0xd503_48df, none), "msr daifset, #8");
        assert!(masks_debug(0xd503_4fdf, none), "msr daifset, #0xf");
        assert!(!masks_debug(0xd503_42df, none), "msr daifset, #2");
        assert!(!masks_debug(0xd503_4fff, none), "msr daifclr, #0xf");
        assert!(!masks_debug(0xd503_201f, none), "nop");
        assert!(masks_debug(0xd51b_4223, |n| if n == 3 { 0x3c0 } else { 0 }), "msr daif, x3");
        assert!(!masks_debug(0xd51b_4223, |n| if n == 3 { 0x1c0 } else { u64::MAX }), "msr daif, x3");
        assert!(!masks_debug(0xd51b_423f, |_| u64::MAX), "msr daif, xzr");
        assert!(!masks_debug(0xd53b_4223, |_| u64::MAX), "mrs x3, daif");
    }
}
