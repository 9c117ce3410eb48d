//! `/proc/PID/status`.

use crate::{Result, State, Statm, Text};
use core::fmt::Write;

/// The lines of `status` that this kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status<'a> {
    /// Up to 15 bytes.
    pub name: &'a [u8],
    /// The permission bits that new files do not get.
    pub umask: u32,
    /// What the task is doing.
    pub state: State,
    /// The process, the task, the parent.
    pub tgid: u32,
    /// The task.
    pub pid: u32,
    /// The parent process.
    pub ppid: u32,
    /// The process that traces the task; 0 if none does.
    pub tracer: u32,
    /// The group.
    pub pgrp: u32,
    /// The session.
    pub session: u32,
    /// How many descriptors there is room for.
    pub descriptors: usize,
    /// Pages, and how many the stack has; None if the process has no memory any more.
    pub memory: Option<(Statm, u64)>,
    /// How many tasks the process has.
    pub threads: u32,
    /// How many signals wait, and how many may.
    pub queued: (usize, usize),
    /// Signals that wait for the task, and for the process.
    pub pending: [u64; 2],
    /// Signals that are blocked, ignored, caught.
    pub blocked: u64,
    /// Signals that are ignored.
    pub ignored: u64,
    /// Signals that have a handler.
    pub caught: u64,
    /// The CPUs on which the task may run, one bit for each.
    pub cpus: u64,
}

/// All capabilities of Linux 6.1: every process is root's.
const CAPABILITIES: u64 = (1 << 41) - 1;

impl Status<'_> {
    /// Appends the lines.
    ///
    /// # Errors
    /// No memory.
    pub fn write(&self, to: &mut Text) -> Result {
        to.bytes(b"Name:\t")?;
        to.escaped(self.name, b"\n\\")?;
        write!(
            to,
            "\nUmask:\t{:04o}\nState:\t{} ({})\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t{}\n",
            self.umask,
            self.state.letter(),
            self.state.word(),
            self.tgid,
            self.pid,
            self.ppid,
            self.tracer,
        )?;
        write!(to, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t{}\nGroups:\t \n", self.descriptors)?;
        for (name, number) in
            [("NStgid", self.tgid), ("NSpid", self.pid), ("NSpgid", self.pgrp), ("NSsid", self.session)]
        {
            writeln!(to, "{name}:\t{number}")?;
        }
        if let Some((pages, stack)) = self.memory {
            for (name, pages) in [
                ("VmSize", pages.size),
                ("VmRSS", pages.resident),
                ("VmData", pages.data.saturating_sub(stack)),
                ("VmStk", stack),
                ("VmExe", pages.text),
            ] {
                writeln!(to, "{name}:\t{:>8} kB", pages * 4)?;
            }
        }
        writeln!(to, "Threads:\t{}\nSigQ:\t{}/{}", self.threads, self.queued.0, self.queued.1)?;
        for (name, set) in [
            ("SigPnd", self.pending[0]),
            ("ShdPnd", self.pending[1]),
            ("SigBlk", self.blocked),
            ("SigIgn", self.ignored),
            ("SigCgt", self.caught),
            ("CapInh", 0),
            ("CapPrm", CAPABILITIES),
            ("CapEff", CAPABILITIES),
            ("CapBnd", CAPABILITIES),
            ("CapAmb", 0),
        ] {
            writeln!(to, "{name}:\t{set:016x}")?;
        }
        write!(to, "NoNewPrivs:\t0\nSeccomp:\t0\nCpus_allowed:\t{:x}\nCpus_allowed_list:\t", self.cpus)?;
        crate::system::cpus(self.cpus, to)?;
        to.bytes(b"\n")
    }
}
