//! Pipes (the crate `files` has the buffer): waiting, and what becomes of a pipe when its ends are closed.

use super::asks;
use super::owner::{Event, Listeners};
use super::{FileObject, changes};
use crate::errno::Errno;
use crate::sched::{Mutex, WaitQueue};
use alloc::sync::Arc;
use files::{PipeError, Read, Readiness, Write};
use linux_raw_sys::general as raw;

/// A pipe, and who waits for it.
pub struct Pipe {
    buffer: Mutex<files::Pipe>,
    readers: WaitQueue,
    writers: WaitQueue,
    /// The open files with O_ASYNC that read, and those that write.
    reading: Listeners,
    writing: Listeners,
}

impl Pipe {
    /// A pipe that nobody has open.
    pub(super) const fn new() -> Self {
        let buffer = Mutex::new(files::Pipe::new());
        Self {
            buffer,
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
            reading: Listeners::new(),
            writing: Listeners::new(),
        }
    }

    /// Something can be read now.
    fn has_input(&self) {
        self.readers.wake_all();
        changes::changed();
        self.reading.tell(Event::Input);
    }

    /// Something can be written now.
    fn has_room(&self) {
        self.writers.wake_all();
        changes::changed();
        self.writing.tell(Event::Room);
    }

    /// The number that stat(2) shows: no other pipe has it meanwhile.
    pub fn number(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64 & 0xffff_ffff
    }
}

/// One open end of a pipe, or both ends of a named one. Dropping it may sleep, and wakes those at the other end.
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// The inode of a named pipe.
    object: Option<Arc<FileObject>>,
}

/// A new pipe: its end for reading, and its end for writing.
pub fn pipe() -> (PipeEnd, PipeEnd) {
    let pipe = Arc::new(Pipe::new());
    let end = |reads, writes| PipeEnd::new(pipe.clone(), None, reads, writes);
    (end(true, false), end(false, true))
}

/// The error of a wait that has ended before its condition held: `wait` says whether there was a wait.
pub(super) fn cut(wait: bool) -> Errno {
    if wait { Errno::ERESTARTSYS } else { Errno::EAGAIN }
}

impl PipeEnd {
    /// Notes an open file.
    fn new(pipe: Arc<Pipe>, object: Option<Arc<FileObject>>, reads: bool, writes: bool) -> Self {
        {
            let mut buffer = pipe.buffer.lock();
            if reads {
                buffer.add_reader();
            }
            if writes {
                buffer.add_writer();
            }
        }
        Self { pipe, reads, writes, object }
    }

    /// Opens a named pipe, as [`super::fifo::open`] says.
    pub(super) fn open(
        pipe: Arc<Pipe>,
        object: Arc<FileObject>,
        reads: bool,
        writes: bool,
        wait: bool,
    ) -> Result<Self, Errno> {
        let (readers, writers, reader_opens, writer_opens) = {
            let buffer = pipe.buffer.lock();
            (buffer.readers(), buffer.writers(), buffer.reader_opens(), buffer.writer_opens())
        };
        if !reads && !wait && readers == 0 {
            return Err(Errno::ENXIO);
        }
        let end = Self::new(pipe, Some(object), reads, writes);
        let pipe = &*end.pipe;
        pipe.readers.wake_all();
        pipe.writers.wake_all();
        changes::changed();
        // The other end may be closed again when this thread runs: what counts is that it was opened.
        let met = match (reads, writes) {
            (true, false) if wait && writers == 0 => pipe.readers.wait_unless(asks::interrupted, || {
                (pipe.buffer.lock().writer_opens() != writer_opens).then_some(())
            }),
            (false, true) if readers == 0 => pipe.writers.wait_unless(asks::interrupted, || {
                (pipe.buffer.lock().reader_opens() != reader_opens).then_some(())
            }),
            _ => Ok(()),
        };
        met.map_err(|_| Errno::ERESTARTSYS)?;
        Ok(end)
    }

    /// Opens a pipe without a name, by its link in `/proc/PID/fd`.
    pub(super) fn reopen(pipe: Arc<Pipe>, reads: bool, writes: bool) -> Self {
        Self::new(pipe, None, reads, writes)
    }

    /// The pipe.
    pub fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// The inode of a named pipe.
    pub fn object(&self) -> Option<&Arc<FileObject>> {
        self.object.as_ref()
    }

    /// Copies bytes to `piece` and gives them to `take`; they leave the pipe only if `take` succeeds. With `wait` it sleeps until there are
    /// some. The pipe's lock is held meanwhile, so that other readers get the bytes that follow.
    ///
    /// # Errors
    /// EAGAIN without `wait`, ERESTARTSYS, and those of `take`.
    pub fn read(
        &self,
        piece: &mut [u8],
        wait: bool,
        mut take: impl FnMut(&[u8]) -> Result<(), Errno>,
    ) -> Result<usize, Errno> {
        let pipe = &*self.pipe;
        let outcome = pipe.readers.wait_unless(
            || !wait || asks::interrupted(),
            || {
                let mut buffer = pipe.buffer.lock();
                match buffer.peek(piece) {
                    Read::Bytes(count) => Some(take(&piece[..count]).map(|()| {
                        buffer.consume(count);
                        count
                    })),
                    Read::EndOfFile => Some(Ok(0)),
                    Read::WouldWait => None,
                }
            },
        );
        let count = outcome.map_err(|_| cut(wait))??;
        if count > 0 {
            pipe.has_room();
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
            || !wait || asks::interrupted(),
            || match pipe.buffer.lock().write(from) {
                Ok(Write::Bytes(count)) => Some(Ok(count)),
                Ok(Write::Broken) => Some(Err(Errno::EPIPE)),
                Ok(Write::WouldWait) => None,
                Err(error) => Some(Err(error.into())),
            },
        );
        let written = outcome.map_err(|_| cut(wait))?;
        if written == Err(Errno::EPIPE) {
            asks::broken_pipe();
        }
        let count = written?;
        if count > 0 {
            pipe.has_input();
        }
        Ok(count)
    }

    /// Who listens to this end with O_ASYNC.
    pub(super) fn listeners(&self) -> [Option<&Listeners>; 2] {
        [self.reads.then_some(&self.pipe.reading), self.writes.then_some(&self.pipe.writing)]
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
        changes::changed();
        Ok(size)
    }

    pub(super) fn readiness(&self) -> u32 {
        let buffer = self.pipe.buffer.lock();
        let mut ready = Readiness::empty();
        if self.reads {
            ready |= buffer.read_readiness();
        }
        if self.writes {
            ready |= buffer.write_readiness();
        }
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
            if self.reads {
                buffer.remove_reader();
            }
            if self.writes {
                buffer.remove_writer();
            }
        }
        self.pipe.has_input();
        self.pipe.has_room();
    }
}

impl From<PipeError> for Errno {
    fn from(error: PipeError) -> Self {
        Self::new(error.errno() as u32)
    }
}
