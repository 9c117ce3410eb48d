//! Counters that threads wait for: eventfd(2).

use super::pipe::cut;
use super::{asks, changes};
use crate::errno::Errno;
use crate::sched::{Mutex, WaitQueue};
use linux_raw_sys::general as raw;

/// The largest value of a counter.
const MOST: u64 = u64::MAX - 1;

/// A counter.
pub struct Event {
    count: Mutex<u64>,
    /// A read takes 1, and not all there is (EFD_SEMAPHORE).
    semaphore: bool,
    /// Threads that wait for a counter above 0, and for room.
    readers: WaitQueue,
    writers: WaitQueue,
}

impl Event {
    /// A counter that begins at a value.
    pub fn new(count: u32, semaphore: bool) -> Self {
        let (readers, writers) = (WaitQueue::new(), WaitQueue::new());
        Self { count: Mutex::new(count.into()), semaphore, readers, writers }
    }

    /// Takes what there is, as 8 bytes. With `wait` it sleeps until there is something. Thread context; may sleep.
    ///
    /// # Errors
    /// EINVAL for fewer than 8 bytes, EAGAIN without `wait`, ERESTARTSYS.
    pub fn read(&self, to: &mut [u8], wait: bool) -> Result<usize, Errno> {
        let to = to.first_chunk_mut::<8>().ok_or(Errno::EINVAL)?;
        let taken = self.readers.wait_unless(
            || !wait || asks::interrupted(),
            || {
                let mut count = self.count.lock();
                let taken = if self.semaphore { (*count).min(1) } else { *count };
                *count -= taken;
                (taken != 0).then_some(taken)
            },
        );
        *to = taken.map_err(|_| cut(wait))?.to_le_bytes();
        self.writers.wake_all();
        changes::changed();
        Ok(8)
    }

    /// Adds a number of 8 bytes. With `wait` it sleeps until there is room. Thread context; may sleep.
    ///
    /// # Errors
    /// EINVAL for fewer than 8 bytes and for the number of all ones, EAGAIN without `wait`, ERESTARTSYS.
    pub fn write(&self, from: &[u8], wait: bool) -> Result<usize, Errno> {
        let more = u64::from_le_bytes(*from.first_chunk().ok_or(Errno::EINVAL)?);
        if more > MOST {
            return Err(Errno::EINVAL);
        }
        let added = self.writers.wait_unless(
            || !wait || asks::interrupted(),
            || {
                let mut count = self.count.lock();
                let sum = count.checked_add(more).filter(|&sum| sum <= MOST)?;
                *count = sum;
                Some(())
            },
        );
        added.map_err(|_| cut(wait))?;
        self.readers.wake_all();
        changes::changed();
        Ok(8)
    }

    pub(super) fn readiness(&self) -> u32 {
        let count = *self.count.lock();
        let input = if count > 0 { raw::POLLIN | raw::POLLRDNORM } else { 0 };
        let output = if count < MOST { raw::POLLOUT | raw::POLLWRNORM } else { 0 };
        input | output
    }
}
