//! What can be read and written without a wait, and waiting for a change of that.
//!
//! Whoever waits for several files waits in one queue for all files: a change anywhere has each of them look at its files again.

use super::{Descriptor, Device, OpenFile, terminal};
use crate::sched::WaitQueue;
use linux_raw_sys::general as raw;

/// A file can be read and written at any time.
const ALWAYS: u32 = raw::POLLIN | raw::POLLRDNORM | raw::POLLOUT | raw::POLLWRNORM;

/// Those that wait in poll or select.
pub static CHANGED: WaitQueue = WaitQueue::new();

/// Has those that wait look at their files again. Thread and interrupt context.
pub fn changed() {
    CHANGED.wake_all();
}

impl OpenFile {
    /// What poll(2) shows of the file: a set of `POLL` bits. Thread context; may sleep on locks.
    pub fn readiness(&self) -> u32 {
        match &self.what {
            Descriptor::File(_) | Descriptor::Directory(_) => ALWAYS,
            Descriptor::Device(Device::Terminal, _) => terminal::readiness(),
            Descriptor::Device(..) => ALWAYS,
            Descriptor::Pipe(end) => end.readiness(),
            Descriptor::Path(_) => raw::POLLNVAL,
        }
    }
}
