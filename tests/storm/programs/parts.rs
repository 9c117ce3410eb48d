//! What the programs of the storm at EL0 have in common: instructions, as macros for `global_asm!`.
//!
//! X21 is the program's data, X19 the page that it shares with the kernel. The operands are those that the programs name: `data`, `room`,
//! `shared`, `ready`, `cpus`.

/// The beginning: makes room for the stack behind the data, and maps the shared pages.
macro_rules! begins {
    () => {
        concat!(
            "movz x21, #{data}, lsl #16\n",
            "add x1, x21, #{room}\n",
            "mov sp, x1\n",
            "mov x0, x21\n",
            // Every page is there before the first round, so that the number of pages stays as it is.
            "1: ldr x2, [x0]\n",
            "str x2, [x0]\n",
            "add x0, x0, #0x1000\n",
            "cmp x0, x1\n",
            "b.ne 1b\n",
            // mmap(SHARED, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS, -1, 0)
            "movz x0, #{shared}, lsl #16\n",
            "mov x1, #0x2000\n",
            "mov x2, #3\n",
            "mov x3, #0x31\n",
            "mov x4, #-1\n",
            "mov x5, #0\n",
            "mov x8, #222\n",
            "svc #0\n",
            "movz x19, #{shared}, lsl #16\n",
            "str xzr, [x19]",
        )
    };
}

/// Label 2: waits for a round. futex(RUN, FUTEX_WAIT, 0, NULL)
macro_rules! waits_for_round {
    () => {
        concat!(
            "2: mov w0, #1\n",
            "str w0, [x19, #{ready}]\n",
            "mov x0, x19\n",
            "mov x1, #0\n",
            "mov x2, #0\n",
            "mov x3, #0\n",
            "mov x8, #98\n",
            "svc #0\n",
            "ldr w0, [x19]\n",
            "cbz w0, 2b\n",
            "str wzr, [x19, #{ready}]",
        )
    };
}

/// Moves to a CPU by the number in X0, of so many CPUs as X1 says; label 29 if it cannot. sched_setaffinity(0, 8, one CPU)
macro_rules! moves {
    () => {
        concat!(
            "udiv x2, x0, x1\n",
            "msub x0, x2, x1, x0\n",
            "mov x1, #1\n",
            "lsl x1, x1, x0\n",
            "str x1, [sp, #-16]!\n",
            "mov x0, #0\n",
            "mov x1, #8\n",
            "mov x2, sp\n",
            "mov x8, #122\n",
            "svc #0\n",
            "add sp, sp, #16\n",
            "cbnz x0, 29f",
        )
    };
}

/// Waits for the child in X0. wait4(child, &status, 0, NULL): W1 is the status; label 29 if there is none.
macro_rules! reaps {
    () => {
        concat!(
            "sub sp, sp, #16\n",
            "mov x1, sp\n",
            "mov x2, #0\n",
            "mov x3, #0\n",
            "mov x8, #260\n",
            "svc #0\n",
            "ldr w1, [sp]\n",
            "add sp, sp, #16\n",
            "tbnz x0, #63, 29f",
        )
    };
}

pub(super) use {begins, moves, reaps, waits_for_round};
