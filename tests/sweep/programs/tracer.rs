//! The tracer of the scenarios: a program that makes one system call after the other as its script says, and looks at what comes of each.
//!
//! A script is an array of operations in the program's data. An operation is eight words: the number of a system call, its arguments, and
//! the result that is due; or one of the numbers in [`op`]. After an operation with another result the program notes which one that was,
//! detaches the tracee, and does not go on with the script.

use crate::el0::DATA;
use alloc::vec::Vec;
use core::arch::global_asm;

/// Words of the data, by their offsets. Those of [`super::text::word`] that let a program go and count its laps are the same.
pub mod word {
    /// The tracee.
    pub const TRACEE: u64 = 48;
    /// The number of the operation that has gone wrong, counted from 1, and its result.
    pub const WRONG: u64 = 0x800;
    pub const RESULT: u64 = 0x808;
    /// The script.
    pub const SCRIPT: u64 = 0x1000;
    /// The page of what calls read and write.
    pub const BUFFERS: u64 = 0x2000;
}

/// Operations that are no system calls: the end of the script; the counter is noted as the beginning and as the end of what is interrupted;
/// the word at an address is compared, as far as a mask says.
mod op {
    pub const OVER: u64 = 0x800;
    pub const BEGIN: u64 = 0x801;
    pub const END: u64 = 0x802;
    pub const COMPARE: u64 = 0x803;
}

/// Where in the page of buffers things are: the status of wait4, `siginfo_t`, registers, and a set of slots.
mod buffer {
    pub const STATUS: u64 = 0;
    pub const INFO: u64 = 0x80;
    pub const REGISTERS: u64 = 0x200;
    pub const SLOTS: u64 = 0x400;
    /// The first `struct iovec`: for registers, for breakpoints off and on, for watchpoints off and on.
    pub const VECTORS: u64 = 0x20;
    /// The distance of sets of slots.
    pub const SET: u64 = 0x40;
}

/// A kind of stop, as wait4 has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// SIGSTOP, after PTRACE_ATTACH.
    Attached = 0x137f,
    /// SIGTRAP, after a step or a hit.
    Trap = 0x057f,
    /// A system call, with PTRACE_O_TRACESYSGOOD.
    Call = 0x857f,
}

/// How a tracee goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Go {
    Cont = 7,
    Step = 9,
    Detach = 17,
    Syscall = 24,
}

/// The sets of slots that scripts write: one slot each, which is off or on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    BreakOff = 1,
    BreakOn = 2,
    WatchOff = 3,
    WatchOn = 4,
}

/// What a script traces.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The tracee.
    pub pid: u64,
    /// The instruction that gets a breakpoint, and the doubleword that gets a watchpoint for loads and stores.
    pub instruction: u64,
    pub data: u64,
}

/// A script that is being written.
pub struct Script {
    target: Target,
    operations: Vec<[u64; 8]>,
}

const fn at(offset: u64) -> u64 {
    DATA + word::BUFFERS + offset
}

const fn vector(n: u64) -> u64 {
    at(buffer::VECTORS + 16 * n)
}

impl Script {
    /// Nothing yet.
    pub const fn new(target: Target) -> Self {
        Self { target, operations: Vec::new() }
    }

    fn and(mut self, number: u64, arguments: [u64; 5], due: u64) -> Self {
        let [a, b, c, d, e] = arguments;
        self.operations.push([number, a, b, c, d, e, 0, due]);
        self
    }

    fn ptrace(self, request: u64, address: u64, data: u64) -> Self {
        const PTRACE: u64 = 117;
        let pid = self.target.pid;
        self.and(PTRACE, [request, pid, address, data, 0], 0)
    }

    fn compare(self, address: u64, mask: u64, due: u64) -> Self {
        self.and(op::COMPARE, [address, mask, 0, 0, 0], due)
    }

    /// What is interrupted begins here.
    pub fn begin(self) -> Self {
        self.and(op::BEGIN, [0; 5], 0)
    }

    /// What is interrupted ends here.
    pub fn end(self) -> Self {
        self.and(op::END, [0; 5], 0)
    }

    /// The tracer waits for a stop of this kind.
    pub fn stops(self, stop: Stop) -> Self {
        const WAIT4: u64 = 260;
        const WALL: u64 = 0x4000_0000;
        let pid = self.target.pid;
        let all = self.and(WAIT4, [pid, at(buffer::STATUS), WALL, 0, 0], pid);
        all.compare(at(buffer::STATUS), 0xffff_ffff, stop as u64)
    }

    /// PTRACE_ATTACH, and the stop.
    pub fn attach(self) -> Self {
        const ATTACH: u64 = 16;
        self.ptrace(ATTACH, 0, 0).stops(Stop::Attached)
    }

    /// The tracee goes on.
    pub fn go(self, how: Go) -> Self {
        self.ptrace(how as u64, 0, 0)
    }

    /// A step, after which the tracee's PC is this one, if one is given.
    pub fn step(self, pc: Option<u64>) -> Self {
        let all = self.go(Go::Step).stops(Stop::Trap).tells(2, None);
        match pc {
            Some(pc) => all.register(PC, pc),
            None => all,
        }
    }

    /// `si_code` at the stop, and `si_addr`.
    pub fn tells(self, code: u64, address: Option<u64>) -> Self {
        const GETSIGINFO: u64 = 0x4202;
        let info = at(buffer::INFO);
        let all = self.ptrace(GETSIGINFO, 0, info).compare(info + 8, 0xffff_ffff, code);
        match address {
            Some(address) => all.compare(info + 16, u64::MAX, address),
            None => all,
        }
    }

    /// A register of the tracee: X0 to X30, or [`PC`].
    pub fn register(self, number: u64, due: u64) -> Self {
        const GETREGSET: u64 = 0x4204;
        const NT_PRSTATUS: u64 = 1;
        let all = self.ptrace(GETREGSET, NT_PRSTATUS, vector(0));
        all.compare(at(buffer::REGISTERS) + 8 * number, u64::MAX, due)
    }

    /// A slot is set or cleared.
    pub fn slot(self, set: Set) -> Self {
        const SETREGSET: u64 = 0x4205;
        const NT_ARM_HW_BREAK: u64 = 0x402;
        const NT_ARM_HW_WATCH: u64 = 0x403;
        let kind = match set {
            Set::BreakOff | Set::BreakOn => NT_ARM_HW_BREAK,
            Set::WatchOff | Set::WatchOn => NT_ARM_HW_WATCH,
        };
        self.ptrace(SETREGSET, kind, vector(set as u64))
    }

    /// PTRACE_O_TRACESYSGOOD.
    pub fn has_good_stops(self) -> Self {
        const SETOPTIONS: u64 = 0x4200;
        const TRACESYSGOOD: u64 = 1;
        self.ptrace(SETOPTIONS, 0, TRACESYSGOOD)
    }

    /// The tracee, which waits, is let go, and comes to the instruction of its deed.
    pub fn comes_to_the_deed(self) -> Self {
        const POKEDATA: u64 = 5;
        let instruction = self.target.instruction;
        let all = self.attach().slot(Set::BreakOn).ptrace(POKEDATA, DATA + super::text::word::GO, 1);
        let all = all.go(Go::Cont).stops(Stop::Trap).tells(HWBKPT, Some(instruction));
        all.register(PC, instruction).slot(Set::BreakOff)
    }

    /// The script, and the page of buffers, as the program has them in its data.
    pub fn bytes(self) -> (Vec<u8>, Vec<u8>) {
        let Target { instruction, data, .. } = self.target;
        let all = self.and(op::OVER, [0; 5], 0);
        assert!(all.operations.len() <= ROOM, "a script of {} operations", all.operations.len());
        let script = all.operations.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        let mut page = alloc::vec![0; 4096];
        let mut put = |offset: u64, value: u64| {
            page[offset as usize..][..8].copy_from_slice(&value.to_le_bytes());
        };
        const BREAK: u64 = 0xf << 5 | 0b101;
        const WATCH: u64 = 0xff << 5 | 0b11 << 3 | 0b101;
        put(buffer::VECTORS, at(buffer::REGISTERS));
        put(buffer::VECTORS + 8, REGISTERS_LENGTH);
        for (n, address, control) in
            [(1, instruction, BREAK & !1), (2, instruction, BREAK), (3, data, WATCH & !1), (4, data, WATCH)]
        {
            let set = buffer::SLOTS + n * buffer::SET;
            put(buffer::VECTORS + 16 * n, at(set));
            put(buffer::VECTORS + 16 * n + 8, SET_LENGTH);
            put(set + 8, address);
            put(set + 16, control);
        }
        (script, page)
    }
}

/// How many operations there is room for.
const ROOM: usize = 4096 / 64;
/// How long `struct user_pt_regs` is, and a set of one slot.
const REGISTERS_LENGTH: u64 = 272;
const SET_LENGTH: u64 = 24;

/// The number of PC in `struct user_pt_regs`.
pub const PC: u64 = 32;
/// TRAP_HWBKPT.
pub const HWBKPT: u64 = 4;

global_asm!(
    ".pushsection .rodata.sweep_tracer, \"a\"",
    ".balign 8",
    ".global sweep_tracer, sweep_tracer_end",
    "sweep_tracer: movz x19, #{high}, lsl #16",
    // Every page is there before the first lap.
    "mov x0, #0",
    "1: ldr x1, [x19, x0]",
    "str x1, [x19, x0]",
    "add x0, x0, #0x1000",
    "cmp x0, #{room}",
    "b.ne 1b",
    // futex(GO, FUTEX_WAIT, 0, NULL)
    "2: add x0, x19, #{go}",
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #0",
    "mov x8, #98",
    "svc #0",
    "ldr w0, [x19, #{go}]",
    "cbz w0, 2b",
    "str wzr, [x19, #{go}]",
    // The script.
    "add x20, x19, #{script}",
    "mov x22, #0",
    "3: ldp x8, x0, [x20]",
    "ldp x1, x2, [x20, #16]",
    "ldp x3, x4, [x20, #32]",
    "ldp x5, x21, [x20, #48]",
    "add x20, x20, #64",
    "add x22, x22, #1",
    "cmp x8, #{begin_op}",
    "b.eq 4f",
    "b.hi 5f",
    "cmp x8, #{over_op}",
    "b.eq 9f",
    "svc #0",
    "b 7f",
    "4: mrs x0, cntvct_el0",
    "str x0, [x19, #{begin}]",
    "b 3b",
    "5: cmp x8, #{compare_op}",
    "b.eq 6f",
    "mrs x0, cntvct_el0",
    "str x0, [x19, #{end}]",
    "b 3b",
    "6: ldr x0, [x0]",
    "and x0, x0, x1",
    "7: cmp x0, x21",
    "b.eq 3b",
    "add x1, x19, #{wrong}",
    "stp x22, x0, [x1]",
    // ptrace(PTRACE_DETACH, tracee, 0, 0)
    "mov x0, #17",
    "ldr x1, [x19, #{tracee}]",
    "mov x2, #0",
    "mov x3, #0",
    "mov x8, #117",
    "svc #0",
    "9: ldr x0, [x19, #{laps}]",
    "add x0, x0, #1",
    "str x0, [x19, #{laps}]",
    "b 2b",
    "sweep_tracer_end:",
    ".popsection",
    high = const DATA >> 16,
    room = const super::text::ROOM,
    go = const super::text::word::GO,
    laps = const super::text::word::LAPS,
    begin = const super::text::word::BEGIN,
    end = const super::text::word::END,
    tracee = const word::TRACEE,
    wrong = const word::WRONG,
    script = const word::SCRIPT,
    over_op = const op::OVER,
    begin_op = const op::BEGIN,
    compare_op = const op::COMPARE,
);

const _: () = assert!(word::RESULT == word::WRONG + 8, "both are written by one STP");

unsafe extern "C" {
    static sweep_tracer: u8;
    static sweep_tracer_end: u8;
}

/// The program's text.
pub fn text() -> &'static [u8] {
    let length = (&raw const sweep_tracer_end).addr() - (&raw const sweep_tracer).addr();
    // SAFETY: the text between the two labels is in read-only data.
    unsafe { core::slice::from_raw_parts(&raw const sweep_tracer, length) }
}
