//! What the callers of `wait4` and `waitid` ask for, and what they are told.

use super::process::Pid;
use linux_raw_sys::general as raw;

/// Which children are meant.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// All.
    Any,
    /// The one with this number.
    Process(Pid),
    /// Those of this group.
    Group(Pid),
}

/// What a process waits for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Which children are meant.
    pub which: Which,
    /// WEXITED, WUNTRACED (WSTOPPED), WCONTINUED, WNOWAIT, WNOHANG, __WALL, __WCLONE.
    pub options: u32,
}

/// What has become of a child.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The child.
    pub pid: Pid,
    /// CLD_*.
    pub code: u32,
    /// The exit status or the signal, by the code.
    pub status: i32,
    /// How long the child ran, in nanoseconds.
    pub run_time: u64,
}

impl Event {
    /// The status that `wait4` gives.
    pub fn wait_status(&self) -> u32 {
        let status = self.status.cast_unsigned();
        match self.code {
            raw::CLD_EXITED => (status & 0xff) << 8,
            raw::CLD_STOPPED | raw::CLD_TRAPPED => status << 8 | 0x7f,
            raw::CLD_CONTINUED => 0xffff,
            _ => status,
        }
    }
}
