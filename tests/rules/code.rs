//! Machine code for the tests of the rules: short functions with known instructions.

use core::ops::Range;
use kernel::debug::bug::Site;

static SITE: Site = Site { file: file!(), line: line!(), text: "a WARN of known address", fatal: false };

core::arch::global_asm!(
    ".pushsection .text.rules_code, \"ax\"",
    ".balign 4",
    ".global rules_line, rules_line_end, rules_branch, rules_branch_end, rules_flags, rules_flags_at, rules_flags_end, rules_load, rules_load_at",
    ".global rules_load_fixup, rules_load_end, rules_warn, rules_warn_behind, rules_warn_end, rules_trap, rules_trap_end, rules_registers, rules_registers_at, rules_registers_behind, rules_registers_end",
    // fn() -> 4, with three ADDs
    "rules_line:",
    "mov x0, #1",
    "add x0, x0, #1",
    "add x0, x0, #1",
    "add x0, x0, #1",
    "ret",
    "rules_line_end:",
    // fn() -> 7, with a B past a BRK
    "rules_branch:",
    "b 1f",
    "brk #0x7f1",
    "1: mov x0, #7",
    "ret",
    "rules_branch_end:",
    // fn(nzcv) -> nzcv
    "rules_flags:",
    "msr nzcv, x0",
    "rules_flags_at:",
    "orr x9, x9, x9",
    "mrs x0, nzcv",
    "ret",
    "rules_flags_end:",
    // fn(address) -> 0, or 1 if the byte at the address cannot be read
    "rules_load:",
    "mov x1, x0",
    "mov x0, #0",
    "rules_load_at:",
    "ldrb w2, [x1]",
    "ret",
    "rules_load_fixup:",
    "mov x0, #1",
    "ret",
    "rules_load_end:",
    ".pushsection .ex_table, \"a\"",
    ".quad rules_load_at, rules_load_fixup",
    ".popsection",
    // fn(): a WARN
    "rules_warn:",
    "brk #{bug}",
    "rules_warn_behind:",
    "ret",
    "rules_warn_end:",
    ".pushsection .bug_table, \"a\"",
    ".quad rules_warn, {site}",
    ".popsection",
    // fn(): ends the kernel unless a handler moves PC past its first instruction
    "rules_trap:",
    "brk #0x7f2",
    "ret",
    "rules_trap_end:",
    // fn(&mut [u64; 35]): stores x0 to x30, SP, NZCV and DAIF as the handlers of exceptions at `rules_registers_at` have left them,
    // then SP as it was before. The code behind that instruction relies on system registers only, because handlers may have changed
    // all others.
    "rules_registers:",
    "stp x29, x30, [sp, #-112]!",
    "stp x19, x20, [sp, #16]",
    "stp x21, x22, [sp, #32]",
    "stp x23, x24, [sp, #48]",
    "stp x25, x26, [sp, #64]",
    "stp x27, x28, [sp, #80]",
    "mrs x9, daif",
    "str x9, [sp, #96]",
    "mov x9, sp",
    "msr tpidrro_el0, x9",
    "msr tpidr_el0, x0",
    // Interrupts need room above and below SP if a handler moves SP.
    "sub sp, sp, #1024",
    "mov x9, sp",
    "str x9, [x0, #8 * 34]",
    "rules_registers_at:",
    "orr x9, x9, x9",
    "rules_registers_behind:",
    "str x0, [sp, #-16]!",
    "mrs x0, tpidr_el0",
    "stp x1, x2, [x0, #8 * 1]",
    "stp x3, x4, [x0, #8 * 3]",
    "stp x5, x6, [x0, #8 * 5]",
    "stp x7, x8, [x0, #8 * 7]",
    "stp x9, x10, [x0, #8 * 9]",
    "stp x11, x12, [x0, #8 * 11]",
    "stp x13, x14, [x0, #8 * 13]",
    "stp x15, x16, [x0, #8 * 15]",
    "stp x17, x18, [x0, #8 * 17]",
    "stp x19, x20, [x0, #8 * 19]",
    "stp x21, x22, [x0, #8 * 21]",
    "stp x23, x24, [x0, #8 * 23]",
    "stp x25, x26, [x0, #8 * 25]",
    "stp x27, x28, [x0, #8 * 27]",
    "stp x29, x30, [x0, #8 * 29]",
    "ldr x2, [sp], #16",
    "str x2, [x0]",
    "mov x1, sp",
    "mrs x2, nzcv",
    "stp x1, x2, [x0, #8 * 31]",
    "mrs x1, daif",
    "str x1, [x0, #8 * 33]",
    "mrs x9, tpidrro_el0",
    "mov sp, x9",
    "ldr x9, [sp, #96]",
    "msr daif, x9",
    "ldp x19, x20, [sp, #16]",
    "ldp x21, x22, [sp, #32]",
    "ldp x23, x24, [sp, #48]",
    "ldp x25, x26, [sp, #64]",
    "ldp x27, x28, [sp, #80]",
    "ldp x29, x30, [sp], #112",
    "ret",
    "rules_registers_end:",
    ".popsection",
    bug = const kernel::exception::brk::BUG,
    site = sym SITE,
);

unsafe extern "C" {
    /// Returns 4, by MOV and three ADDs.
    #[link_name = "rules_line"]
    pub safe fn line() -> u64;
    /// Returns 7, past a BRK that ends the kernel if it is executed.
    #[link_name = "rules_branch"]
    pub safe fn branch() -> u64;
    /// Writes `nzcv` to NZCV, and reads NZCV back after the instruction at [`flags_at`].
    #[link_name = "rules_flags"]
    pub safe fn flags(nzcv: u64) -> u64;
    /// Reads the byte at `address`. Returns 0, or 1 if the read has faulted.
    #[link_name = "rules_load"]
    pub safe fn load(address: u64) -> u64;
    /// Raises a WARN (M11).
    #[link_name = "rules_warn"]
    pub safe fn warn();
    /// Ends the kernel unless a handler moves PC past its first instruction.
    #[link_name = "rules_trap"]
    pub safe fn trap();
    /// Stores the registers as the handlers of exceptions at [`registers_at`] have left them.
    #[link_name = "rules_registers"]
    pub safe fn registers(left: &mut Registers);
    static rules_line_end: u8;
    static rules_branch_end: u8;
    static rules_flags_at: u8;
    static rules_load_at: u8;
    static rules_load_fixup: u8;
    static rules_load_end: u8;
    static rules_warn_behind: u8;
    static rules_warn_end: u8;
    static rules_registers_at: u8;
}

/// What [`registers`] stores: x0 to x30, SP, NZCV, DAIF, then SP as it was before.
pub type Registers = [u64; 35];

fn range(start: u64, end: *const u8) -> Range<u64> {
    start..end.addr() as u64
}

/// The instructions of `line`: MOV, ADD, ADD, ADD, RET.
pub fn line_range() -> Range<u64> {
    range(line as *const () as u64, &raw const rules_line_end)
}

/// The instructions of `branch`: B to the third, BRK, MOV, RET.
pub fn branch_range() -> Range<u64> {
    range(branch as *const () as u64, &raw const rules_branch_end)
}

/// The instructions of `load`: MOV, MOV, LDRB, RET; after a fault MOV, RET.
pub fn load_range() -> Range<u64> {
    range(load as *const () as u64, &raw const rules_load_end)
}

/// The instructions of `warn`: BRK, RET.
pub fn warn_range() -> Range<u64> {
    range(warn as *const () as u64, &raw const rules_warn_end)
}

/// The address of the instruction of `flags` between the write and the read of NZCV: an ORR that changes nothing.
pub fn flags_at() -> u64 {
    (&raw const rules_flags_at).addr() as u64
}

/// The address of the LDRB of `load`.
pub fn load_at() -> u64 {
    (&raw const rules_load_at).addr() as u64
}

/// The address at which `load` goes on after a fault at [`load_at`].
pub fn load_fixup() -> u64 {
    (&raw const rules_load_fixup).addr() as u64
}

/// The address of the instruction behind the BRK of `warn`.
pub fn warn_behind() -> u64 {
    (&raw const rules_warn_behind).addr() as u64
}

/// The address of the instruction of `registers` at which handlers run: an ORR that changes nothing.
pub fn registers_at() -> u64 {
    (&raw const rules_registers_at).addr() as u64
}

/// An address at which nothing is mapped: it is below a stack.
pub const UNMAPPED: u64 = kernel::mm::layout::STACKS as u64 + 0x10;
