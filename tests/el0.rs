//! Programs at EL0 that tests assemble themselves: how their files are made, and how the kernel is prepared for them.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::Debug;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use files::{Time, Unpacked, UnpackedBody};
use harness::elf;
use kernel::fs::{self, OpenFiles};
use kernel::task::{self, Attributes, PerfEvent, Task};
use kernel::userspace;
use programs::start::Strings;

/// Where the programs' text begins, which is also where they begin.
pub const TEXT: u64 = 0x40_1000;
/// Where the programs' data begin: zeros.
pub const DATA: u64 = 0x50_0000;

fn told(error: impl Debug) -> String {
    format!("{error:?}")
}

/// Prepares the kernel for programs, if that was not done yet. Thread context; may sleep.
///
/// # Errors
/// As [`userspace::prepare`].
pub fn prepare() -> Result<(), String> {
    static PREPARED: AtomicBool = AtomicBool::new(false);
    if PREPARED.swap(true, Relaxed) { Ok(()) } else { userspace::prepare(&[]) }
}

/// Makes the file of a program with this text and so many bytes of data. `path` has no leading slash. Called once for each path. Thread
/// context; may sleep.
///
/// # Errors
/// What the kernel says against it.
pub fn install(path: &str, text: &[u8], data: u64) -> Result<(), String> {
    prepare()?;
    let content = elf::file((TEXT, text), TEXT, (DATA, data));
    let body = UnpackedBody::Regular(&content);
    let time = Time { sec: 0, nsec: 0 };
    let program = Unpacked { path: path.as_bytes(), mode: 0o100_755, uid: 0, gid: 0, time, body };
    fs::tree().unpack(&program).map(|_| ()).map_err(told)
}

/// Starts a program that [`install`] has made, without open files. `path` begins with a slash. Thread context; may sleep.
///
/// # Errors
/// As execve(2).
pub fn start(path: &str) -> Result<Arc<Task>, String> {
    let none = || Strings::new(4096);
    task::spawn(path.as_bytes(), &none(), &none(), |_| Ok(OpenFiles::default())).map_err(told)
}

/// A hardware slot of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    /// HW_BREAKPOINT_RW, _W or _X: one of [`READS_AND_WRITES`], [`WRITES`] and [`EXECUTES`].
    pub kind: u32,
    /// What is watched.
    pub address: u64,
    /// How many bytes are watched; 4 for an instruction.
    pub length: u64,
    /// Whether each hit sends SIGTRAP.
    pub signals: bool,
}

/// HW_BREAKPOINT_RW.
pub const READS_AND_WRITES: u32 = 3;
/// HW_BREAKPOINT_W.
pub const WRITES: u32 = 2;
/// HW_BREAKPOINT_X.
pub const EXECUTES: u32 = 4;

impl Watch {
    /// Has a task watch, as perf_event_open does. Thread context; may sleep.
    ///
    /// # Errors
    /// Those of [`PerfEvent::open`].
    pub fn open(&self, task: &Arc<Task>) -> Result<Arc<PerfEvent>, String> {
        self.open_with(task, 0)
    }

    /// As [`open`](Self::open). The task's new threads and children watch, too. Thread context; may sleep.
    ///
    /// # Errors
    /// Those of [`PerfEvent::open`].
    pub fn open_for_all(&self, task: &Arc<Task>) -> Result<Arc<PerfEvent>, String> {
        const INHERIT: u64 = 1 << 1;
        self.open_with(task, INHERIT)
    }

    fn open_with(&self, task: &Arc<Task>, flags: u64) -> Result<Arc<PerfEvent>, String> {
        const BREAKPOINT: u32 = 5;
        const REMOVE_ON_EXEC_SIGTRAP: u64 = 3 << 36;
        let flags = flags | if self.signals { REMOVE_ON_EXEC_SIGTRAP } else { 0 };
        let mut bytes = [0; Attributes::SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &BREAKPOINT.to_le_bytes());
        put(16, &1_u64.to_le_bytes());
        put(40, &flags.to_le_bytes());
        put(52, &self.kind.to_le_bytes());
        put(56, &self.address.to_le_bytes());
        put(64, &self.length.to_le_bytes());
        PerfEvent::open(task, Attributes::parse(&bytes).map_err(told)?).map_err(told)
    }
}
