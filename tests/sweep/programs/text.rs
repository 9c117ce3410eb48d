//! The program of the scenarios: its text, and the words by which the kernel and the program tell each other what to do and what was done.
//!
//! The program goes round and round. In each lap it waits until it is let go, loads every register that a program has from a pattern,
//! branches to what it is to do, and stores every register again. Its handler of signals notes what it is told, and leaves other values in
//! all registers, so that a register that is not restored shows.

use crate::el0::{DATA, TEXT};
use core::arch::global_asm;

/// How many bytes of data the program has. The last 56 KiB are its stack.
pub const ROOM: u64 = 0x1_0000;

/// Words of the data, by their offsets.
pub mod word {
    /// Set to let the program go; the futex that it waits at.
    pub const GO: u64 = 0;
    /// How many laps are done.
    pub const LAPS: u64 = 16;
    /// The counter (CNTVCT_EL0) right before and right after what the program does.
    pub const BEGIN: u64 = 24;
    pub const END: u64 = 32;
    /// What [`super::Act::Touch`] has read.
    pub const RESULT: u64 = 40;
    /// Where the actions of signals are set up.
    pub const ACTION: u64 = 0x180;
    /// CPUs, each as a mask of one bit: what sched_setaffinity is given.
    pub const FIRST_CPU: u64 = 0x280;
    pub const SECOND_CPU: u64 = 0x288;
    /// The registers that the program loads: [`super::register`] has their numbers.
    pub const PATTERN: u64 = 0x400;
    /// What the handler was told of a signal: 64 bytes for each number of a signal ([`super::noted`]).
    pub const NOTES: u64 = 0x800;
    /// What [`super::Act::Spot`] stores to. On a page of its own: QEMU slows down everything on a page with a watchpoint.
    pub const STORED: u64 = 0x1000;
    /// The registers that the program has stored after its deed, in the order of the pattern.
    pub const SAVED: u64 = super::ROOM - SAVED_ROOM;
    pub const SAVED_ROOM: u64 = 1024;
}

/// Words of a note, by their offsets.
pub mod noted {
    /// How many signals of this number the program was given.
    pub const COUNT: u64 = 0;
    /// `si_code` of the last one; `si_addr`; the interrupted PC.
    pub const CODE: u64 = 8;
    pub const ADDRESS: u64 = 16;
    pub const PC: u64 = 24;
    /// The length of a note.
    pub const LENGTH: u64 = 64;
}

/// The numbers of registers in the pattern, each a doubleword.
pub mod register {
    /// SP: X0 to X30 are before it.
    pub const SP: usize = 31;
    /// NZCV. TPIDR_EL0 is behind it.
    pub const NZCV: usize = 32;
    pub const FPCR: usize = 34;
    pub const FPSR: usize = 35;
    /// How many doublewords there are: V0 to V31 are the last 64.
    pub const COUNT: usize = 100;
}

global_asm!(
    ".arch_extension fp",
    ".arch_extension simd",
    ".pushsection .rodata.sweep_program, \"a\"",
    ".balign 8",
    ".global sweep_program, sweep_program_end, sweep_program_handler",
    "sweep_program:",
    "movz x19, #{high}, lsl #16",
    "add x20, x19, #{room}",
    "mov sp, x20",
    // Every page is there before the first lap.
    "mov x0, x19",
    "1: ldr x1, [x0]",
    "str x1, [x0]",
    "add x0, x0, #0x1000",
    "cmp x0, x20",
    "b.ne 1b",
    // rt_sigaction(signal, {handler, SA_SIGINFO | SA_RESTART}, NULL, 8)
    "adr x0, sweep_program_handler",
    "mov w1, #4",
    "movk w1, #0x1000, lsl #16",
    "stp x0, x1, [x19, #{action}]",
    ".irp signal, 4, 5, 10, 11",
    "mov x0, #\\signal",
    "add x1, x19, #{action}",
    "mov x2, #0",
    "mov x3, #8",
    "mov x8, #134",
    "svc #0",
    ".endr",
    // futex(GO, FUTEX_WAIT, 0, NULL)
    "2: add x0, x19, #{go}",
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #0",
    "mov x8, #98",
    ".global sweep_program_wait",
    "sweep_program_wait: svc #0",
    "ldr w0, [x19, #{go}]",
    "cbz w0, 2b",
    "str wzr, [x19, #{go}]",
    // All registers.
    "add x0, x19, #{pattern}",
    "add x2, x0, #288",
    ".irp n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30",
    "ldr q\\n, [x2, #16 * \\n]",
    ".endr",
    ".irp n, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31",
    "ldr q\\n, [x2, #16 * \\n]",
    ".endr",
    "ldp x1, x2, [x0, #256]",
    "msr nzcv, x1",
    "msr tpidr_el0, x2",
    "ldp x1, x2, [x0, #272]",
    "msr fpcr, x1",
    "msr fpsr, x2",
    "mrs x1, cntvct_el0",
    "str x1, [x19, #{begin}]",
    ".irp n, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28",
    "ldr x\\n, [x0, #8 * \\n]",
    ".endr",
    ".irp n, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 30",
    "ldr x\\n, [x0, #8 * \\n]",
    ".endr",
    "ldr x0, [x0]",
    "br x16",
    // What the program does. X19 is the data's address, X2 that of STORED.
    ".global sweep_program_brk, sweep_program_spot, sweep_program_undefined, sweep_program_load, sweep_program_call, sweep_program_touch",
    ".global sweep_program_store, sweep_program_away, sweep_program_away_brk",
    "sweep_program_brk: brk #0x123",
    "b 8f",
    "sweep_program_spot: nop",
    "sweep_program_store: str x1, [x2]",
    "ldr x1, [x2]",
    "b 8f",
    "sweep_program_undefined: udf #0",
    "b 8f",
    // X5 is an address where there is nothing.
    "sweep_program_load: ldr x4, [x5]",
    "b 8f",
    // getpid, of which X0 is the result.
    "sweep_program_call: svc #0",
    "nop",
    "b 8f",
    // Two pages that are touched for the first time, one by a load, one by a store.
    "sweep_program_touch: mov x0, #0x600000",
    "mov x1, #0x2000",
    "mov x2, #3",
    "mov x3, #0x32",
    "mov x4, #-1",
    "mov x5, #0",
    "mov x8, #222",
    "svc #0",
    "ldr x1, [x0]",
    "str x8, [x0, #0x1000]",
    "str x8, [x0]",
    "ldr x2, [x0]",
    "ldr x3, [x0, #0x1000]",
    "add x1, x1, x2",
    "add x1, x1, x3",
    "str x1, [x19, #{result}]",
    "mov x1, #0x2000",
    "mov x8, #215",
    "svc #0",
    "b 7f",
    // To the other CPU, where the program traps, and back.
    "sweep_program_away: mov x0, #0",
    "mov x1, #8",
    "add x2, x19, #{second_cpu}",
    "mov x8, #122",
    "svc #0",
    "sweep_program_away_brk: brk #0x124",
    "mov x0, #0",
    "mov x1, #8",
    "add x2, x19, #{first_cpu}",
    "mov x8, #122",
    "svc #0",
    // The deed has changed some registers.
    "7: add x0, x19, #{pattern}",
    "ldp x1, x2, [x0, #8]",
    "ldp x3, x4, [x0, #24]",
    "ldr x5, [x0, #40]",
    "ldr x8, [x0, #64]",
    "ldr x0, [x0]",
    // Stores all registers.
    "8: sub sp, sp, #{saved_room}",
    ".irp n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30",
    "str x\\n, [sp, #8 * \\n]",
    ".endr",
    ".irp n, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29",
    "str x\\n, [sp, #8 * \\n]",
    ".endr",
    "movz x19, #{high}, lsl #16",
    "mrs x1, cntvct_el0",
    "str x1, [x19, #{end}]",
    "mov x1, sp",
    "str x1, [sp, #248]",
    "mrs x1, nzcv",
    "mrs x2, tpidr_el0",
    "stp x1, x2, [sp, #256]",
    "mrs x1, fpcr",
    "mrs x2, fpsr",
    "stp x1, x2, [sp, #272]",
    "add x2, sp, #288",
    ".irp n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30",
    "str q\\n, [x2, #16 * \\n]",
    ".endr",
    ".irp n, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31",
    "str q\\n, [x2, #16 * \\n]",
    ".endr",
    "add sp, sp, #{saved_room}",
    "ldr x0, [x19, #{laps}]",
    "add x0, x0, #1",
    "str x0, [x19, #{laps}]",
    "b 2b",
    // The handler. After a fault, a BRK and an undefined instruction the program goes on behind the instruction.
    "sweep_program_handler: movz x9, #{high}, lsl #16",
    "add x9, x9, x0, lsl #6",
    "add x9, x9, #{notes}",
    "ldr x3, [x9]",
    "add x3, x3, #1",
    "ldrsw x4, [x1, #8]",
    "ldr x5, [x1, #16]",
    "ldr x6, [x2, #440]",
    "stp x3, x4, [x9]",
    "stp x5, x6, [x9, #16]",
    "cmp x0, #10",
    "b.eq 6f",
    "cmp x0, #5",
    "b.ne 4f",
    "cmp x4, #1",
    "b.ne 6f",
    "4: add x6, x6, #4",
    "str x6, [x2, #440]",
    "6: mov x10, #-1",
    "msr fpsr, xzr",
    "msr fpcr, xzr",
    "msr nzcv, x10",
    ".irp n, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28",
    "mov x\\n, x10",
    ".endr",
    ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
    "movi v\\n\\().16b, #0x55",
    ".endr",
    ".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
    "movi v\\n\\().16b, #0xaa",
    ".endr",
    "ret",
    "sweep_program_end:",
    ".popsection",
    ".arch_extension nosimd",
    ".arch_extension nofp",
    high = const DATA >> 16,
    room = const ROOM,
    action = const word::ACTION,
    go = const word::GO,
    pattern = const word::PATTERN,
    begin = const word::BEGIN,
    end = const word::END,
    result = const word::RESULT,
    first_cpu = const word::FIRST_CPU,
    second_cpu = const word::SECOND_CPU,
    saved_room = const word::SAVED_ROOM,
    laps = const word::LAPS,
    notes = const word::NOTES,
);

unsafe extern "C" {
    static sweep_program: u8;
    static sweep_program_end: u8;
    static sweep_program_handler: u8;
    static sweep_program_wait: u8;
    static sweep_program_brk: u8;
    static sweep_program_spot: u8;
    static sweep_program_store: u8;
    static sweep_program_undefined: u8;
    static sweep_program_load: u8;
    static sweep_program_call: u8;
    static sweep_program_touch: u8;
    static sweep_program_away: u8;
    static sweep_program_away_brk: u8;
}

/// The program's text.
pub fn text() -> &'static [u8] {
    let length = (&raw const sweep_program_end).addr() - (&raw const sweep_program).addr();
    // SAFETY: the text between the two labels is in read-only data.
    unsafe { core::slice::from_raw_parts(&raw const sweep_program, length) }
}

/// Places in the program's text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The first instruction of the handler of signals.
    Handler,
    /// The instruction behind the call in which the program waits.
    BehindWait,
    /// What [`Act::Brk`] traps at.
    Brk,
    /// The NOP of [`Act::Spot`], and its store.
    Spot,
    Store,
    /// The instruction of [`Act::Undefined`].
    Undefined,
    /// The load of [`Act::Load`].
    Load,
    /// The call of [`Act::Call`].
    Call,
    /// What [`Act::Away`] traps at on the other CPU.
    AwayBrk,
}

fn at(label: *const u8) -> u64 {
    TEXT + (label.addr() - (&raw const sweep_program).addr()) as u64
}

impl Place {
    /// The place's address in the program.
    pub fn address(self) -> u64 {
        match self {
            Self::Handler => at(&raw const sweep_program_handler),
            Self::BehindWait => at(&raw const sweep_program_wait) + 4,
            Self::Brk => at(&raw const sweep_program_brk),
            Self::Spot => at(&raw const sweep_program_spot),
            Self::Store => at(&raw const sweep_program_store),
            Self::Undefined => at(&raw const sweep_program_undefined),
            Self::Load => at(&raw const sweep_program_load),
            Self::Call => at(&raw const sweep_program_call),
            Self::AwayBrk => at(&raw const sweep_program_away_brk),
        }
    }

    /// Whether `pc` is in the program's text at this place or behind it.
    pub fn is_before(self, pc: u64) -> bool {
        (self.address()..at(&raw const sweep_program_end)).contains(&pc)
    }
}

/// What the program does in a lap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// A BRK.
    Brk,
    /// A NOP, a store, a load.
    Spot,
    /// An instruction that is undefined.
    Undefined,
    /// A load from where there is nothing.
    Load,
    /// getpid.
    Call,
    /// Maps two pages, touches them, and unmaps them again.
    Touch,
    /// A BRK on the other CPU.
    Away,
}

impl Act {
    /// Where the deed begins.
    pub fn address(self) -> u64 {
        match self {
            Self::Brk => Place::Brk.address(),
            Self::Spot => Place::Spot.address(),
            Self::Undefined => Place::Undefined.address(),
            Self::Load => Place::Load.address(),
            Self::Call => Place::Call.address(),
            Self::Touch => at(&raw const sweep_program_touch),
            Self::Away => at(&raw const sweep_program_away),
        }
    }
}
