//! The program that storms at EL0.
//!
//! A process has two threads in each round. Until the round ends, each does one thing after the other, chosen at random: it executes an
//! instruction with a breakpoint, stores to a watched word, traps by a BRK, sends signals to its own and to another process, goes to another
//! CPU, gives way, maps and unmaps pages, and forks a child, which does some of these and ends, or goes on as another program. What it does is
//! counted in memory that a process shares with its children.

use super::parts;
use crate::el0::{DATA, TEXT};
use core::arch::global_asm;

/// How many bytes of data the program has: two stacks, and words of its own.
pub const ROOM: u64 = 0xc000;
/// Where the counts are, and the words by which the kernel tells the program what to do.
pub const SHARED: u64 = 0x70_0000;
/// The watched word.
pub const STORED: u64 = SHARED + 0x1000;

/// Words of the shared memory, by their offsets.
pub mod word {
    /// 1 while a round lasts; the futex that the program waits at.
    pub const RUN: u64 = 0;
    /// 1 once the program has begun, or has done a round: its thread and all children have ended.
    pub const READY: u64 = 8;
    /// The round's seed, which is not 0; how many CPUs there are; another process.
    pub const SEED: u64 = 16;
    pub const CPUS: u64 = 24;
    pub const OTHER: u64 = 32;
    /// The number of the last call that has failed, its result, and X1: after wait4 the child's status.
    pub const FAILED: u64 = 40;
    /// The first of the counts.
    pub const COUNTS: u64 = 0x100;
}

/// What is counted: the numbers of the counts.
pub mod count {
    pub const SPOTS: usize = 0;
    pub const STORES: usize = 1;
    pub const BRKS: usize = 2;
    /// SIGTRAPs of a BRK, and those of a watchpoint.
    pub const TRAPS: usize = 3;
    pub const HITS: usize = 4;
    /// Realtime signals.
    pub const SENT: usize = 5;
    pub const GIVEN: usize = 6;
    pub const FORKS: usize = 7;
    pub const REAPED: usize = 8;
    pub const EXECS: usize = 9;
    pub const THREADS: usize = 10;
    pub const ENDED: usize = 11;
    pub const MOVES: usize = 12;
    pub const MAPPED: usize = 13;
    /// Calls that have failed, and signals with a wrong `si_code` or `si_addr`.
    pub const ERRORS: usize = 14;
    /// How many counts there are.
    pub const ALL: usize = 15;
}

global_asm!(
    ".pushsection .rodata.storm_program, \"a\"",
    ".balign 8",
    ".global storm_program, storm_program_end, storm_program_spot",
    "storm_program:",
    // After execve there are two arguments.
    "ldr x0, [sp]",
    "cmp x0, #2",
    "b.eq 70f",
    parts::begins!(),
    "add x1, x19, #0x1000",
    "str xzr, [x1]",
    // rt_sigaction(signal, {handler, SA_SIGINFO | SA_RESTART | SA_NODEFER, 0, all but SIGTRAP}, NULL, 8). While SIGTRAP is blocked, a tracer's
    // step takes its handler away, as on Linux.
    "adr x0, 80f",
    "mov w1, #4",
    "movk w1, #0x5000, lsl #16",
    "mov x2, #~0x10",
    "stp x0, x1, [x21]",
    "stp xzr, x2, [x21, #16]",
    ".irp signal, 5, 34",
    "mov x0, #\\signal",
    "mov x1, x21",
    "mov x2, #0",
    "mov x3, #8",
    "mov x8, #134",
    "svc #0",
    ".endr",
    "adr x0, 79f",
    "stp x0, x0, [x21, #64]",
    "str xzr, [x21, #80]",
    // A round: futex(RUN, FUTEX_WAIT, 0, NULL), then
    // clone(VM | FS | FILES | SIGHAND | THREAD | SYSVSEM | PARENT_SETTID | CHILD_CLEARTID, stack, tid, 0, tid).
    parts::waits_for_round!(),
    "add x22, x21, #128",
    "mov w0, #0x0f00",
    "movk w0, #0x0035, lsl #16",
    "add x1, x21, #0x6000",
    "mov x2, x22",
    "mov x3, #0",
    "mov x4, x22",
    "mov x8, #220",
    "svc #0",
    "cbz x0, 4f",
    "tbnz x0, #63, 5f",
    "mov x9, #{threads}",
    "bl 60f",
    "ldr x20, [x19, #{seed}]",
    "bl 10f",
    // The thread's end: futex(tid, FUTEX_WAIT, value, NULL)
    "3: ldr w2, [x22]",
    "cbz w2, 2b",
    "mov x0, x22",
    "mov x1, #0",
    "mov x3, #0",
    "mov x8, #98",
    "svc #0",
    "b 3b",
    // The thread.
    "4: ldr x20, [x19, #{seed}]",
    "mvn x20, x20",
    "bl 10f",
    "mov x9, #{ended}",
    "bl 60f",
    "mov x0, #0",
    "mov x8, #93",
    "svc #0",
    // Without a thread the round is done by one.
    "5: mov x9, #{errors}",
    "bl 60f",
    "b 2b",
    // Does one thing after the other, until the round is over.
    "10: mov x23, x30",
    "11: ldr w0, [x19]",
    "cbnz w0, 12f",
    "ret x23",
    "12: eor x20, x20, x20, lsl #13",
    "eor x20, x20, x20, lsr #7",
    "eor x20, x20, x20, lsl #17",
    "ubfx x24, x20, #32, #3",
    "add x24, x24, #1",
    "ubfx x0, x20, #8, #4",
    "cmp x0, #4",
    "b.lo 20f",
    "cmp x0, #7",
    "b.lo 21f",
    "cmp x0, #9",
    "b.lo 22f",
    "b.eq 23f",
    "cmp x0, #11",
    "b.lo 24f",
    "b.eq 25f",
    "cmp x0, #13",
    "b.lo 26f",
    "b.eq 27f",
    "b 11b",
    // Up to eight times the instruction with the breakpoint, or the store to the watched word.
    "20: bl 61f",
    "subs x24, x24, #1",
    "b.ne 20b",
    "b 11b",
    "21: bl 62f",
    "subs x24, x24, #1",
    "b.ne 21b",
    "b 11b",
    "22: bl 63f",
    "b 11b",
    // kill(own process or the other one, 34)
    "23: mov x8, #172",
    "svc #0",
    "ldr x1, [x19, #{other}]",
    "tst x20, #1",
    "csel x0, x0, x1, eq",
    "mov x1, #34",
    "mov x8, #129",
    "svc #0",
    "cbnz x0, 11b",
    "mov x9, #{sent}",
    "bl 60f",
    "b 11b",
    // sched_setaffinity(0, 8, one CPU)
    "24: ldr x1, [x19, #{cpus}]",
    "lsr x0, x20, #20",
    parts::moves!(),
    "mov x9, #{moves}",
    "bl 60f",
    "b 11b",
    // sched_yield
    "25: mov x8, #124",
    "svc #0",
    "b 11b",
    // clone(SIGCHLD)
    "26: mov x9, #{forks}",
    "bl 60f",
    "mov x0, #17",
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #0",
    "mov x4, #0",
    "mov x8, #220",
    "svc #0",
    "cbz x0, 40f",
    "tbnz x0, #63, 29f",
    // wait4(child, &status, 0, NULL): the child's status is 7, or 9 after execve.
    parts::reaps!(),
    "mov w2, #0x700",
    "tst x20, #2",
    "mov w3, #0x900",
    "csel w2, w2, w3, eq",
    "cmp w1, w2",
    "b.ne 29f",
    "mov x9, #{reaped}",
    "bl 60f",
    "b 11b",
    // mmap(NULL, 0x3000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), three stores, munmap
    "27: mov x0, #0",
    "mov x1, #0x3000",
    "mov x2, #3",
    "mov x3, #0x22",
    "mov x4, #-1",
    "mov x5, #0",
    "mov x8, #222",
    "svc #0",
    "tbnz x0, #63, 29f",
    "str x20, [x0]",
    "str x20, [x0, #0x1000]",
    "str x20, [x0, #0x2000]",
    "mov x1, #0x3000",
    "mov x8, #215",
    "svc #0",
    "cbnz x0, 29f",
    "mov x9, #{mapped}",
    "bl 60f",
    "b 11b",
    "29: stp x8, x0, [x19, #{failed}]",
    "str x1, [x19, #{failed} + 16]",
    "mov x9, #{errors}",
    "bl 60f",
    "b 11b",
    // The child: traps, and ends, or goes on as another program.
    "40: bl 61f",
    "bl 62f",
    "bl 63f",
    "bl 61f",
    "tst x20, #2",
    "mov x0, #7",
    "b.eq 41f",
    "mov x9, #{execs}",
    "bl 60f",
    "adr x0, 79f",
    "add x1, x21, #64",
    "mov x2, #0",
    "mov x8, #221",
    "svc #0",
    "mov x0, #13",
    "41: mov x8, #94",
    "svc #0",
    // Adds 1 to the count in X9.
    "60: add x9, x19, x9, lsl #3",
    "add x9, x9, #{counts}",
    "69: ldxr x10, [x9]",
    "add x10, x10, #1",
    "stxr w11, x10, [x9]",
    "cbnz w11, 69b",
    "ret",
    // The instruction with the breakpoint.
    "61: mov x26, x30",
    "mov x9, #{spots}",
    "bl 60b",
    "bl storm_program_spot",
    "ret x26",
    "storm_program_spot: nop",
    "ret",
    // The store to the watched word.
    "62: mov x26, x30",
    "mov x9, #{stores}",
    "bl 60b",
    "add x9, x19, #0x1000",
    "str x20, [x9]",
    "ret x26",
    "63: mov x26, x30",
    "mov x9, #{brks}",
    "bl 60b",
    "brk #0x125",
    "ret x26",
    // After execve: nothing is watched any more.
    "70: bl storm_program_spot",
    "bl storm_program_spot",
    "mov x0, #9",
    "mov x8, #94",
    "svc #0",
    "79: .asciz \"/stormed\"",
    ".balign 4",
    // The handler of signals. It is not interrupted by another one.
    "80: movz x9, #{shared}, lsl #16",
    "mov x12, #{given}",
    "cmp x0, #34",
    "b.eq 84f",
    "ldrsw x4, [x1, #8]",
    "ldr x5, [x1, #16]",
    "ldr x6, [x2, #440]",
    "cmp x4, #1",
    "b.ne 82f",
    "cmp x5, x6",
    "b.ne 83f",
    "add x6, x6, #4",
    "str x6, [x2, #440]",
    "mov x12, #{traps}",
    "b 84f",
    "82: cmp x4, #6",
    "b.ne 83f",
    "add x7, x9, #0x1000",
    "cmp x5, x7",
    "b.ne 83f",
    "mov x12, #{hits}",
    "b 84f",
    "83: mov x12, #{errors}",
    "84: add x9, x9, x12, lsl #3",
    "add x9, x9, #{counts}",
    "85: ldxr x10, [x9]",
    "add x10, x10, #1",
    "stxr w11, x10, [x9]",
    "cbnz w11, 85b",
    "ret",
    "storm_program_end:",
    ".popsection",
    data = const DATA >> 16,
    room = const ROOM,
    shared = const SHARED >> 16,
    ready = const word::READY,
    seed = const word::SEED,
    cpus = const word::CPUS,
    other = const word::OTHER,
    failed = const word::FAILED,
    counts = const word::COUNTS,
    spots = const count::SPOTS,
    stores = const count::STORES,
    brks = const count::BRKS,
    traps = const count::TRAPS,
    hits = const count::HITS,
    sent = const count::SENT,
    given = const count::GIVEN,
    forks = const count::FORKS,
    reaped = const count::REAPED,
    execs = const count::EXECS,
    threads = const count::THREADS,
    ended = const count::ENDED,
    moves = const count::MOVES,
    mapped = const count::MAPPED,
    errors = const count::ERRORS,
);

unsafe extern "C" {
    static storm_program: u8;
    static storm_program_end: u8;
    static storm_program_spot: u8;
}

/// The program's text.
pub fn text() -> &'static [u8] {
    let length = (&raw const storm_program_end).addr() - (&raw const storm_program).addr();
    // SAFETY: the text between the two labels is in read-only data.
    unsafe { core::slice::from_raw_parts(&raw const storm_program, length) }
}

/// The address of the instruction that gets a breakpoint.
pub fn spot() -> u64 {
    TEXT + ((&raw const storm_program_spot).addr() - (&raw const storm_program).addr()) as u64
}
