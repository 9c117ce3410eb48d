//! Machine code for the sweep: short functions with known instructions. They have a page of their own, because QEMU executes one
//! instruction at a time on a page with a breakpoint.

use kernel::debug::bug::Site;

static SITE: Site = Site { file: file!(), line: line!(), text: "a WARN that is swept", fatal: false };

core::arch::global_asm!(
    ".pushsection .text.sweep_code, \"ax\"",
    ".balign 4096",
    ".global sweep_line, sweep_line_at, sweep_store, sweep_store_at, sweep_loop, sweep_loop_at, sweep_loop_end, sweep_branch, sweep_retry",
    ".global sweep_retry_at, sweep_warn, sweep_outer, sweep_inner, sweep_innermost, sweep_handler, sweep_handler_at",
    ".global sweep_sled, sweep_daif, sweep_masked, sweep_hvc, sweep_hvc_at, sweep_calls, sweep_calls_at",
    // fn() -> 3
    "sweep_line:",
    "mov x0, #1",
    "sweep_line_at:",
    "add x0, x0, #1",
    "add x0, x0, #1",
    "ret",
    // fn(address) -> 5
    "sweep_store:",
    "mov x1, #5",
    "sweep_store_at:",
    "str x1, [x0]",
    "ldr x0, [x0]",
    "ret",
    // fn() -> 3; x10 counts how often `sweep_loop_at` has been executed
    "sweep_loop:",
    "mov x10, #0",
    "mov x0, #3",
    "sweep_loop_at:",
    "add x10, x10, #1",
    "subs x0, x0, #1",
    "b.ne sweep_loop_at",
    "mov x0, x10",
    "ret",
    "sweep_loop_end:",
    // fn() -> 7
    "sweep_branch:",
    "b 1f",
    "brk #0x7f1",
    "1: mov x0, #7",
    "ret",
    // fn(bad, good) -> the byte at good
    "sweep_retry:",
    "sweep_retry_at:",
    "ldrb w2, [x0]",
    "mov x0, x2",
    "ret",
    "1: mov x0, x1",
    "b sweep_retry_at",
    ".pushsection .ex_table, \"a\"",
    ".quad sweep_retry_at, 1b",
    ".popsection",
    // fn(): a WARN
    "sweep_warn:",
    "brk #{bug}",
    "ret",
    ".pushsection .bug_table, \"a\"",
    ".quad sweep_warn, {site}",
    ".popsection",
    // fn(n) -> n + 2
    "sweep_outer:",
    "add x0, x0, #1",
    "add x0, x0, #1",
    "ret",
    "sweep_inner:",
    "add x0, x0, #1",
    "add x0, x0, #1",
    "ret",
    "sweep_innermost:",
    "add x0, x0, #1",
    "add x0, x0, #1",
    "ret",
    "sweep_handler:",
    "add x0, x0, #1",
    "sweep_handler_at:",
    "add x0, x0, #1",
    "ret",
    // fn(n) -> n + 100
    "sweep_sled:",
    ".rept 100",
    "add x0, x0, #1",
    ".endr",
    "ret",
    // fn() -> DAIF as it is while I and F are masked
    "sweep_daif:",
    "mrs x9, daif",
    "msr daifset, #3",
    "mrs x0, daif",
    "msr daif, x9",
    "nop",
    "ret",
    // fn(n) -> n + 7, in part with everything masked
    "sweep_masked:",
    "mrs x9, daif",
    "add x0, x0, #1",
    "msr daifset, #0xf",
    "add x0, x0, #1",
    "add x0, x0, #1",
    "msr daif, x9",
    "add x0, x0, #1",
    "mov x10, #0x3c0",
    "msr daif, x10",
    "add x0, x0, #1",
    "add x0, x0, #1",
    "msr daif, x9",
    "add x0, x0, #1",
    "ret",
    // fn() -> PSCI_VERSION, or the number of that function where the kernel's own stub is at EL2
    "sweep_hvc:",
    "movz w0, #0x8400, lsl #16",
    "sweep_hvc_at:",
    "hvc #0",
    "ret",
    // fn(n) -> n + (n - 1) + ... + 1
    "sweep_calls:",
    "stp x29, x30, [sp, #-32]!",
    "str x0, [sp, #16]",
    "cbz x0, 1f",
    "sub x0, x0, #1",
    "sweep_calls_at:",
    "bl sweep_calls",
    "ldr x1, [sp, #16]",
    "add x0, x0, x1",
    "1: ldp x29, x30, [sp], #32",
    "ret",
    ".balign 4096",
    ".popsection",
    bug = const kernel::exception::brk::BUG,
    site = sym SITE,
);

unsafe extern "C" {
    /// Returns 3, by MOV and two ADDs.
    #[link_name = "sweep_line"]
    pub safe fn line() -> u64;
    /// Stores the doubleword 5 to `address`, loads it again, and returns it.
    #[link_name = "sweep_store"]
    pub safe fn store(address: u64) -> u64;
    /// Returns `n` + 7, in part with everything masked.
    #[link_name = "sweep_masked"]
    pub safe fn masked(n: u64) -> u64;
    /// Executes an HVC, which the firmware or the kernel's stub at EL2 handles.
    #[link_name = "sweep_hvc"]
    pub safe fn hvc() -> u64;
    /// Returns the sum of the numbers up to `n`, by calling itself.
    #[link_name = "sweep_calls"]
    pub safe fn calls(n: u64) -> u64;
    /// Executes the instruction at [`loop_at`] three times, and returns 3.
    #[link_name = "sweep_loop"]
    pub safe fn counted() -> u64;
    /// Returns 7. Branches over a BRK that would end the kernel.
    #[link_name = "sweep_branch"]
    pub safe fn branch() -> u64;
    /// Reads the byte at `address`. If that faults, the same instruction reads the byte at `good`.
    #[link_name = "sweep_retry"]
    pub safe fn retry(address: u64, good: u64) -> u64;
    /// Raises a WARN (M11).
    #[link_name = "sweep_warn"]
    pub safe fn warn();
    /// Adds 2. In scenarios with nested probes this is the outermost function.
    #[link_name = "sweep_outer"]
    pub safe fn outer(n: u64) -> u64;
    /// Adds 2. The handler of a probe on [`outer`] calls this.
    #[link_name = "sweep_inner"]
    pub safe fn inner(n: u64) -> u64;
    /// Adds 2. The handler of a probe on [`inner`] calls this.
    #[link_name = "sweep_innermost"]
    pub safe fn innermost(n: u64) -> u64;
    /// Adds 2. Handlers of interrupts call this, so that they hit slots and probes which `body` does not hit.
    #[link_name = "sweep_handler"]
    pub safe fn handler(n: u64) -> u64;
    /// Adds 100, by a hundred ADDs.
    #[link_name = "sweep_sled"]
    pub safe fn sled(n: u64) -> u64;
    /// Masks I and F and opens them again. Returns DAIF as it was in between.
    #[link_name = "sweep_daif"]
    pub safe fn daif() -> u64;
    static sweep_line_at: u8;
    static sweep_store_at: u8;
    static sweep_loop_at: u8;
    static sweep_loop_end: u8;
    static sweep_handler_at: u8;
    static sweep_hvc_at: u8;
    static sweep_calls_at: u8;
}

/// The address of the second instruction of [`line`].
pub fn line_at() -> u64 {
    (&raw const sweep_line_at).addr() as u64
}

/// The address of the STR of [`store`].
pub fn store_at() -> u64 {
    (&raw const sweep_store_at).addr() as u64
}

/// The address of the instruction of [`counted`] whose executions x10 counts.
pub fn loop_at() -> u64 {
    (&raw const sweep_loop_at).addr() as u64
}

/// The instructions of [`counted`] in which x10 is the number of times that the instruction at [`loop_at`] has been executed.
pub fn loop_range() -> core::ops::Range<u64> {
    loop_at()..(&raw const sweep_loop_end).addr() as u64
}

/// The address of the second instruction of [`handler`].
pub fn handler_at() -> u64 {
    (&raw const sweep_handler_at).addr() as u64
}

/// The address of the HVC of [`hvc`].
pub fn hvc_at() -> u64 {
    (&raw const sweep_hvc_at).addr() as u64
}

/// The address of the BL with which [`calls`] calls itself.
pub fn calls_at() -> u64 {
    (&raw const sweep_calls_at).addr() as u64
}
