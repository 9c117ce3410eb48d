//! A small program at EL0 whose debug exceptions are measured. Its text is assembled with the harness, and its file is made in memory, so
//! that no initial ramdisk is needed. Words of its data say what it does.

use super::place::must;
use crate::elf;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::arch::global_asm;
use files::{Time, Unpacked, UnpackedBody};
use kernel::fs::{self, OpenFiles};
use kernel::mm::pages::Page;
use kernel::sched::{self, Policy};
use kernel::task::{self, Attributes, PerfEvent, Status, Task};
use kernel::userspace;
use programs::start::Strings;

/// Where the program's text and data are. The host tool knows TEXT, where the mark of the paths is (`xtask/src/bench/stretches.rs`).
const TEXT: u64 = 0x40_1000;
const DATA: u64 = 0x50_0000;
/// Where the program's file is.
const FILE: &[u8] = b"/bench";

/// How many instructions there are between two samples of [`Act::Hits`] and of [`Act::Wakes`].
pub const PERIOD: u64 = 50 << 12;

/// Words of the data, by their offsets.
pub mod word {
    /// What the program does: an offset of its text ([`super::Act`]).
    pub const ACT: u64 = 0;
    /// The number of the path that it runs.
    pub const PATH: u64 = 8;
    /// How often the program does it.
    pub const TIMES: u64 = 16;
    /// When the program does it first: in ticks of the counter, or for [`super::Act::Wakes`] in nanoseconds.
    pub const FIRST: u64 = 24;
    /// What the store of the path writes to.
    pub const STORED: u64 = 32;
    /// How many signals there were.
    pub const SIGNALS: u64 = 40;
    /// The counter after each of the sleeps.
    pub const WOKEN: u64 = 0x200;
}

global_asm!(
    ".pushsection .rodata.el0_bench, \"a\"",
    ".balign 8",
    ".global el0_bench, el0_bench_end",
    // The mark, as `bench_mark` in the kernel: X0 is the path's number, X1 becomes the counter.
    "el0_bench: mrs x1, cntvct_el0",
    "ret",
    ".global el0_bench_start",
    "el0_bench_start: movz x19, #0x50, lsl #16",
    // rt_sigaction(SIGTRAP, {handler, SA_SIGINFO}, NULL, 8)
    "adr x0, 90f",
    "mov x1, #4",
    "stp x0, x1, [x19, #96]",
    "stp xzr, xzr, [x19, #112]",
    "mov x0, #5",
    "add x1, x19, #96",
    "mov x2, #0",
    "mov x3, #8",
    "mov x8, #134",
    "svc #0",
    "ldr x20, [x19, #16]",
    "ldr x22, [x19, #24]",
    "add x21, x19, #0x200",
    "adr x1, el0_bench",
    "ldr x0, [x19]",
    "add x1, x1, x0",
    "br x1",
    // A NOP and a store, between two marks.
    ".global el0_bench_path, el0_bench_spot",
    "el0_bench_path: ldr x0, [x19, #8]",
    "bl el0_bench",
    "el0_bench_spot: nop",
    "str w0, [x19, #32]",
    "mov x0, #0",
    "bl el0_bench",
    "sub x20, x20, #1",
    "cbnz x20, el0_bench_path",
    "b 80f",
    // A wait for the next signal, between two marks.
    ".global el0_bench_step, el0_bench_wait",
    "el0_bench_step: ldr x0, [x19, #8]",
    "bl el0_bench",
    "ldr x2, [x19, #40]",
    "el0_bench_wait: ldr x3, [x19, #40]",
    "cmp x2, x3",
    "b.eq el0_bench_wait",
    "mov x0, #0",
    "bl el0_bench",
    "sub x20, x20, #1",
    "cbnz x20, el0_bench_step",
    "b 80f",
    // At each instant, by the counter, a NOP.
    ".global el0_bench_hits, el0_bench_hit",
    "el0_bench_hits: mrs x9, cntvct_el0",
    "cmp x9, x22",
    "b.lo el0_bench_hits",
    "el0_bench_hit: nop",
    "add x22, x22, #50, lsl #12",
    "sub x20, x20, #1",
    "cbnz x20, el0_bench_hits",
    "b 80f",
    // clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, instant, NULL); then at once the counter.
    ".global el0_bench_wakes",
    "el0_bench_wakes: movz x9, #0xca00",
    "movk x9, #0x3b9a, lsl #16",
    "udiv x10, x22, x9",
    "msub x11, x10, x9, x22",
    "stp x10, x11, [x19, #64]",
    "mov x0, #1",
    "mov x1, #1",
    "add x2, x19, #64",
    "mov x3, #0",
    "mov x8, #115",
    "svc #0",
    "mrs x9, cntvct_el0",
    "str x9, [x21], #8",
    "add x22, x22, #50, lsl #12",
    "sub x20, x20, #1",
    "cbnz x20, el0_bench_wakes",
    // exit_group(0)
    "80: mov x0, #0",
    "mov x8, #94",
    "svc #0",
    // The handler: counts.
    "90: movz x9, #0x50, lsl #16",
    "ldr x3, [x9, #40]",
    "add x3, x3, #1",
    "str x3, [x9, #40]",
    "ret",
    "el0_bench_end:",
    ".popsection",
);

unsafe extern "C" {
    static el0_bench: u8;
    static el0_bench_start: u8;
    static el0_bench_end: u8;
    static el0_bench_path: u8;
    static el0_bench_spot: u8;
    static el0_bench_step: u8;
    static el0_bench_wait: u8;
    static el0_bench_hits: u8;
    static el0_bench_hit: u8;
    static el0_bench_wakes: u8;
}

/// What the program does.
#[derive(Clone, Copy)]
pub enum Act {
    /// A NOP and a store between two marks.
    Path,
    /// Waits for a signal between two marks.
    Step,
    /// A NOP at each instant.
    Hits,
    /// Sleeps until each instant.
    Wakes,
}

/// The offset in the program's text of a label.
fn offset(label: *const u8) -> u64 {
    (label.addr() - (&raw const el0_bench).addr()) as u64
}

/// Where the NOP of [`Act::Path`] is.
pub fn spot() -> u64 {
    TEXT + offset(&raw const el0_bench_spot)
}

/// Where the NOP of [`Act::Hits`] is.
pub fn hit() -> u64 {
    TEXT + offset(&raw const el0_bench_hit)
}

/// Whether a PC is in the loop in which [`Act::Step`] waits for a signal.
pub fn waits_at(pc: u64) -> bool {
    const INSTRUCTIONS: u64 = 3;
    pc.wrapping_sub(TEXT + offset(&raw const el0_bench_wait)) < 4 * INSTRUCTIONS
}

/// Where [`Act::Path`] stores.
pub const STORED: u64 = DATA + word::STORED;

/// The program's file: an ELF file with one segment of text and one of data.
fn file() -> Vec<u8> {
    let length = offset(&raw const el0_bench_end) as usize;
    // SAFETY: the text between the two labels is in read-only data.
    let text = unsafe { core::slice::from_raw_parts(&raw const el0_bench, length) };
    let entry = TEXT + offset(&raw const el0_bench_start);
    elf::file((TEXT, text), entry, (DATA, 0x1000))
}

fn must_do<T>(result: Result<T, impl core::fmt::Debug>) -> T {
    must::<T>(result.map_err(|error| format!("{error:?}")))
}

/// While this value lives, the running thread runs before all programs, until it sleeps.
pub struct Foremost(());

impl Foremost {
    /// See the type.
    pub fn new() -> Self {
        set_policy_of_running(Policy::Fifo(60));
        Self(())
    }
}

impl Drop for Foremost {
    fn drop(&mut self) {
        set_policy_of_running(Policy::Fair(0));
    }
}

fn set_policy_of_running(policy: Policy) {
    if let Some(thread) = sched::current_thread() {
        must_do(sched::set_policy(thread.id(), policy));
    }
}

/// A program that has been started, and runs once the caller sleeps.
pub struct Program {
    /// Its only task.
    pub task: Arc<Task>,
    data: Page,
}

impl Program {
    /// Starts the program with a FIFO priority. The caller is [`Foremost`].
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn start(act: Act, times: usize, priority: u8) -> Self {
        must::<()>(userspace::prepare(&[]));
        if must_do(userspace::content(FILE)).is_none() {
            let (time, content) = (Time { sec: 0, nsec: 0 }, file());
            let body = UnpackedBody::Regular(&content);
            let program = Unpacked { path: &FILE[1..], mode: 0o100_755, uid: 0, gid: 0, time, body };
            must_do(fs::tree().unpack(&program));
        }
        let none = || Strings::new(4096);
        let task = must_do(task::spawn(FILE, &none(), &none(), |_| Ok(OpenFiles::default())));
        must_do(sched::set_policy(task.thread(), Policy::Fifo(priority)));
        let space = must::<_>(task.space().ok_or_else(|| String::from("the program has ended")));
        let data = must_do(space.page_for_tracer(DATA, true));
        let program = Self { task, data };
        let label = match act {
            Act::Path => &raw const el0_bench_path,
            Act::Step => &raw const el0_bench_step,
            Act::Hits => &raw const el0_bench_hits,
            Act::Wakes => &raw const el0_bench_wakes,
        };
        program.write(word::ACT, offset(label));
        program.write(word::TIMES, times as u64);
        program
    }

    /// A word of the data, also after the program's end.
    pub fn read(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        self.data.read(offset as usize, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Changes a word of the data.
    pub fn write(&self, offset: u64, value: u64) {
        self.data.write(offset as usize, &value.to_le_bytes());
    }

    /// Lets the program run to its end.
    ///
    /// # Panics
    /// If the program ends by a signal.
    pub fn wait(&self) {
        let status = self.task.process.wait_for_end();
        assert!(status == Status::Exited(0), "bench: the program has ended with {status:?}");
    }

    /// Asks for an event of the program, as perf_event_open does: `kind` is 2 for stores and 4 for an instruction.
    ///
    /// # Panics
    /// If there is no slot left.
    pub fn event(&self, kind: u32, address: u64, signal: bool) -> Arc<PerfEvent> {
        const BREAKPOINT: u32 = 5;
        const REMOVE_ON_EXEC_SIGTRAP: u64 = 3 << 36;
        let mut bytes = [0; Attributes::SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &BREAKPOINT.to_le_bytes());
        put(16, &1_u64.to_le_bytes());
        put(40, &if signal { REMOVE_ON_EXEC_SIGTRAP } else { 0 }.to_le_bytes());
        put(52, &kind.to_le_bytes());
        put(56, &address.to_le_bytes());
        put(64, &4_u64.to_le_bytes());
        must_do(PerfEvent::open(&self.task, must_do(Attributes::parse(&bytes))))
    }
}
