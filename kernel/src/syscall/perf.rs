//! perf_event_open, for hardware breakpoints and watchpoints.

use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{Descriptor, OpenFile, Special};
use crate::task::{Attributes, PerfEvent, Task, task_of, user};
use ::files::Readiness;
use ::perf::{flag, ioctl};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as raw;

impl From<::perf::Error> for Errno {
    fn from(error: ::perf::Error) -> Self {
        Self::new(error.0)
    }
}

/// perf_event_open
///
/// An event is of one task, on whichever CPU it runs: events of a CPU, groups and output into a ring buffer are not there.
pub fn perf_event_open(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [at, pid, cpu, group, flags, ..] = frame.x;
    let (pid, cpu, group) = (pid as i32, cpu as i32, group as i32);
    if flags & !(flag::FD_NO_GROUP | flag::FD_CLOEXEC | flag::FD_OUTPUT | flag::PID_CGROUP) != 0 {
        return Err(Errno::EINVAL);
    }
    let attributes = attributes(at)?;
    let of_task = pid >= 0 && cpu == -1 && group == -1 && flags & flag::PID_CGROUP == 0;
    if !of_task {
        return Err(Errno::EINVAL);
    }
    let watched = task_of(task, pid.cast_unsigned())?;
    let event = EventFile(PerfEvent::open(&watched, attributes)?);
    let file = OpenFile::new(Descriptor::Special(Arc::new(event)), true, false, 0);
    let limit = task.process.resources.soft(raw::RLIMIT_NOFILE);
    task.process.files.lock().add(file, flags & flag::FD_CLOEXEC != 0, limit)
}

fn attributes(at: u64) -> Result<Attributes, Errno> {
    const SIZE: u64 = 4;
    let size = match Attributes::size_of(user::get::<u32>(at.wrapping_add(SIZE))?) {
        Ok(size) => size,
        Err(error) => {
            user::put(at.wrapping_add(SIZE), Attributes::SIZE as u32)?;
            return Err(error.into());
        }
    };
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(size, 0);
    user::read(at, &mut bytes)?;
    let parsed = Attributes::parse(&bytes);
    if parsed == Err(::perf::Error::E2BIG) {
        user::put(at.wrapping_add(SIZE), Attributes::SIZE as u32)?;
    }
    Ok(parsed?)
}

/// The open file of an event. The event ends with it.
struct EventFile(Arc<PerfEvent>);

impl Drop for EventFile {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Special for EventFile {
    fn read(&self, to: &mut [u8]) -> Result<usize, Errno> {
        let format = self.0.attributes().read_format;
        let mut words = [0; 5];
        let count = self.0.read().words(format, &mut words);
        let whole = to.get_mut(..8 * count).ok_or(Errno::ENOSPC)?;
        for (place, word) in whole.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Ok(8 * count)
    }

    fn control(&self, request: u32, argument: u64) -> Result<u64, Errno> {
        match request {
            ioctl::ENABLE => self.0.enable(true),
            ioctl::DISABLE => self.0.enable(false),
            ioctl::RESET => self.0.reset(),
            ioctl::ID => user::put(argument, self.0.id())?,
            ioctl::MODIFY_ATTRIBUTES => {
                // ENOENT is for a type that no event has; here the type is another one than the event's.
                let of_another_type = |error| if error == Errno::ENOENT { Errno::EINVAL } else { error };
                self.0.modify(&attributes(argument).map_err(of_another_type)?)?;
            }
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn readiness(&self) -> Readiness {
        Readiness::empty()
    }
}
