//! The program's text (`text.S`), its labels, and its file.

use alloc::vec::Vec;
use core::arch::global_asm;
use harness::elf;

global_asm!(include_str!("text.S"), options(raw));

/// Where the program's text and data are.
const TEXT: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;
/// Where the program starts.
pub const BASE: u64 = TEXT + 0x1000;

/// Functions that return the address of a label in the program.
macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident: $symbol:ident;)*) => {
        unsafe extern "C" {
            static el0_program: u8;
            static el0_program_end: u8;
            $(static $symbol: u8;)*
        }
        $($(#[$doc])* pub fn $name() -> u64 {
            place((&raw const $symbol).addr())
        })*
    };
}

labels! {
    /// Behind the SVC at which the program waits to be let go.
    go: el0_go;
    /// A BRK.
    brk: el0_brk;
    /// A NOP, then a store.
    spot: el0_spot;
    /// A hundred system calls that write to the program's memory.
    names: el0_names;
    /// The SVC of these calls.
    call: el0_call;
    /// The handler of SIGTRAP.
    trap: el0_trap;
    /// See [`trap`].
    trap_end: el0_trap_end;
    /// Calls that return at once, give way and sleep, and an MRS that the kernel executes.
    calls: el0_calls;
    /// See [`calls`].
    calls_end: el0_calls_end;
    /// A call that a signal can cut short.
    waits: el0_waits;
    /// See [`waits`].
    waits_call: el0_waits_call;
    /// See [`waits`].
    waits_end: el0_waits_end;
    /// The handler of SIGUSR1.
    user: el0_user;
    /// See [`user`].
    user_end: el0_user_end;
    /// What handlers return to: rt_sigreturn.
    restorer: el0_restorer;
    /// See [`restorer`].
    restorer_end: el0_restorer_end;
    /// Faults that are handled, the last one by a signal's handler.
    faults: el0_faults;
    /// The instruction of the last fault.
    faults_load: el0_faults_load;
    /// See [`faults`].
    faults_end: el0_faults_end;
    /// The handler of SIGSEGV.
    segv: el0_segv;
    /// See [`segv`].
    segv_end: el0_segv_end;
    /// A process and a thread.
    family: el0_family;
    /// See [`family`].
    family_end: el0_family_end;
    /// An execve that fails, and one that does not.
    exec: el0_exec;
    /// See [`exec`].
    exec_end: el0_exec_end;
    /// An exclusive sequence, and a load-exclusive without one.
    exclusive: el0_exclusive;
    /// The load-exclusive of the sequence.
    exclusive_load: el0_exclusive_load;
    /// Behind the sequence.
    exclusive_past: el0_exclusive_past;
    /// See [`exclusive`].
    exclusive_end: el0_exclusive_end;
    /// An exclusive sequence that the kernel cannot execute for the program.
    free: el0_free;
    /// The load-exclusive of that sequence.
    free_load: el0_free_load;
    /// See [`free`].
    free_end: el0_free_end;
    /// Another CPU by sched_setaffinity, and by a wake-up.
    moves: el0_moves;
    /// The SVC of sched_setaffinity.
    moves_call: el0_moves_call;
    /// The SVC of the sleep.
    moves_wait: el0_moves_wait;
    /// See [`moves`].
    moves_end: el0_moves_end;
    /// A loop at EL0 until [`GO`](super::program::word::GO) is cleared.
    runs: el0_runs;
    /// Looks again and again whether its memory is its own.
    own: el0_own;
    /// Many threads.
    crowd: el0_crowd;
    /// Loads and stores of all sizes at all offsets.
    accesses: el0_accesses;
    /// The first of the accesses. Each has two instructions.
    access: el0_access;
    /// A store, then a wait.
    told: el0_told;
    /// The store.
    told_store: el0_told_store;
    /// Where each of the threads ends its work.
    member_done: el0_member_done;
}

/// The address in the program of a label in the tests.
fn place(label: usize) -> u64 {
    BASE + (label - (&raw const el0_program).addr()) as u64
}

/// The address of a word of the data.
pub const fn data(offset: u64) -> u64 {
    DATA + offset
}

/// The program's file: an ELF file with one segment of text and one of data.
pub fn file() -> Vec<u8> {
    let length = (&raw const el0_program_end).addr() - (&raw const el0_program).addr();
    // SAFETY: the text between the two labels is in read-only data.
    let text = unsafe { core::slice::from_raw_parts(&raw const el0_program, length) };
    elf::file((BASE, text), BASE, (DATA, 0x2000))
}
