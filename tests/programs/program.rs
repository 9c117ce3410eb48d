//! A small program at EL0, and how it is started.
//!
//! The program's text is assembled with the tests, and its file is made in memory. One word of its data says what the program does.

use crate::failed;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::arch::global_asm;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use files::{Time, Unpacked, UnpackedBody};
use harness::ktest::Ended;
use kernel::fs::{self, OpenFiles};
use kernel::percpu;
use kernel::sched::{self, CpuSet, Policy, TaskState};
use kernel::task::{self, Attributes, PerfEvent, Status, Task};
use programs::start::Strings;

/// Where the program's text and data are.
const TEXT: u64 = 0x40_0000;
const DATA: u64 = 0x50_0000;

/// Words of the data, by their offsets.
pub mod word {
    /// What the program does: an offset of its text ([`super::Act`]).
    pub const ACT: u64 = 0;
    /// What the watched store writes to.
    pub const STORED: u64 = 8;
    /// How many signals the program was given.
    pub const SIGNALS: u64 = 16;
    /// Set once the program is about to wait; the futex that it waits at.
    pub const READY: u64 = 136;
    pub const GO: u64 = 128;
    /// What `uname` writes to.
    pub const NAMES: u64 = 512;
}

global_asm!(
    ".pushsection .rodata.el0_program, \"a\"",
    ".balign 8",
    ".global el0_program, el0_program_end",
    "el0_program:",
    "movz x19, #0x50, lsl #16",
    // rt_sigaction(SIGTRAP, {handler, SA_SIGINFO}, NULL, 8)
    "adr x0, 90f",
    "mov x1, #4",
    "stp x0, x1, [x19, #64]",
    "stp xzr, xzr, [x19, #80]",
    "mov x0, #5",
    "add x1, x19, #64",
    "mov x2, #0",
    "mov x3, #8",
    "mov x8, #134",
    "svc #0",
    "mov w0, #1",
    "str w0, [x19, #136]",
    // futex(GO, FUTEX_WAIT, 0, NULL)
    "1: add x0, x19, #128",
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #0",
    "mov x8, #98",
    "svc #0",
    "ldr w0, [x19, #128]",
    "cbz w0, 1b",
    // What the program does.
    "adr x1, el0_program",
    "ldr w0, [x19]",
    "add x1, x1, x0",
    "br x1",
    ".global el0_brk, el0_spot, el0_names, el0_call",
    "el0_brk: brk #0x123",
    "b 8f",
    "el0_spot: nop",
    "str w0, [x19, #8]",
    "b 8f",
    // uname, 100 times, then one load of the names.
    "el0_names: mov w20, #100",
    "2: add x0, x19, #512",
    "mov x8, #160",
    "el0_call: svc #0",
    "sub w20, w20, #1",
    "cbnz w20, 2b",
    "ldrb w0, [x19, #520]",
    // exit_group(signals + 16 * si_code)
    "8: ldr w0, [x19, #16]",
    "ldr w1, [x19, #24]",
    "add w0, w0, w1, lsl #4",
    "mov x8, #94",
    "svc #0",
    // The handler: counts, and steps over a BRK or an instruction that is undefined.
    "90: movz x9, #0x50, lsl #16",
    "ldr x3, [x9, #16]",
    "add x3, x3, #1",
    "str x3, [x9, #16]",
    "ldrsw x4, [x1, #8]",
    "ldr x5, [x1, #16]",
    "stp x4, x5, [x9, #24]",
    "ldr x6, [x2, #440]",
    "cmp x4, #1",
    "b.ne 91f",
    "add x6, x6, #4",
    "str x6, [x2, #440]",
    "91: ret",
    "el0_program_end:",
    ".popsection",
);

unsafe extern "C" {
    static el0_program: u8;
    static el0_program_end: u8;
    static el0_brk: u8;
    static el0_spot: u8;
    static el0_names: u8;
    static el0_call: u8;
}

/// What the program does after it was let go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// A BRK.
    Brk,
    /// A NOP, then a store.
    Spot,
    /// A hundred system calls that write to its memory.
    Names,
}

/// The address in the program of a label in its text.
fn place(label: *const u8) -> u64 {
    TEXT + 0x1000 + (label.addr() - (&raw const el0_program).addr()) as u64
}

/// Where the program's NOP is.
pub fn spot() -> u64 {
    place(&raw const el0_spot)
}

/// Where the SVC of its hundred system calls is.
pub fn call() -> u64 {
    place(&raw const el0_call)
}

/// The address of a word of the data.
pub const fn data(offset: u64) -> u64 {
    DATA + offset
}

/// The program's file: an ELF file with one segment of text and one of data.
fn file() -> Vec<u8> {
    let length = (&raw const el0_program_end).addr() - (&raw const el0_program).addr();
    // SAFETY: the text between the two labels is in read-only data.
    let text = unsafe { core::slice::from_raw_parts(&raw const el0_program, length) };
    let mut file = Vec::new();
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    [2_u16, 183].iter().for_each(|half| put(&half.to_le_bytes()));
    put(&1_u32.to_le_bytes());
    [TEXT + 0x1000, 64, 0].iter().for_each(|word: &u64| put(&word.to_le_bytes()));
    put(&0_u32.to_le_bytes());
    [64_u16, 56, 2, 0, 0, 0].iter().for_each(|half| put(&half.to_le_bytes()));
    let mut segment = |flags: u32, words: [u64; 6]| {
        put(&1_u32.to_le_bytes());
        put(&flags.to_le_bytes());
        words.iter().for_each(|word| put(&word.to_le_bytes()));
    };
    segment(5, [0x1000, TEXT + 0x1000, TEXT + 0x1000, length as u64, length as u64, 0x1000]);
    segment(6, [0, DATA, DATA, 0, 0x2000, 0x1000]);
    file.resize(0x1000, 0);
    file.extend_from_slice(text);
    file
}

/// A program that waits until it is let go.
pub struct Program {
    /// Its only task.
    pub task: Arc<Task>,
}

impl Program {
    /// Starts the program on this CPU with a FIFO priority, and returns when it waits.
    pub fn start(act: Act, priority: u8) -> Result<Self, Ended> {
        static PREPARED: AtomicBool = AtomicBool::new(false);
        if !PREPARED.swap(true, Relaxed) {
            crate::el0::prepare().map_err(failed)?;
            let time = Time { sec: 0, nsec: 0 };
            let content = file();
            let body = UnpackedBody::Regular(&content);
            let program = Unpacked { path: b"program", mode: 0o100_755, uid: 0, gid: 0, time, body };
            fs::tree().unpack(&program).map_err(failed)?;
        }
        let none = || Strings::new(4096);
        let task =
            task::spawn(b"/program", &none(), &none(), |_| Ok(OpenFiles::default())).map_err(failed)?;
        sched::set_policy(task.thread(), Policy::Fifo(priority)).map_err(failed)?;
        sched::set_affinity(task.thread(), CpuSet::of(percpu::index())).map_err(failed)?;
        let program = Self { task };
        // In its call, and not just about to make it: a step that is asked for must not be made before.
        let waits = || matches!(sched::state(program.task.thread()), Some((TaskState::Blocked, _)));
        while program.read(word::READY) == 0 || !waits() {
            sched::yield_now();
        }
        let label = match act {
            Act::Brk => &raw const el0_brk,
            Act::Spot => &raw const el0_spot,
            Act::Names => &raw const el0_names,
        };
        program.write(word::ACT, (place(label) - TEXT - 0x1000) as u32);
        Ok(program)
    }

    fn page(&self) -> Option<kernel::mm::pages::Page> {
        self.task.space()?.page_for_tracer(DATA, true).ok()
    }

    /// A word of the data; 0 once the program has ended.
    pub fn read(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        if let Some(page) = self.page() {
            page.read(offset as usize, &mut bytes);
        }
        u64::from_le_bytes(bytes)
    }

    fn write(&self, offset: u64, value: u32) {
        if let Some(page) = self.page() {
            page.write(offset as usize, &value.to_le_bytes());
        }
    }

    /// Lets the program go on. If it is more important than the caller, it runs before this returns.
    pub fn go(&self) {
        self.write(word::GO, 1);
        const FUTEX_WAKE: u64 = 1;
        while task::futex(&self.task, [data(word::GO), FUTEX_WAKE, 1, 0, 0, 0]) == Ok(0) && !self.has_ended()
        {
            sched::yield_now();
        }
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.task.process.status().is_some()
    }

    /// Waits for the program's end, and returns how many signals it was given, and `si_code` of the last one.
    pub fn signals(&self) -> Result<(u8, u8), Ended> {
        while !self.has_ended() {
            sched::yield_now();
        }
        match self.task.process.status() {
            Some(Status::Exited(status)) => Ok((status & 0xf, status >> 4)),
            other => Err(failed(other.map(Status::as_shells_show_it))),
        }
    }

    /// Asks for an event of the program, as perf_event_open does.
    pub fn event(&self, kind: u32, address: u64, length: u64, signal: bool) -> Result<Arc<PerfEvent>, Ended> {
        const BREAKPOINT: u32 = 5;
        const REMOVE_ON_EXEC_SIGTRAP: u64 = 3 << 36;
        let mut bytes = [0; Attributes::SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &BREAKPOINT.to_le_bytes());
        put(16, &1_u64.to_le_bytes());
        put(40, &if signal { REMOVE_ON_EXEC_SIGTRAP } else { 0 }.to_le_bytes());
        put(52, &kind.to_le_bytes());
        put(56, &address.to_le_bytes());
        put(64, &length.to_le_bytes());
        PerfEvent::open(&self.task, Attributes::parse(&bytes).map_err(failed)?).map_err(failed)
    }
}

/// `si_code` of SIGTRAP: TRAP_BRKPT, TRAP_TRACE, TRAP_PERF; and none.
pub const BRKPT: u8 = 1;
/// See [`BRKPT`].
pub const TRACE: u8 = 2;
/// See [`BRKPT`].
pub const PERF: u8 = 6;
/// See [`BRKPT`].
pub const NO_SIGNAL: (u8, u8) = (0, 0);

/// Kinds of events: HW_BREAKPOINT_RW, _W and _X.
pub const READS_AND_WRITES: u32 = 3;
/// See [`READS_AND_WRITES`].
pub const WRITES: u32 = 2;
/// See [`READS_AND_WRITES`].
pub const EXECUTES: u32 = 4;
