//! A small program at EL0, and how it is started.
//!
//! The program's text is assembled with the tests ([`text`](super::text)), and its file is made in memory. One word of its data says what
//! the program does.

use super::text::data;
use super::{client, text};
use crate::failed;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use files::{Time, Unpacked, UnpackedBody};
use harness::ktest::Ended;
use kernel::arch::barrier;
use kernel::fs::{self, OpenFiles};
use kernel::percpu;
use kernel::sched::{self, CpuSet, Policy, TaskState};
use kernel::task::{self, Attributes, PerfEvent, Status, Task};
use programs::start::Strings;

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
    /// The futex of system calls that wait once more.
    pub const WAIT: u64 = 160;
    /// The seconds of a sleep, and its nanoseconds.
    pub const SLEEP: u64 = 192;
    /// The set of CPUs of sched_setaffinity.
    pub const MASK: u64 = 208;
    /// The program's own number; how many threads there are to be; the next word counts those that have done their work.
    pub const MEMBERS: u64 = 240;
    /// What `uname` writes to.
    pub const NAMES: u64 = 512;
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
    /// What begins at this address of its text.
    At(u64),
}

/// Gives way to the other threads of this CPU, and to the other CPUs if an emulator runs them in turns.
pub fn give_way() {
    sched::yield_now();
    barrier::relax();
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
            client::install();
            let time = Time { sec: 0, nsec: 0 };
            let content = text::file();
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
        while program.read(word::READY) == 0 || !program.sleeps() {
            give_way();
        }
        let at = match act {
            Act::Brk => text::brk(),
            Act::Spot => text::spot(),
            Act::Names => text::names(),
            Act::At(at) => at,
        };
        program.write(word::ACT, (at - text::BASE) as u32);
        Ok(program)
    }

    fn page(&self) -> Option<kernel::mm::pages::Page> {
        self.task.space()?.page_for_tracer(data(0), true).ok()
    }

    /// A word of the data; 0 once the program has ended.
    pub fn read(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        if let Some(page) = self.page() {
            page.read(offset as usize, &mut bytes);
        }
        u64::from_le_bytes(bytes)
    }

    /// Changes a word of the data.
    pub fn write(&self, offset: u64, value: u32) {
        if let Some(page) = self.page() {
            page.write(offset as usize, &value.to_le_bytes());
        }
    }

    /// Lets the program go on. If it is more important than the caller, it runs before this returns.
    pub fn go(&self) {
        self.wake(word::GO);
    }

    /// Sets a word, and wakes the program, which waits or is about to wait for that. As for [`go`](Self::go).
    pub fn wake(&self, offset: u64) {
        self.write(offset, 1);
        const FUTEX_WAKE: u64 = 1;
        while task::futex(&self.task, [data(offset), FUTEX_WAKE, 1, 0, 0, 0]) == Ok(0) && !self.has_ended() {
            give_way();
        }
    }

    /// Whether the program sleeps.
    pub fn sleeps(&self) -> bool {
        matches!(sched::state(self.task.thread()), Some((TaskState::Blocked, _)))
    }

    /// Whether the program has ended.
    pub fn has_ended(&self) -> bool {
        self.task.process.status().is_some()
    }

    /// Waits for the program's end, and returns how many signals it was given, and `si_code` of the last one.
    pub fn signals(&self) -> Result<(u8, u8), Ended> {
        // The status is there a little before the thread is gone, and no test may leave threads behind.
        while !self.has_ended() || sched::state(self.task.thread()).is_some() {
            give_way();
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
