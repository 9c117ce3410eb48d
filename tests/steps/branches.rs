//! Steps over every kind of branch; and flags and registers, which a step must not change.

use super::trace::trace;
use crate::address_of;
use alloc::vec;
use alloc::vec::Vec;
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::stats;

specimen! {
    /// Executes B, BL, BR, BLR, RET and RET Xn.
    fn jumps() {
        "mov x9, x30",    // 0
        "b 1f",           // 1
        "nop",            // 2
        "1: bl 3f",       // 3
        "adr x10, 2f",    // 4
        "br x10",         // 5
        "nop",            // 6
        "2: adr x10, 3f", // 7
        "blr x10",        // 8
        "mov x10, x9",    // 9
        "ret x10",        // 10
        "nop",            // 11
        "3: ret",         // 12
    }
}

pub fn unconditional_branches_land_on_their_targets() -> Outcome {
    let trace = trace(address_of!(jumps), || jumps())?;
    check_eq!(trace.words(), [0, 1, 3, 12, 4, 5, 7, 8, 12, 9, 10]);
    check!(trace.complete);
    Ok(())
}

specimen! {
    /// Branches over one NOP with each condition, in the order of the condition codes. Returns the flags.
    fn conditions(nzcv: u64) -> u64 {
        "msr nzcv, x0",
        ".irp condition, eq, ne, cs, cc, mi, pl, vs, vc, hi, ls, ge, lt, gt, le, al",
        "b.\\condition . + 8",
        "nop",
        ".endr",
        "mrs x0, nzcv",
        "ret",
    }
}

/// ConditionHolds of the Arm ARM's shared pseudocode, by the meaning that its comments give for each condition.
fn holds(condition: usize, nzcv: u64) -> bool {
    let [v, c, z, n] = [28, 29, 30, 31].map(|bit| nzcv >> bit & 1 == 1);
    [z, !z, c, !c, n, !n, v, !v, c && !z, !c || z, n == v, n != v, !z && n == v, z || n != v, true][condition]
}

pub fn conditional_branches_land_where_the_flags_say_and_keep_the_flags() -> Outcome {
    for nzcv in (0..16).map(|flags| flags << 28) {
        let mut expected = vec![0];
        for condition in 0..15 {
            expected.push(1 + 2 * condition as i64);
            if !holds(condition, nzcv) {
                expected.push(2 + 2 * condition as i64);
            }
        }
        expected.extend([31, 32]);
        let mut result = 0;
        let trace = trace(address_of!(conditions), || result = conditions(nzcv))?;
        check_eq!(trace.words(), expected, "NZCV {nzcv:#x}");
        check!(trace.complete);
        check_eq!(result, nzcv, "rule I4");
    }
    Ok(())
}

specimen! {
    fn comparisons(value: u64) {
        "cbz x0, . + 8",
        "nop",
        "cbnz x0, . + 8",
        "nop",
        "cbz w0, . + 8",
        "nop",
        "cbnz w0, . + 8",
        "nop",
        "tbz x0, #0, . + 8",
        "nop",
        "tbnz x0, #0, . + 8",
        "nop",
        "tbz x0, #31, . + 8",
        "nop",
        "tbnz x0, #31, . + 8",
        "nop",
        "tbz x0, #63, . + 8",
        "nop",
        "tbnz x0, #63, . + 8",
        "nop",
        "ret",
    }
}

pub fn comparing_and_testing_branches_land_where_the_register_says() -> Outcome {
    for value in [0, 1, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
        let (zero, zero_word) = (value == 0, value as u32 == 0);
        let set = |bit: u32| value >> bit & 1 == 1;
        let taken =
            [zero, !zero, zero_word, !zero_word, !set(0), set(0), !set(31), set(31), !set(63), set(63)];
        let mut expected = Vec::new();
        for (index, taken) in taken.into_iter().enumerate() {
            expected.push(2 * index as i64);
            if !taken {
                expected.push(2 * index as i64 + 1);
            }
        }
        expected.push(20);
        let trace = trace(address_of!(comparisons), || comparisons(value))?;
        check_eq!(trace.words(), expected, "{value:#x}");
        check!(trace.complete);
    }
    Ok(())
}

specimen! {
    /// Puts `seed` + 3 * n into Xn for n from 1 to 30, executes a NOP, and returns the sum of X0 to X30.
    fn registers(seed: u64) -> u64 {
        "stp x29, x30, [sp, #-96]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
        "add x\\n, x0, #(\\n * 3)",
        ".endr",
        "nop",
        ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30",
        "add x0, x0, x\\n",
        ".endr",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x23, x24, [sp, #48]",
        "ldp x25, x26, [sp, #64]",
        "ldp x27, x28, [sp, #80]",
        "ldp x29, x30, [sp], #96",
        "ret",
    }
}

pub fn every_register_survives_a_step() -> Outcome {
    const SEED: u64 = 0x0123_4567_89ab_cdef;
    let mut result = 0;
    let trace = trace(address_of!(registers), || result = registers(SEED))?;
    check_eq!(trace.words(), (0..74).collect::<Vec<i64>>());
    check!(trace.complete);
    check_eq!(result, SEED.wrapping_mul(31).wrapping_add(3 * 465));
    Ok(())
}

specimen! {
    /// Goes through a loop of two instructions `n` times.
    pub fn rounds(n: u64) {
        "1: subs x0, x0, #1", "b.ne 1b", "ret"
    }
}

pub fn a_thousand_steps_are_a_thousand() -> Outcome {
    let before = stats::STEPS.here();
    let trace = trace(address_of!(rounds), || rounds(500))?;
    check!(trace.complete);
    check_eq!(trace.steps, 1001, "500 rounds of two and a RET");
    for (index, word) in trace.words().into_iter().enumerate() {
        check_eq!(word, index as i64 % 2);
    }
    // The other steps are those from the beginning of the session to the function's entry. After the function's return there are
    // none.
    let others = stats::STEPS.here() - before - 1001;
    check!(others > 0 && others < 64, "{others} steps outside the function");
    Ok(())
}
