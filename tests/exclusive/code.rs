//! Machine code for the tests: exclusive sequences of every shape.

specimen! {
    /// Adds `by` to the value at `to`, and returns the value before. The load-exclusive is at offset 4, the sequence ends at 20.
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
/// The offsets in [`add`] of the load-exclusive, and of the first instruction behind the sequence.
pub const ADD_LOAD: u64 = 4;
pub const ADD_PAST: u64 = 20;

specimen! {
    /// Exchanges the value at `to` if it is `old`. Returns the NZCV of the comparison, plus 1 if the value was exchanged. The
    /// load-exclusive is at offset 0.
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
/// The offsets in [`compare_exchange`] at which the sequence ends: after a store, and after a comparison that failed.
pub const CAS_STORED: u64 = 20;
pub const CAS_CLREX: u64 = 32;

specimen! {
    /// Adds 1 to the value at `to` unless that is `limit`, and returns the value before. The way out at the limit has no CLREX, and
    /// the branch back is not the instruction after the store-exclusive. The load-exclusive is at offset 0.
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
/// The offsets in [`add_below`] at which the sequence ends: after a store, and at the limit.
pub const BELOW_STORED: u64 = 20;
pub const BELOW_LIMIT: u64 = 32;

specimen! {
    /// Adds `by` to both values at `to`.
    pub fn add_pair(to: *mut [u64; 2], by: u64) {
        "2: ldaxp x9, x10, [x0]",
        "add x9, x9, x1",
        "add x10, x10, x1",
        "stlxp w11, x9, x10, [x0]",
        "cbnz w11, 2b",
        "ret",
    }

    /// Takes a lock: waits inside of the sequence until the lock is 0, then sets it to 1. The load-exclusive is at offset 4, the
    /// sequence ends at 20.
    pub fn wait_and_take(lock: *mut u32) {
        "mov w9, #1",
        "2: ldaxr w10, [x0]",
        "cbnz w10, 2b",
        "stxr w10, w9, [x0]",
        "cbnz w10, 2b",
        "ret",
    }
}
/// The offset in [`wait_and_take`] of the load-exclusive.
pub const WAIT_LOAD: u64 = 4;

specimen! {
    /// Adds 3, which it computes from a system register. `probe::sequence` cannot execute the MRS in software.
    pub fn add_with_system_read(to: *mut u64) {
        "2: ldxr x9, [x0]",
        "mrs x10, currentel", // 1 << 2
        "sub x10, x10, #1",
        "add x9, x9, x10",
        "stxr w11, x9, [x0]",
        "cbnz w11, 2b",
        "ret",
    }

    /// Adds the word at `by`, which it loads between the exclusives. Returns how many of 100 attempts are left; it gives up when
    /// all have failed.
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

    /// Adds 1, and stores the value before to `seen` between the exclusives. Returns how many of 100 attempts are left; it gives up
    /// when all have failed.
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

    /// Adds `by`, with 200 instructions between the exclusives.
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

    /// Adds `by`, with an indirect branch between the exclusives.
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

    /// Adds `by`. Both ways from a conditional branch lead to the store-exclusive, one of them by an indirect branch.
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

    /// Returns the value of `word`, loaded by a load-exclusive that no store-exclusive follows.
    pub fn load_only(word: *const u64) -> u64 {
        "ldxr x0, [x0]", "add x0, x0, #1", "sub x0, x0, #1", "ret"
    }

    /// Adds 1. Returns 0, or 1 if the load-exclusive faults, or 2 if the store-exclusive faults.
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
/// The offsets in [`may_fault`] of the fix-ups of both faults.
pub const FIXUP_LOAD: u64 = 24;
pub const FIXUP_STORE: u64 = 32;

specimen! {
    /// Adds 1. Returns how many of 100 attempts are left; it gives up when all have failed. The load-exclusive is at offset 4, and
    /// at 8 is an instruction between the exclusives.
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
