//! Copies of memory that others may write at the same time. Rust's own copies may not race with other writers; these are made in
//! assembly, whose accesses are those of the instructions.
//!
//! Also `memcpy` and `memset`, which the compiler calls. Those of the crate `compiler_builtins` copy 8 bytes at a time on this target, which has
//! no SIMD registers, and take three times as many instructions.

use core::arch::naked_asm;

/// Copies `length` bytes. The memories do not overlap. Any context.
///
/// # Safety
/// Both memories are mapped, `to` writable, and no Rust reference says that their contents stay as they are, except that the caller
/// may have the only reference to one of them.
#[unsafe(naked)]
pub unsafe extern "C" fn copy(to: *mut u8, from: *const u8, length: usize) {
    naked_asm!(
        "subs x2, x2, #32",
        "b.lo 2f",
        "1: ldp x3, x4, [x1], #16",
        "ldp x5, x6, [x1], #16",
        "stp x3, x4, [x0], #16",
        "stp x5, x6, [x0], #16",
        "subs x2, x2, #32",
        "b.hs 1b",
        "2: adds x2, x2, #32",
        "b.eq 4f",
        "3: ldrb w3, [x1], #1",
        "strb w3, [x0], #1",
        "subs x2, x2, #1",
        "b.ne 3b",
        "4: ret",
    )
}

/// Writes `length` zeros. Any context.
///
/// # Safety
/// As [`copy`].
#[unsafe(naked)]
pub unsafe extern "C" fn zero(to: *mut u8, length: usize) {
    naked_asm!(
        "subs x1, x1, #32",
        "b.lo 2f",
        "1: stp xzr, xzr, [x0], #16",
        "stp xzr, xzr, [x0], #16",
        "subs x1, x1, #32",
        "b.hs 1b",
        "2: adds x1, x1, #32",
        "b.eq 4f",
        "3: strb wzr, [x0], #1",
        "subs x1, x1, #1",
        "b.ne 3b",
        "4: ret",
    )
}

/// C's `memcpy`. Any context.
///
/// # Safety
/// As C says.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    naked_asm!(
        "mov x3, x0",
        "subs x2, x2, #64",
        "b.lo 2f",
        "1: ldp x4, x5, [x1], #16",
        "ldp x6, x7, [x1], #16",
        "ldp x8, x9, [x1], #16",
        "ldp x10, x11, [x1], #16",
        "stp x4, x5, [x3], #16",
        "stp x6, x7, [x3], #16",
        "stp x8, x9, [x3], #16",
        "stp x10, x11, [x3], #16",
        "subs x2, x2, #64",
        "b.hs 1b",
        // The low six bits are the length that is left.
        "2: tbz x2, #5, 3f",
        "ldp x4, x5, [x1], #16",
        "ldp x6, x7, [x1], #16",
        "stp x4, x5, [x3], #16",
        "stp x6, x7, [x3], #16",
        "3: tbz x2, #4, 4f",
        "ldp x4, x5, [x1], #16",
        "stp x4, x5, [x3], #16",
        "4: tbz x2, #3, 5f",
        "ldr x4, [x1], #8",
        "str x4, [x3], #8",
        "5: tbz x2, #2, 6f",
        "ldr w4, [x1], #4",
        "str w4, [x3], #4",
        "6: tbz x2, #1, 7f",
        "ldrh w4, [x1], #2",
        "strh w4, [x3], #2",
        "7: tbz x2, #0, 8f",
        "ldrb w4, [x1]",
        "strb w4, [x3]",
        "8: ret",
    )
}

/// C's `memset`. Any context.
///
/// # Safety
/// As C says.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    naked_asm!(
        "mov x3, x0",
        "and x1, x1, #0xff",
        "mov x4, #0x0101010101010101",
        "mul x1, x1, x4",
        "subs x2, x2, #64",
        "b.lo 2f",
        "1: stp x1, x1, [x3], #16",
        "stp x1, x1, [x3], #16",
        "stp x1, x1, [x3], #16",
        "stp x1, x1, [x3], #16",
        "subs x2, x2, #64",
        "b.hs 1b",
        // The low six bits are the length that is left.
        "2: tbz x2, #5, 3f",
        "stp x1, x1, [x3], #16",
        "stp x1, x1, [x3], #16",
        "3: tbz x2, #4, 4f",
        "stp x1, x1, [x3], #16",
        "4: tbz x2, #3, 5f",
        "str x1, [x3], #8",
        "5: tbz x2, #2, 6f",
        "str w1, [x3], #4",
        "6: tbz x2, #1, 7f",
        "strh w1, [x3], #2",
        "7: tbz x2, #0, 8f",
        "strb w1, [x3]",
        "8: ret",
    )
}
