//! Copies between the kernel and user memory, by unprivileged loads and stores (LDTR, STTR): the hardware checks each access with the
//! permissions of EL0, whatever the address, and PAN need not be opened.
//!
//! A fault continues behind the copy, by the table of `exception::extable`. Before that the handler of faults may bring the page in,
//! if the caller may sleep; then the instruction is executed again. The functions say how many bytes were *not* copied, and copy all
//! bytes before the first one that cannot be accessed.
//!
//! The watchpoints of a program do not see these accesses (rule M15).

use core::arch::naked_asm;

/// Loads a word of user memory by one instruction. Returns `u64::MAX` if it cannot be read. The address is a multiple of 4.
#[unsafe(naked)]
pub extern "C" fn load_word(from: u64) -> u64 {
    naked_asm!(
        "1: ldtr w0, [x0]",
        "ret",
        "2: mov x0, #-1",
        "ret",
        ".pushsection .ex_table, \"a\"",
        ".quad 1b, 2b",
        ".popsection",
    )
}

/// Copies `length` bytes from user memory. Returns how many bytes were not copied.
///
/// # Safety
/// `to` is valid for writes of `length` bytes.
#[unsafe(naked)]
pub unsafe extern "C" fn from_user(to: *mut u8, from: u64, length: usize) -> usize {
    naked_asm!(
        "7: subs x2, x2, #64",
        "b.lo 8f",
        "21: ldtr x3, [x1, #0]",
        "22: ldtr x4, [x1, #8]",
        "23: ldtr x5, [x1, #16]",
        "24: ldtr x6, [x1, #24]",
        "25: ldtr x7, [x1, #32]",
        "26: ldtr x8, [x1, #40]",
        "27: ldtr x9, [x1, #48]",
        "28: ldtr x10, [x1, #56]",
        "stp x3, x4, [x0], #16",
        "stp x5, x6, [x0], #16",
        "stp x7, x8, [x0], #16",
        "stp x9, x10, [x0], #16",
        "add x1, x1, #64",
        "b 7b",
        // A fault in the middle of 64 bytes: those before it are copied one by one.
        "9: add x2, x2, #64",
        "b 3f",
        "8: add x2, x2, #64",
        "1: cmp x2, #8",
        "b.lo 4f",
        "2: ldtr x3, [x1]",
        "str x3, [x0], #8",
        "add x1, x1, #8",
        "sub x2, x2, #8",
        "b 1b",
        // Also where the fault of a doubleword goes on: some of its bytes may be there.
        "3: ldtrb w3, [x1]",
        "strb w3, [x0], #1",
        "add x1, x1, #1",
        "sub x2, x2, #1",
        "4: cbnz x2, 3b",
        "5: mov x0, x2",
        "ret",
        ".pushsection .ex_table, \"a\"",
        ".quad 2b, 3b",
        ".quad 3b, 5b",
        ".quad 21b, 9b",
        ".quad 22b, 9b",
        ".quad 23b, 9b",
        ".quad 24b, 9b",
        ".quad 25b, 9b",
        ".quad 26b, 9b",
        ".quad 27b, 9b",
        ".quad 28b, 9b",
        ".popsection",
    )
}

/// Copies `length` bytes to user memory. Returns how many bytes were not copied.
///
/// # Safety
/// `from` is valid for reads of `length` bytes.
#[unsafe(naked)]
pub unsafe extern "C" fn to_user(to: u64, from: *const u8, length: usize) -> usize {
    naked_asm!(
        "7: subs x2, x2, #64",
        "b.lo 8f",
        "ldp x3, x4, [x1]",
        "ldp x5, x6, [x1, #16]",
        "ldp x7, x8, [x1, #32]",
        "ldp x9, x10, [x1, #48]",
        "21: sttr x3, [x0, #0]",
        "22: sttr x4, [x0, #8]",
        "23: sttr x5, [x0, #16]",
        "24: sttr x6, [x0, #24]",
        "25: sttr x7, [x0, #32]",
        "26: sttr x8, [x0, #40]",
        "27: sttr x9, [x0, #48]",
        "28: sttr x10, [x0, #56]",
        "add x0, x0, #64",
        "add x1, x1, #64",
        "b 7b",
        "9: add x2, x2, #64",
        "b 3f",
        "8: add x2, x2, #64",
        "1: cmp x2, #8",
        "b.lo 4f",
        "ldr x3, [x1]",
        "2: sttr x3, [x0]",
        "add x0, x0, #8",
        "add x1, x1, #8",
        "sub x2, x2, #8",
        "b 1b",
        "3: ldrb w3, [x1]",
        "6: sttrb w3, [x0]",
        "add x0, x0, #1",
        "add x1, x1, #1",
        "sub x2, x2, #1",
        "4: cbnz x2, 3b",
        "5: mov x0, x2",
        "ret",
        ".pushsection .ex_table, \"a\"",
        ".quad 2b, 3b",
        ".quad 6b, 5b",
        ".quad 21b, 9b",
        ".quad 22b, 9b",
        ".quad 23b, 9b",
        ".quad 24b, 9b",
        ".quad 25b, 9b",
        ".quad 26b, 9b",
        ".quad 27b, 9b",
        ".quad 28b, 9b",
        ".popsection",
    )
}

/// Writes `length` zeros to user memory. Returns how many bytes were not written.
#[unsafe(naked)]
pub extern "C" fn zero_user(to: u64, length: usize) -> usize {
    naked_asm!(
        "1: cmp x1, #8",
        "b.lo 4f",
        "2: sttr xzr, [x0]",
        "add x0, x0, #8",
        "sub x1, x1, #8",
        "b 1b",
        "3: sttrb wzr, [x0]",
        "add x0, x0, #1",
        "sub x1, x1, #1",
        "4: cbnz x1, 3b",
        "5: mov x0, x1",
        "ret",
        ".pushsection .ex_table, \"a\"",
        ".quad 2b, 3b",
        ".quad 3b, 5b",
        ".popsection",
    )
}

/// Copies a string without its NUL, of at most `length` bytes. Returns the bytes before the NUL; `length` if there was no NUL; all
/// ones if a byte could not be read.
///
/// # Safety
/// `to` is valid for writes of `length` bytes.
#[unsafe(naked)]
pub unsafe extern "C" fn string_from_user(to: *mut u8, from: u64, length: usize) -> u64 {
    naked_asm!(
        "mov x3, #0",
        "1: cmp x3, x2",
        "b.hs 3f",
        "2: ldtrb w4, [x1]",
        "cbz w4, 3f",
        "strb w4, [x0, x3]",
        "add x1, x1, #1",
        "add x3, x3, #1",
        "b 1b",
        "3: mov x0, x3",
        "ret",
        "4: mov x0, #-1",
        "ret",
        ".pushsection .ex_table, \"a\"",
        ".quad 2b, 4b",
        ".popsection",
    )
}
