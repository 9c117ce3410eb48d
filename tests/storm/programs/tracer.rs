//! The program that traces the others.
//!
//! In a round it goes to another CPU, attaches to a program chosen at random, steps it up to seven times, and detaches, over and over. Every
//! second time a child does that, which may end without PTRACE_DETACH: in a stop of the tracee, or right behind the request for a step. A
//! signal that the tracee stops for is given to the tracee. So the tracee must come to the same counts as without a tracer.

use super::parts;
use crate::el0::DATA;
use core::arch::global_asm;

/// Words of the shared memory, by their offsets; the others are those of [`super::text::word`].
pub mod word {
    /// How many processes there are to trace, and their numbers.
    pub const TARGETS: u64 = 0x800;
}

/// What is counted: the numbers of the counts.
pub mod count {
    pub const ATTACHED: usize = 0;
    /// The program was another tracer's.
    pub const BUSY: usize = 1;
    /// Steps that were asked for, that were told, in place of which another signal was told, and whose end no tracer has waited for.
    pub const STEPS: usize = 2;
    pub const STEPPED: usize = 3;
    pub const CUT: usize = 4;
    pub const LEFT: usize = 5;
    /// Signals that were told before the SIGSTOP of PTRACE_ATTACH.
    pub const PASSED: usize = 6;
    /// The ends of traces: by PTRACE_DETACH, and by the tracer's end.
    pub const DETACHED: usize = 7;
    pub const DIED: usize = 8;
    /// Children, and those that have ended well.
    pub const FORKS: usize = 9;
    pub const REAPED: usize = 10;
    /// What went wrong: unexpected results and stops.
    pub const ERRORS: usize = 11;
    /// How many counts there are.
    pub const ALL: usize = 12;
}

global_asm!(
    ".pushsection .rodata.storm_tracer, \"a\"",
    ".balign 8",
    ".global storm_tracer, storm_tracer_end",
    "storm_tracer:",
    parts::begins!(),
    // A round: futex(RUN, FUTEX_WAIT, 0, NULL)
    parts::waits_for_round!(),
    "ldr x20, [x19, #{seed}]",
    "3: ldr w0, [x19]",
    "cbz w0, 2b",
    "eor x20, x20, x20, lsl #13",
    "eor x20, x20, x20, lsr #7",
    "eor x20, x20, x20, lsl #17",
    // sched_setaffinity(0, 8, one CPU)
    "ldr x1, [x19, #{cpus}]",
    "lsr x0, x20, #44",
    parts::moves!(),
    // Which program.
    "add x3, x19, #{targets}",
    "ldr x1, [x3]",
    "ubfx x0, x20, #16, #8",
    "udiv x2, x0, x1",
    "msub x0, x2, x1, x0",
    "add x3, x3, x0, lsl #3",
    "ldr x23, [x3, #8]",
    "mov x25, #0",
    "tbnz x20, #1, 4f",
    "bl 10f",
    "b 3b",
    // clone(SIGCHLD), wait4(child, &status, 0, NULL): the status is 0.
    "4: mov x0, #17",
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #0",
    "mov x4, #0",
    "mov x8, #220",
    "svc #0",
    "cbz x0, 5f",
    "tbnz x0, #63, 29f",
    "mov x9, #{forks}",
    "bl 60f",
    parts::reaps!(),
    "cbnz w1, 29f",
    "mov x9, #{reaped}",
    "bl 60f",
    "b 3b",
    "5: mov x25, #1",
    "bl 10f",
    "6: mov x0, #0",
    "mov x8, #94",
    "svc #0",
    "29: stp x8, x0, [x19, #{failed}]",
    "str x1, [x19, #{failed} + 16]",
    "mov x9, #{errors}",
    "bl 60f",
    "b 3b",
    // Traces process X23. X25 says whether this is a child, which may end.
    "10: mov x24, x30",
    "mov x0, #16",
    "mov x2, #0",
    "bl 40f",
    "cbz x0, 11f",
    "mov x9, #{busy}",
    "cmn x0, #1",
    "b.ne 30f",
    "bl 60f",
    "ret x24",
    "11: mov x9, #{attached}",
    "bl 60f",
    "12: bl 50f",
    "cmp x27, #19",
    "b.eq 13f",
    "mov x9, #{passed}",
    "bl 60f",
    "mov x0, #7",
    "mov x2, x27",
    "bl 40f",
    "cbnz x0, 30f",
    "b 12b",
    // X26 is the signal with which the tracee goes on.
    "13: mov x26, #0",
    "ubfx x28, x20, #24, #3",
    "14: cbz x28, 20f",
    "sub x28, x28, #1",
    "mov x9, #{steps}",
    "bl 60f",
    "mov x0, #9",
    "mov x2, x26",
    "mov x26, #0",
    "bl 40f",
    "cbnz x0, 30f",
    "bl 50f",
    "cmp x27, #5",
    "b.ne 16f",
    // PTRACE_GETSIGINFO: TRAP_TRACE
    "sub sp, sp, #128",
    "mov w0, #0x4202",
    "mov x2, sp",
    "bl 40f",
    "ldr w1, [sp, #8]",
    "add sp, sp, #128",
    "cbnz x0, 30f",
    "cmp w1, #2",
    "b.ne 16f",
    "mov x9, #{stepped}",
    "bl 60f",
    "b 14b",
    "16: mov x26, x27",
    "mov x9, #{cut}",
    "bl 60f",
    "b 14b",
    // The end of the trace.
    "20: cbz x25, 22f",
    "cbnz x26, 22f",
    "tbnz x20, #40, 22f",
    "mov x9, #{died}",
    "bl 60f",
    "tbnz x20, #41, 6b",
    "mov x9, #{left}",
    "bl 60f",
    "mov x9, #{steps}",
    "bl 60f",
    "mov x0, #9",
    "mov x2, #0",
    "bl 40f",
    "cbz x0, 6b",
    "b 30f",
    "22: mov x0, #17",
    "mov x2, x26",
    "bl 40f",
    "cbnz x0, 30f",
    "mov x9, #{detached}",
    "bl 60f",
    "ret x24",
    "30: stp x8, x0, [x19, #{failed}]",
    "str x27, [x19, #{failed} + 16]",
    "mov x9, #{errors}",
    "bl 60f",
    "ret x24",
    // ptrace(X0, X23, 0, X2)
    "40: mov x1, x23",
    "mov x3, x2",
    "mov x2, #0",
    "mov x8, #117",
    "svc #0",
    "ret",
    // wait4(X23, &status, __WALL, NULL): X27 is the signal of the stop.
    "50: mov x0, x23",
    "sub sp, sp, #16",
    "mov x1, sp",
    "mov x2, #0x40000000",
    "mov x3, #0",
    "mov x8, #260",
    "svc #0",
    "ldr w27, [sp]",
    "add sp, sp, #16",
    "cmp x0, x23",
    "b.ne 30b",
    "and w1, w27, #0xff",
    "cmp w1, #0x7f",
    "b.ne 30b",
    "lsr x27, x27, #8",
    "ret",
    // Adds 1 to the count in X9.
    "60: add x9, x19, x9, lsl #3",
    "add x9, x9, #{counts}",
    "61: ldxr x10, [x9]",
    "add x10, x10, #1",
    "stxr w11, x10, [x9]",
    "cbnz w11, 61b",
    "ret",
    "storm_tracer_end:",
    ".popsection",
    data = const DATA >> 16,
    room = const super::text::ROOM,
    shared = const super::text::SHARED >> 16,
    ready = const super::text::word::READY,
    seed = const super::text::word::SEED,
    cpus = const super::text::word::CPUS,
    failed = const super::text::word::FAILED,
    counts = const super::text::word::COUNTS,
    targets = const word::TARGETS,
    attached = const count::ATTACHED,
    busy = const count::BUSY,
    steps = const count::STEPS,
    stepped = const count::STEPPED,
    cut = const count::CUT,
    left = const count::LEFT,
    passed = const count::PASSED,
    detached = const count::DETACHED,
    died = const count::DIED,
    forks = const count::FORKS,
    reaped = const count::REAPED,
    errors = const count::ERRORS,
);

unsafe extern "C" {
    static storm_tracer: u8;
    static storm_tracer_end: u8;
}

/// The program's text.
pub fn text() -> &'static [u8] {
    let length = (&raw const storm_tracer_end).addr() - (&raw const storm_tracer).addr();
    // SAFETY: the text between the two labels is in read-only data.
    unsafe { core::slice::from_raw_parts(&raw const storm_tracer, length) }
}
