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
    /// WEXITED, WUNTRACED (WSTOPPED), WCONTINUED, WNOWAIT, WNOHANG, __WALL, __WCLONE, __WNOTHREAD.
    pub options: u32,
    /// Whether [`Event::run_time`] is asked for.
    pub times: bool,
}

impl Wanted {
    /// Whether an option is set.
    pub(super) fn has(&self, option: u32) -> bool {
        self.options & option != 0
    }

    /// Whether a process or task of a group is meant.
    pub(super) fn means(&self, number: Pid, group: Pid) -> bool {
        match self.which {
            Which::Any => true,
            Which::Process(wanted) => wanted == number,
            Which::Group(wanted) => wanted == group,
        }
    }
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
    /// How long the child ran, in nanoseconds; for a tracee 0 unless [`Wanted::times`] is set.
    pub run_time: u64,
}

/// What there is to tell of a child or a tracee, or of several.
#[derive(Clone, Copy)]
pub(super) enum Told {
    /// This has happened.
    Event(Event),
    /// There are some, and nothing to be told of them.
    Nothing,
    /// None is meant.
    NoneMeant,
}

impl Told {
    /// Whether something has happened.
    pub fn is_event(&self) -> bool {
        matches!(self, Self::Event(_))
    }

    /// This, and what there is to tell of others: something that has happened, if there is such.
    pub fn or(self, others: Self) -> Self {
        match (&self, &others) {
            (Self::NoneMeant, _) | (Self::Nothing, Self::Event(_)) => others,
            _ => self,
        }
    }
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
