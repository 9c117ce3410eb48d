//! `/proc/PID/stat` and `/proc/PID/statm`, as proc(5) numbers their fields.

use crate::{Result, State, Text};
use core::fmt::Write;
use core::ops::Range;

/// The fields of `stat` that this kernel knows. All others are 0. Times are in ticks of 1/100 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of proc(5)")]
pub struct ProcessStat<'a> {
    pub pid: u32,
    /// Up to 15 bytes, as they are: programs look for the last parenthesis.
    pub comm: &'a [u8],
    pub state: State,
    pub ppid: u32,
    pub pgrp: u32,
    pub session: u32,
    /// The controlling terminal's number as stat(2) has it, and its foreground process group; 0 and -1 without one.
    pub tty: (u32, i32),
    pub utime: u64,
    pub cutime: u64,
    pub priority: i32,
    pub nice: i32,
    pub num_threads: u32,
    pub starttime: u64,
    /// In bytes.
    pub vsize: u64,
    /// In pages.
    pub rss: u64,
    pub code: Addresses,
    pub startstack: u64,
    /// The lower 31 bits of each are shown.
    pub signal: u64,
    pub blocked: u64,
    pub sigignore: u64,
    pub sigcatch: u64,
    pub exit_signal: i32,
    pub processor: u32,
    pub rt_priority: u32,
    pub policy: u32,
    pub data: Addresses,
    pub start_brk: u64,
    pub arg: Addresses,
    pub env: Addresses,
    /// As wait4 gives it.
    pub exit_code: u32,
}

/// Start and end of addresses; 0 and 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses(pub u64, pub u64);

impl From<&Range<u64>> for Addresses {
    fn from(range: &Range<u64>) -> Self {
        Self(range.start, range.end)
    }
}

/// RLIM_INFINITY, for the limit of resident pages.
const NO_LIMIT: u64 = u64::MAX;
/// Linux shows signals as numbers of so many bits here.
const SIGNALS: u64 = 0x7fff_ffff;

impl ProcessStat<'_> {
    /// Appends the line.
    ///
    /// # Errors
    /// No memory.
    pub fn write(&self, to: &mut Text) -> Result {
        write!(to, "{} (", self.pid)?;
        to.bytes(self.comm)?;
        // From field 3 (state) to 21 (itrealvalue).
        write!(
            to,
            ") {} {} {} {} {} {} 0 0 0 0 0 {} 0 {} 0 {} {} {} 0 ",
            self.state.letter(),
            self.ppid,
            self.pgrp,
            self.session,
            self.tty.0,
            self.tty.1,
            self.utime,
            self.cutime,
            self.priority,
            self.nice,
            self.num_threads,
        )?;
        // From field 22 (starttime) to 30 (kstkeip).
        write!(
            to,
            "{} {} {} {NO_LIMIT} {} {} {} 0 0 ",
            self.starttime, self.vsize, self.rss, self.code.0, self.code.1, self.startstack,
        )?;
        // From field 31 (signal) to 37 (cnswap). wchan says only whether the task waits.
        write!(
            to,
            "{} {} {} {} {} 0 0 ",
            self.signal & SIGNALS,
            self.blocked & SIGNALS,
            self.sigignore & SIGNALS,
            self.sigcatch & SIGNALS,
            u32::from(self.state != State::Running),
        )?;
        // From field 38 (exit_signal) to 52 (exit_code).
        writeln!(
            to,
            "{} {} {} {} 0 0 0 {} {} {} {} {} {} {} {}",
            self.exit_signal,
            self.processor,
            self.rt_priority,
            self.policy,
            self.data.0,
            self.data.1,
            self.start_brk,
            self.arg.0,
            self.arg.1,
            self.env.0,
            self.env.1,
            self.exit_code,
        )
    }
}

/// The pages of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statm {
    /// All mapped pages, touched or not.
    pub size: u64,
    /// The pages that are there.
    pub resident: u64,
    /// Of these, pages of files and shared memory.
    pub shared: u64,
    /// The program's own text.
    pub text: u64,
    /// Private writable pages and the stack.
    pub data: u64,
}

impl Statm {
    /// Appends the line.
    ///
    /// # Errors
    /// No memory.
    pub fn write(&self, to: &mut Text) -> Result {
        writeln!(to, "{} {} {} {} 0 {} 0", self.size, self.resident, self.shared, self.text, self.data)
    }
}
