//! What can be read and written without a wait.

use super::{Descriptor, OpenFile};
use linux_raw_sys::general as raw;

/// A file can be read and written at any time.
const ALWAYS: u32 = raw::POLLIN | raw::POLLRDNORM | raw::POLLOUT | raw::POLLWRNORM;

impl OpenFile {
    /// What poll(2) shows of the file: a set of `POLL` bits. Thread context; may sleep on locks.
    pub fn readiness(&self) -> u32 {
        match &self.what {
            Descriptor::File(_) | Descriptor::Directory(_) | Descriptor::Made(..) => ALWAYS,
            Descriptor::Device(..) => ALWAYS,
            Descriptor::Terminal(end, _) => end.terminal().readiness(),
            Descriptor::Pipe(end) => end.readiness(),
            Descriptor::Special(special) => special.readiness().bits().into(),
            Descriptor::Event(event) => event.readiness(),
            Descriptor::Path(_) => raw::POLLNVAL,
        }
    }
}
