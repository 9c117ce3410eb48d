//! The buffer of a pipe: what read(2) and write(2) on its ends do, and when they have to wait.
//!
//! The bytes are counted exactly: a pipe of 65536 bytes takes 65536 bytes. (Linux counts pages, and a page that a short write began
//! can be full early.) Waiting, waking, signals and O_NONBLOCK are the kernel's: an operation that has to wait is an outcome here.

use alloc::collections::VecDeque;

use linux_raw_sys::general::PIPE_BUF;

use crate::{PAGE_SIZE, PipeError};

/// What a read yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Read {
    /// So many bytes were read, at least one unless none was asked for.
    Bytes(usize),
    /// Nothing is there and nobody has the pipe open for writing.
    EndOfFile,
    /// Nothing is there yet. Without O_NONBLOCK wait until it is; with it, EAGAIN.
    WouldWait,
}

/// What a write yields.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write {
    /// So many bytes were written, at least one unless none was to be written. For the rest, wait.
    Bytes(usize),
    /// There is no room yet: not for one byte, or not for all of a write that must not be torn. Without O_NONBLOCK wait until there
    /// is; with it, EAGAIN.
    WouldWait,
    /// Nobody has the pipe open for reading: SIGPIPE and EPIPE.
    Broken,
}

bitflags::bitflags! {
    /// What poll(2) shows of one end, with poll's values.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Readiness: u16 {
        /// A read yields bytes.
        const IN = linux_raw_sys::general::POLLIN as u16;
        /// A write of PIPE_BUF bytes does not wait.
        const OUT = linux_raw_sys::general::POLLOUT as u16;
        /// At the end for writing: nobody has the pipe open for reading.
        const ERROR = linux_raw_sys::general::POLLERR as u16;
        /// At the end for reading: nobody has the pipe open for writing any more.
        const HANG_UP = linux_raw_sys::general::POLLHUP as u16;
    }
}

/// The buffer of one pipe, and how many open files it has at each end.
///
/// The buffer's memory is allocated as it is needed, and kept until the pipe is dropped or its size is set.
#[derive(Debug)]
pub struct Pipe {
    bytes: VecDeque<u8>,
    size: usize,
    readers: u32,
    writers: u32,
    reader_opens: u64,
    writer_opens: u64,
}

impl Pipe {
    /// The size of a new pipe's buffer in bytes.
    pub const SIZE: usize = 65536;
    /// The largest size that is not reserved to root: Linux's default of `/proc/sys/fs/pipe-max-size`.
    pub const MAX_SIZE: usize = 1 << 20;
    /// Writes of up to this many bytes are not torn.
    pub const ATOMIC: usize = PIPE_BUF as usize;

    /// An empty pipe with no ends.
    pub const fn new() -> Self {
        Self {
            bytes: VecDeque::new(),
            size: Self::SIZE,
            readers: 0,
            writers: 0,
            reader_opens: 0,
            writer_opens: 0,
        }
    }

    /// Notes an open file that can read. One for both directions is noted at both ends.
    pub fn add_reader(&mut self) {
        self.readers += 1;
        self.reader_opens += 1;
    }

    /// Notes an open file that can write.
    pub fn add_writer(&mut self) {
        self.writers += 1;
        self.writer_opens += 1;
    }

    /// Notes the end of an open file that could read. Writers that wait have to be woken if it was the last.
    pub fn remove_reader(&mut self) {
        self.readers = self.readers.saturating_sub(1);
    }

    /// Notes the end of an open file that could write. Readers that wait have to be woken if it was the last.
    pub fn remove_writer(&mut self) {
        self.writers = self.writers.saturating_sub(1);
    }

    /// How many open files can read.
    pub fn readers(&self) -> u32 {
        self.readers
    }

    /// How many open files can write.
    pub fn writers(&self) -> u32 {
        self.writers
    }

    /// How often readers were added. open(2) of a named pipe for writing waits until this changes, and not until there is a reader:
    /// the reader may be gone again when the opener runs.
    pub fn reader_opens(&self) -> u64 {
        self.reader_opens
    }

    /// How often writers were added, for open(2) of a named pipe for reading.
    pub fn writer_opens(&self) -> u64 {
        self.writer_opens
    }

    /// How many bytes can be read: FIONREAD.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing can be read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The size of the buffer in bytes: F_GETPIPE_SZ.
    pub fn size(&self) -> usize {
        self.size
    }

    fn room(&self) -> usize {
        self.size.saturating_sub(self.bytes.len())
    }

    /// Takes bytes out.
    pub fn read(&mut self, to: &mut [u8]) -> Read {
        let outcome = self.peek(to);
        if let Read::Bytes(count) = outcome {
            self.consume(count);
        }
        outcome
    }

    /// Copies bytes out and leaves them in the pipe, for a reader whose memory may turn out to be bad: [`Pipe::consume`] follows.
    pub fn peek(&self, to: &mut [u8]) -> Read {
        if to.is_empty() {
            return Read::Bytes(0);
        }
        if self.bytes.is_empty() {
            return if self.writers == 0 { Read::EndOfFile } else { Read::WouldWait };
        }
        let (front, back) = self.bytes.as_slices();
        let from_front = front.len().min(to.len());
        let from_back = back.len().min(to.len() - from_front);
        to[..from_front].copy_from_slice(&front[..from_front]);
        to[from_front..from_front + from_back].copy_from_slice(&back[..from_back]);
        Read::Bytes(from_front + from_back)
    }

    /// Drops bytes that [`Pipe::peek`] copied.
    pub fn consume(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
    }

    /// Puts bytes in: all of them or none if they are at most [`Pipe::ATOMIC`], else as many as there is room for.
    ///
    /// # Errors
    /// `NoMemory`.
    pub fn write(&mut self, from: &[u8]) -> Result<Write, PipeError> {
        if from.is_empty() {
            return Ok(Write::Bytes(0));
        }
        if self.readers == 0 {
            return Ok(Write::Broken);
        }
        let room = self.room();
        if room == 0 || (from.len() <= Self::ATOMIC && from.len() > room) {
            return Ok(Write::WouldWait);
        }
        let count = from.len().min(room);
        self.bytes.try_reserve(count).map_err(|_| PipeError::NoMemory)?;
        self.bytes.extend(&from[..count]);
        Ok(Write::Bytes(count))
    }

    /// F_SETPIPE_SZ: sets the size of the buffer, rounded up to a power of two of pages. Returns the new size.
    ///
    /// # Errors
    /// `Invalid`, `NotPermitted`, `Busy`; nothing has changed then.
    pub fn set_size(&mut self, size: usize, root: bool) -> Result<usize, PipeError> {
        if size > 1 << 31 {
            return Err(PipeError::Invalid);
        }
        let size = size.max(PAGE_SIZE).next_power_of_two();
        if size > self.size && size > Self::MAX_SIZE && !root {
            return Err(PipeError::NotPermitted);
        }
        if size < self.bytes.len() {
            return Err(PipeError::Busy);
        }
        if size < self.size {
            self.bytes.shrink_to(self.bytes.len());
        }
        self.size = size;
        Ok(size)
    }

    /// What poll(2) shows at the end for reading.
    pub fn read_readiness(&self) -> Readiness {
        let mut ready = Readiness::empty();
        ready.set(Readiness::IN, !self.bytes.is_empty());
        // A named pipe that was never opened for writing has not lost its writers.
        ready.set(Readiness::HANG_UP, self.writers == 0 && self.writer_opens > 0);
        ready
    }

    /// What poll(2) shows at the end for writing.
    pub fn write_readiness(&self) -> Readiness {
        let mut ready = Readiness::empty();
        ready.set(Readiness::OUT, self.room() >= Self::ATOMIC);
        ready.set(Readiness::ERROR, self.readers == 0);
        ready
    }
}

impl Default for Pipe {
    fn default() -> Self {
        Self::new()
    }
}
