//! Machine code for the tests: exclusive sequences of every shape.

specimen! {
    /// fn(to, by) -> the value before. Load-exclusive at 4, past the sequence at 20.
    pub fn add(to: *mut u64, by: u64) -> u64 {
        "nop",
        "2: ldxr x9, [x0]",
        "add x10, x9, x1",
        "stxr w11, x10, [x0]",
        "cbnz w11, 2b",
        "mov x0, x9",
        "ret"
    }
}
/// Offsets in [`add`].
pub const ADD_LOAD: u64 = 4;
pub const ADD_PAST: u64 = 20;

specimen! {
    /// fn(to, old, new) -> 1 if exchanged, NZCV of the comparison above it. Load-exclusive at 0.
    pub fn compare_exchange(to: *mut u32, old: u64, new: u64) -> u64 {
        "2: ldaxr w9, [x0]",
        "cmp w9, w1",
        "b.ne 3f",
        "stlxr w10, w2, [x0]",
        "cbnz w10, 2b",
        "mrs x0, nzcv",
        "orr x0, x0, #1",
        "ret",
        "3: clrex",
        "mrs x0, nzcv",
        "ret",
    }
}
/// Offsets in [`compare_exchange`].
pub const CAS_STORED: u64 = 20;
pub const CAS_CLREX: u64 = 32;

specimen! {
    /// fn(to, limit) -> the value before; adds one unless that is the limit. The early exit has no CLREX, and the branch back is not
    /// right behind the store. Load-exclusive at 0.
    pub fn add_below(to: *mut u64, limit: u64) -> u64 {
        "2: ldxr x9, [x0]",
        "subs x10, x9, x1",
        "csinc x11, x9, x9, eq",
        "cbz x10, 3f",
        "stxr w10, x11, [x0]",
        "mov x12, x9",
        "cmp w10, #0",
        "b.ne 2b",
        "3: mov x0, x9",
        "ret",
    }
}
/// Offsets in [`add_below`].
pub const BELOW_STORED: u64 = 20;
pub const BELOW_LIMIT: u64 = 32;

specimen! {
    /// fn(pair, by): adds to both values.
    pub fn add_pair(to: *mut [u64; 2], by: u64) {
        "2: ldaxp x9, x10, [x0]",
        "add x9, x9, x1",
        "add x10, x10, x1",
        "stlxp w11, x9, x10, [x0]",
        "cbnz w11, 2b",
        "ret",
    }

    /// fn(lock): takes a lock by waiting in the sequence, 0 to 1. Load-exclusive at 4, past the sequence at 20.
    pub fn wait_and_take(lock: *mut u32) {
        "mov w9, #1",
        "2: ldaxr w10, [x0]",
        "cbnz w10, 2b",
        "stxr w10, w9, [x0]",
        "cbnz w10, 2b",
        "ret",
    }
}
/// Offset in [`wait_and_take`].
pub const WAIT_LOAD: u64 = 4;

specimen! {
    /// fn(to): adds 3, read from a system register, which cannot be done in software.
    pub fn add_with_system_read(to: *mut u64) {
        "2: ldxr x9, [x0]",
        "mrs x10, currentel", // 1 << 2
        "sub x10, x10, #1",
        "add x9, x9, x10",
        "stxr w11, x9, [x0]",
        "cbnz w11, 2b",
        "ret",
    }

    /// fn(to, by) -> attempts left of 100: gives up when all have failed. Adds the word at `by`, loaded between the exclusives.
    pub fn add_loaded_or_give_up(to: *mut u64, by: *const u64) -> u64 {
        "mov x12, #100",
        "2: ldxr x9, [x0]",
        "ldr x10, [x1]",
        "add x9, x9, x10",
        "stxr w11, x9, [x0]",
        "sub x12, x12, #1",
        "cbz w11, 3f",
        "cbnz x12, 2b",
        "3: mov x0, x12",
        "ret",
    }

    /// fn(to, seen) -> attempts left of 100: adds 1, and leaves the value before in `seen`, stored between the exclusives.
    pub fn add_stored_or_give_up(to: *mut u64, seen: *const u64) -> u64 {
        "mov x12, #100",
        "2: ldxr x9, [x0]",
        "str x9, [x1]",
        "add x9, x9, #1",
        "stxr w11, x9, [x0]",
        "sub x12, x12, #1",
        "cbz w11, 3f",
        "cbnz x12, 2b",
        "3: mov x0, x12",
        "ret",
    }

    /// fn(to, by): 200 instructions between the exclusives.
    pub fn add_slowly(to: *mut u64, by: u64) {
        "2: ldxr x9, [x0]",
        ".rept 200",
        "eor x10, x10, x9",
        ".endr",
        "add x9, x9, x1",
        "stxr w11, x9, [x0]",
        "cbnz w11, 2b",
        "ret",
    }

    /// fn(to, by): an indirect branch between the exclusives.
    pub fn add_by_branch(to: *mut u64, by: u64) {
        "2: ldxr x9, [x0]",
        "adr x10, 3f",
        "br x10",
        "udf #0",
        "3: add x9, x9, x1",
        "stxr w11, x9, [x0]",
        "cbnz w11, 2b",
        "ret",
    }

    /// fn(to, by): both ways from a conditional branch lead to the store, one of them by an indirect branch.
    pub fn add_by_either(to: *mut u64, by: u64) {
        "2: ldxr x9, [x0]",
        "adr x10, 3f",
        "cbz x1, 3f",
        "br x10",
        "udf #0",
        "3: add x9, x9, x1",
        "stxr w11, x9, [x0]",
        "cbnz w11, 2b",
        "ret",
    }

    /// fn(word) -> the value: a load-exclusive that no store belongs to.
    pub fn load_only(word: *const u64) -> u64 {
        "ldxr x0, [x0]", "add x0, x0, #1", "sub x0, x0, #1", "ret"
    }

    /// fn(to) -> 0, or 1 if the load, 2 if the store faults.
    pub fn may_fault(to: *const u64) -> u64 {
        "2: ldxr x9, [x0]",
        "add x9, x9, #1",
        "3: stxr w10, x9, [x0]",
        "cbnz w10, 2b",
        "mov x0, #0",
        "ret",
        "4: mov x0, #1",
        "ret",
        "5: mov x0, #2",
        "ret",
        ".pushsection .ex_table, \"a\"",
        ".quad 2b, 4b",
        ".quad 3b, 5b",
        ".popsection",
    }
}
/// Offsets in [`may_fault`].
pub const FIXUP_LOAD: u64 = 24;
pub const FIXUP_STORE: u64 = 32;

specimen! {
    /// fn(to) -> attempts left of 100: gives up when all have failed. Load-exclusive at 4, between the exclusives at 8.
    pub fn add_or_give_up(to: *mut u64) -> u64 {
        "mov x12, #100",
        "2: ldxr x9, [x0]",
        "add x9, x9, #1",
        "stxr w11, x9, [x0]",
        "cbz w11, 3f",
        "subs x12, x12, #1",
        "b.ne 2b",
        "3: mov x0, x12",
        "ret",
    }
}
