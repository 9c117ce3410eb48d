//! Tests that must end the kernel.

use crate::kbug;
use crate::ktest::Death;

/// All of them.
pub const ALL: &[Death] = &[
    Death {
        name: "bug",
        run: bug,
        expect: &["panic: BUG at", "the reason given", "rule M7 in force"],
        args: "",
    },
    Death {
        name: "unknown_brk",
        run: unknown_brk,
        expect: &["panic: BRK #0x123 is nobody's", "rule M7"],
        args: "",
    },
    Death { name: "stack_overflow", run: stack_overflow, expect: &["panic: stack overflow"], args: "" },
];

fn bug() {
    kbug!("the reason given")
}

fn unknown_brk() {
    // SAFETY: the kernel ends here.
    unsafe { core::arch::asm!("brk #0x123") }
}

fn stack_overflow() {
    #[inline(never)]
    fn deeper(n: u64) -> u64 {
        let mut room = [n; 64];
        core::hint::black_box(&mut room);
        if n == u64::MAX { 0 } else { deeper(n + 1) + room[0] }
    }
    core::hint::black_box(deeper(0));
}
