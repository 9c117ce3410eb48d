//! eventfd2.

use super::descriptors::add;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{Descriptor, Event, OpenFile};
use crate::task::Task;
use linux_raw_sys::general as raw;

/// eventfd2
pub fn eventfd2(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [count, flags, ..] = frame.x;
    let flags = flags as u32;
    if flags & !(raw::EFD_SEMAPHORE | raw::EFD_CLOEXEC | raw::EFD_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let event = Event::new(count as u32, flags & raw::EFD_SEMAPHORE != 0);
    let file = OpenFile::new(Descriptor::Event(event), true, true, flags & raw::EFD_NONBLOCK);
    add(task, file, flags & raw::EFD_CLOEXEC != 0)
}
