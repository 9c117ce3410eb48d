//! Pipes (the crate `files` has the buffer): waiting, and what becomes of a pipe when its ends are closed.

use super::poll;
use crate::sched::{Mutex, WaitQueue};
use crate::syscall::Errno;
use crate::task;
use alloc::sync::Arc;
use files::{PipeError, Read, Readiness, Write};
use linux_raw_sys::general as raw;
use signals::Signal;

/// A pipe, and who waits for it.
pub struct Pipe {
    buffer: Mutex<files::Pipe>,
    readers: WaitQueue,
    writers: WaitQueue,
}

/// One open end of a pipe. Dropping it may sleep, and wakes those at the other end.
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    /// Whether this is the end for writing.
    writes: bool,
}

/// A new pipe: its end for reading, and its end for writing.
pub fn pipe() -> (PipeEnd, PipeEnd) {
    let mut buffer = files::Pipe::new();
    buffer.add_reader();
    buffer.add_writer();
    let pipe =
        Arc::new(Pipe { buffer: Mutex::new(buffer), readers: WaitQueue::new(), writers: WaitQueue::new() });
    (PipeEnd { pipe: pipe.clone(), writes: false }, PipeEnd { pipe, writes: true })
}

/// The error of a wait that has ended before its condition held: `wait` says whether there was a wait.
pub(super) fn cut(wait: bool) -> Errno {
    if wait { Errno::ERESTARTSYS } else { Errno::EAGAIN }
}

impl PipeEnd {
    /// Takes bytes out. With `wait` it sleeps until there are some.
    ///
    /// # Errors
    /// EAGAIN without `wait`, ERESTARTSYS.
    pub fn read(&self, to: &mut [u8], wait: bool) -> Result<usize, Errno> {
        let pipe = &*self.pipe;
        let outcome = pipe.readers.wait_unless(
            || !wait || task::interrupted(),
            || match pipe.buffer.lock().read(to) {
                Read::Bytes(count) => Some(count),
                Read::EndOfFile => Some(0),
                Read::WouldWait => None,
            },
        );
        let count = outcome.map_err(|_| cut(wait))?;
        if count > 0 {
            pipe.writers.wake_all();
            poll::changed();
        }
        Ok(count)
    }

    /// Puts bytes in: all or none if there are at most [`files::Pipe::ATOMIC`]. With `wait` it sleeps until there is room.
    ///
    /// # Errors
    /// EPIPE, EAGAIN without `wait`, ERESTARTSYS, ENOMEM.
    pub fn write(&self, from: &[u8], wait: bool) -> Result<usize, Errno> {
        let pipe = &*self.pipe;
        let outcome = pipe.writers.wait_unless(
            || !wait || task::interrupted(),
            || match pipe.buffer.lock().write(from) {
                Ok(Write::Bytes(count)) => Some(Ok(count)),
                Ok(Write::Broken) => Some(Err(Errno::EPIPE)),
                Ok(Write::WouldWait) => None,
                Err(error) => Some(Err(error.into())),
            },
        );
        let written = outcome.map_err(|_| cut(wait))?;
        if written == Err(Errno::EPIPE) {
            task::raise(Signal::SIGPIPE);
        }
        let count = written?;
        if count > 0 {
            pipe.readers.wake_all();
            poll::changed();
        }
        Ok(count)
    }

    /// How many bytes can be read: FIONREAD.
    pub fn queued(&self) -> usize {
        self.pipe.buffer.lock().len()
    }

    /// The size of the buffer: F_GETPIPE_SZ.
    pub fn size(&self) -> usize {
        self.pipe.buffer.lock().size()
    }

    /// Sets the size of the buffer: F_SETPIPE_SZ. Returns the new size.
    ///
    /// # Errors
    /// EINVAL, EPERM, EBUSY.
    pub fn set_size(&self, size: usize, root: bool) -> Result<usize, Errno> {
        let size = self.pipe.buffer.lock().set_size(size, root)?;
        self.pipe.writers.wake_all();
        poll::changed();
        Ok(size)
    }

    /// The number that stat(2) shows: no other pipe has it meanwhile.
    pub fn number(&self) -> u64 {
        Arc::as_ptr(&self.pipe).addr() as u64 & 0xffff_ffff
    }

    pub(super) fn readiness(&self) -> u32 {
        let buffer = self.pipe.buffer.lock();
        let ready = if self.writes { buffer.write_readiness() } else { buffer.read_readiness() };
        let mut bits = u32::from(ready.bits());
        if ready.contains(Readiness::IN) {
            bits |= raw::POLLRDNORM;
        }
        if ready.contains(Readiness::OUT) {
            bits |= raw::POLLWRNORM;
        }
        bits
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        {
            let mut buffer = self.pipe.buffer.lock();
            if self.writes { buffer.remove_writer() } else { buffer.remove_reader() }
        }
        self.pipe.readers.wake_all();
        self.pipe.writers.wake_all();
        poll::changed();
    }
}

impl From<PipeError> for Errno {
    fn from(error: PipeError) -> Self {
        Self::new(error.errno() as u32)
    }
}
