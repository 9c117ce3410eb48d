//! Copies between the kernel and user memory, by unprivileged loads and stores (LDTR, STTR): the hardware checks each access with the
//! permissions of EL0, whatever the address, and PAN need not be opened.
//!
//! A fault continues behind the copy, by the table of `exception::extable`. Before that the handler of faults may bring the page in,
//! if the caller may sleep; then the instruction is executed again. The functions with a length say how many bytes were *not* copied, and copy all
//! bytes before the first one that cannot be accessed; the others say only whether they have copied all.
//!
//! The watchpoints of a program do not see these accesses (rule M15).

use core::arch::{asm, naked_asm};

/// Assembles an access that may fault, and goes on at a label then.
macro_rules! access {
    ($instruction:literal, $label:literal) => {
        concat!("98: ", $instruction, "\n.pushsection .ex_table, \"a\"\n.quad 98b, ", $label, "\n.popsection")
    };
}

/// Loads a word of user memory by one instruction. Returns `u64::MAX` if it cannot be read. The address is a multiple of 4.
#[unsafe(naked)]
pub extern "C" fn load_word(from: u64) -> u64 {
    naked_asm!(access!("ldtr w0, [x0]", "2f"), "ret", "2: mov x0, #-1", "ret",)
}

/// Stores a word to user memory by one instruction. Returns whether it could be written.
#[unsafe(naked)]
pub extern "C" fn store_word(to: u64, value: u32) -> bool {
    naked_asm!(access!("sttr w1, [x0]", "2f"), "mov w0, #1", "ret", "2: mov w0, #0", "ret",)
}

/// Loads an instruction of a program. Returns all ones, which is no instruction, if it cannot be read. The address is a multiple of 4.
#[inline(always)]
pub fn load_instruction(from: u64) -> u32 {
    let word: u64;
    // SAFETY: an unprivileged load, whose fault goes on behind it.
    unsafe {
        asm!(
            "mov {word}, #-1",
            access!("ldtr {word:w}, [{from}]", "99f"),
            "99:",
            from = in(reg) from,
            word = out(reg) word,
            options(nostack, readonly, preserves_flags),
        );
    }
    word as u32
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
        access!("ldtr x3, [x1, #0]", "9f"),
        access!("ldtr x4, [x1, #8]", "9f"),
        access!("ldtr x5, [x1, #16]", "9f"),
        access!("ldtr x6, [x1, #24]", "9f"),
        access!("ldtr x7, [x1, #32]", "9f"),
        access!("ldtr x8, [x1, #40]", "9f"),
        access!("ldtr x9, [x1, #48]", "9f"),
        access!("ldtr x10, [x1, #56]", "9f"),
        "stp x3, x4, [x0], #16",
        "stp x5, x6, [x0], #16",
        "stp x7, x8, [x0], #16",
        "stp x9, x10, [x0], #16",
        "add x1, x1, #64",
        "b 7b",
        // A fault in the middle of a block: the bytes before the fault are copied one by one.
        "9: add x2, x2, #64",
        "b 3f",
        // What is left is less than 64 bytes: one block for each bit of the number.
        "8: add x2, x2, #64",
        "tbz x2, #5, 1f",
        access!("ldtr x3, [x1, #0]", "3f"),
        access!("ldtr x4, [x1, #8]", "3f"),
        access!("ldtr x5, [x1, #16]", "3f"),
        access!("ldtr x6, [x1, #24]", "3f"),
        "stp x3, x4, [x0], #16",
        "stp x5, x6, [x0], #16",
        "add x1, x1, #32",
        "sub x2, x2, #32",
        "1: tbz x2, #4, 2f",
        access!("ldtr x3, [x1, #0]", "3f"),
        access!("ldtr x4, [x1, #8]", "3f"),
        "stp x3, x4, [x0], #16",
        "add x1, x1, #16",
        "sub x2, x2, #16",
        "2: tbz x2, #3, 4f",
        access!("ldtr x3, [x1, #0]", "3f"),
        "str x3, [x0], #8",
        "add x1, x1, #8",
        "sub x2, x2, #8",
        "b 4f",
        "3:",
        access!("ldtrb w3, [x1]", "5f"),
        "strb w3, [x0], #1",
        "add x1, x1, #1",
        "sub x2, x2, #1",
        "4: cbnz x2, 3b",
        "5: mov x0, x2",
        "ret",
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
        "ldp x3, x4, [x1, #0]",
        "ldp x5, x6, [x1, #16]",
        "ldp x7, x8, [x1, #32]",
        "ldp x9, x10, [x1, #48]",
        access!("sttr x3, [x0, #0]", "9f"),
        access!("sttr x4, [x0, #8]", "9f"),
        access!("sttr x5, [x0, #16]", "9f"),
        access!("sttr x6, [x0, #24]", "9f"),
        access!("sttr x7, [x0, #32]", "9f"),
        access!("sttr x8, [x0, #40]", "9f"),
        access!("sttr x9, [x0, #48]", "9f"),
        access!("sttr x10, [x0, #56]", "9f"),
        "add x0, x0, #64",
        "add x1, x1, #64",
        "b 7b",
        "9: add x2, x2, #64",
        "b 3f",
        "8: add x2, x2, #64",
        "tbz x2, #5, 1f",
        "ldp x3, x4, [x1, #0]",
        "ldp x5, x6, [x1, #16]",
        access!("sttr x3, [x0, #0]", "3f"),
        access!("sttr x4, [x0, #8]", "3f"),
        access!("sttr x5, [x0, #16]", "3f"),
        access!("sttr x6, [x0, #24]", "3f"),
        "add x0, x0, #32",
        "add x1, x1, #32",
        "sub x2, x2, #32",
        "1: tbz x2, #4, 2f",
        "ldp x3, x4, [x1, #0]",
        access!("sttr x3, [x0, #0]", "3f"),
        access!("sttr x4, [x0, #8]", "3f"),
        "add x0, x0, #16",
        "add x1, x1, #16",
        "sub x2, x2, #16",
        "2: tbz x2, #3, 4f",
        "ldr x3, [x1]",
        access!("sttr x3, [x0, #0]", "3f"),
        "add x0, x0, #8",
        "add x1, x1, #8",
        "sub x2, x2, #8",
        "b 4f",
        "3: ldrb w3, [x1]",
        access!("sttrb w3, [x0]", "5f"),
        "add x0, x0, #1",
        "add x1, x1, #1",
        "sub x2, x2, #1",
        "4: cbnz x2, 3b",
        "5: mov x0, x2",
        "ret",
    )
}

/// Defines copies of a fixed length in bytes, which is a multiple of 16, without a loop. They return 0 if all was copied, else 1. `middle` is
/// where the pointers point meanwhile, so that all offsets fit into an LDTR (DDI 0487 C6.2, -256 to 255), and `offsets` has each pair's.
macro_rules! whole {
    ($to_user:ident, $from_user:ident, $bytes:literal, $middle:literal, $offsets:literal) => {
        #[doc = concat!("Copies ", $bytes, " bytes to user memory. Returns 0 if all of them were copied.")]
        ///
        /// # Safety
        /// `from` is valid for reads of so many bytes.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $to_user(to: u64, from: *const u8) -> usize {
            naked_asm!(
                concat!("add x0, x0, #", $middle),
                concat!("add x1, x1, #", $middle),
                concat!(".irp at, ", $offsets),
                "ldp x3, x4, [x1, #\\at]",
                access!("sttr x3, [x0, #\\at]", "9f"),
                access!("sttr x4, [x0, #\\at + 8]", "9f"),
                ".endr",
                "mov x0, #0",
                "ret",
                "9: mov x0, #1",
                "ret",
            )
        }

        #[doc = concat!("Copies ", $bytes, " bytes from user memory. Returns 0 if all of them were copied.")]
        ///
        /// # Safety
        /// `to` is valid for writes of so many bytes.
        #[unsafe(naked)]
        pub unsafe extern "C" fn $from_user(to: *mut u8, from: u64) -> usize {
            naked_asm!(
                concat!("add x0, x0, #", $middle),
                concat!("add x1, x1, #", $middle),
                concat!(".irp at, ", $offsets),
                access!("ldtr x3, [x1, #\\at]", "9f"),
                access!("ldtr x4, [x1, #\\at + 8]", "9f"),
                "stp x3, x4, [x0, #\\at]",
                ".endr",
                "mov x0, #0",
                "ret",
                "9: mov x0, #1",
                "ret",
            )
        }
    };
}

// The parts of signal frames.
whole!(to_user_16, from_user_16, "16", 0, "0");
whole!(to_user_32, from_user_32, "32", 0, "0, 16");
whole!(to_user_48, from_user_48, "48", 0, "0, 16, 32");
whole!(
    to_user_272,
    from_user_272,
    "272",
    128,
    "-128, -112, -96, -80, -64, -48, -32, -16, 0, 16, 32, 48, 64, 80, 96, 112, 128"
);
whole!(
    to_user_512,
    from_user_512,
    "512",
    256,
    "-256, -240, -224, -208, -192, -176, -160, -144, -128, -112, -96, -80, -64, -48, -32, -16, 0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240"
);

/// Writes 96 zeros to user memory. Returns 0 if all of them were written.
#[unsafe(naked)]
pub extern "C" fn zero_user_96(to: u64) -> usize {
    naked_asm!(
        ".irp at, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88",
        access!("sttr xzr, [x0, #\\at]", "9f"),
        ".endr",
        "mov x0, #0",
        "ret",
        "9: mov x0, #1",
        "ret",
    )
}

/// Writes `length` zeros to user memory. Returns how many bytes were not written.
#[unsafe(naked)]
pub extern "C" fn zero_user(to: u64, length: usize) -> usize {
    naked_asm!(
        "7: subs x1, x1, #64",
        "b.lo 8f",
        access!("sttr xzr, [x0, #0]", "9f"),
        access!("sttr xzr, [x0, #8]", "9f"),
        access!("sttr xzr, [x0, #16]", "9f"),
        access!("sttr xzr, [x0, #24]", "9f"),
        access!("sttr xzr, [x0, #32]", "9f"),
        access!("sttr xzr, [x0, #40]", "9f"),
        access!("sttr xzr, [x0, #48]", "9f"),
        access!("sttr xzr, [x0, #56]", "9f"),
        "add x0, x0, #64",
        "b 7b",
        "8: add x1, x1, #64",
        "1: cmp x1, #8",
        "b.lo 4f",
        access!("sttr xzr, [x0]", "3f"),
        "add x0, x0, #8",
        "sub x1, x1, #8",
        "b 1b",
        "9: add x1, x1, #64",
        "3:",
        access!("sttrb wzr, [x0]", "5f"),
        "add x0, x0, #1",
        "sub x1, x1, #1",
        "4: cbnz x1, 3b",
        "5: mov x0, x1",
        "ret",
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
        access!("ldtrb w4, [x1]", "4f"),
        "cbz w4, 3f",
        "strb w4, [x0, x3]",
        "add x1, x1, #1",
        "add x3, x3, #1",
        "b 1b",
        "3: mov x0, x3",
        "ret",
        "4: mov x0, #-1",
        "ret",
    )
}
