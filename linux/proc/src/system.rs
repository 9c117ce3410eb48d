//! Files of the whole system.

use crate::{Result, Text};
use core::fmt::Write;

/// `/proc/meminfo`, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemInfo {
    /// All.
    pub total: u64,
    /// Those that nobody has.
    pub free: u64,
    /// The contents of files. They are nowhere else, so they count as shared memory too.
    pub cached: u64,
}

impl MemInfo {
    /// Appends the lines.
    ///
    /// # Errors
    /// No memory.
    pub fn write(&self, to: &mut Text) -> Result {
        for (name, pages) in [
            ("MemTotal:", self.total),
            ("MemFree:", self.free),
            ("MemAvailable:", self.free),
            ("Buffers:", 0),
            ("Cached:", self.cached),
            ("SwapCached:", 0),
            ("SwapTotal:", 0),
            ("SwapFree:", 0),
            ("Shmem:", self.cached),
            ("SReclaimable:", 0),
        ] {
            writeln!(to, "{name:<16}{:>8} kB", pages * 4)?;
        }
        Ok(())
    }
}

/// `/proc/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemStat {
    /// How long programs have run on all CPUs together, in ticks of 1/100 s.
    pub user: u64,
    /// How long CPUs had nothing to do.
    pub idle: u64,
    /// How many switches of threads there were.
    pub switches: u64,
    /// When the system started, in seconds since 1970.
    pub boot_time: u64,
    /// How many processes are running.
    pub running: u64,
}

impl SystemStat {
    /// Appends the lines. The times of single CPUs are not known.
    ///
    /// # Errors
    /// No memory.
    pub fn write(&self, to: &mut Text) -> Result {
        writeln!(to, "cpu  {} 0 0 {} 0 0 0 0 0 0", self.user, self.idle)?;
        writeln!(
            to,
            "ctxt {}\nbtime {}\nprocs_running {}\nprocs_blocked 0",
            self.switches, self.boot_time, self.running
        )
    }
}

/// Appends `/proc/uptime`: how long the system runs, and how long its CPUs had nothing to do, both in nanoseconds.
///
/// # Errors
/// No memory.
pub fn uptime(up: u64, idle: u64, to: &mut Text) -> Result {
    let parts = |time: u64| (time / 1_000_000_000, time / 10_000_000 % 100);
    let ((up, up_part), (idle, idle_part)) = (parts(up), parts(idle));
    writeln!(to, "{up}.{up_part:02} {idle}.{idle_part:02}")
}

/// Appends `/proc/version`, from what uname(2) says.
///
/// # Errors
/// No memory.
pub fn version(system: &str, release: &str, version: &str, to: &mut Text) -> Result {
    writeln!(to, "{system} version {release} {version}")
}

/// Appends `/proc/mounts`: what is mounted where, and of which type.
///
/// # Errors
/// No memory.
pub fn mounts(mounts: &[(&str, &str)], to: &mut Text) -> Result {
    mounts.iter().try_for_each(|(place, kind)| writeln!(to, "{kind} {place} {kind} rw,relatime 0 0"))
}

/// Appends a list of CPUs, such as `0-3,6`, and a newline.
///
/// # Errors
/// No memory.
pub fn cpu_list(set: u64, to: &mut Text) -> Result {
    cpus(set, to)?;
    to.bytes(b"\n")
}

pub(crate) fn cpus(set: u64, to: &mut Text) -> Result {
    let mut first = true;
    let mut cpu = 0;
    while cpu < u64::BITS {
        let run = (set >> cpu).trailing_ones();
        if run > 0 {
            let comma = if first { "" } else { "," };
            match run {
                1 => write!(to, "{comma}{cpu}")?,
                _ => write!(to, "{comma}{cpu}-{}", cpu + run - 1)?,
            }
            first = false;
        }
        // Behind a run there is a CPU that is not in the set.
        cpu += run + 1;
    }
    Ok(())
}
