//! Copies of memory that others may write at the same time. Rust's own copies may not race with other writers; these are made in
//! assembly, whose accesses are those of the instructions.

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
