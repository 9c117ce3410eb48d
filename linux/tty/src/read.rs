//! Reading what was typed.

use linux_raw_sys::general::{VMIN, VTIME};

use crate::Tty;
use crate::queue::Kind;

/// What a `read` does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Read {
    /// The call returns this many bytes. 0 is the end of the file (VEOF at the beginning of a line), or VMIN is 0 and nothing is
    /// there.
    Return(usize),
    /// The call waits for input and then calls [`Tty::read`] again with the same buffer and this `done`.
    ///
    /// If the wait ends in another way, the call returns `done` bytes; if `done` is 0, it returns 0 if the time ran out,
    /// -EAGAIN if it must not wait (O_NONBLOCK), or restarts or returns -EINTR after a signal. If a further call fills no byte more,
    /// the time goes on from where it was.
    Wait {
        /// How many bytes of the buffer are filled.
        done: usize,
        /// How long to wait from now on, in tenths of a second (VTIME). `None`: for ever.
        tenths: Option<u8>,
    },
}

impl Tty {
    /// Reads into `buffer`, of which `done` bytes are filled by earlier calls of the same `read`; 0 at first.
    ///
    /// With ICANON this is at most one line. A line longer than the buffer is read in parts. If VEOF ended the line, its part is
    /// returned without a further byte, and a part that fills the buffer up to VEOF takes VEOF with it: the next read waits.
    ///
    /// Without ICANON, VMIN and VTIME say when the call returns:
    ///
    /// | VMIN | VTIME | returns |
    /// |---|---|---|
    /// | > 0 | 0 | once VMIN bytes are there, or the buffer is full |
    /// | > 0 | > 0 | as before, or VTIME after the last byte; waits for ever for the first byte |
    /// | 0 | > 0 | once a byte is there, or after VTIME |
    /// | 0 | 0 | at once |
    pub fn read(&mut self, buffer: &mut [u8], done: usize) -> Read {
        let done = done.min(buffer.len());
        if done == buffer.len() {
            return Read::Return(done);
        }
        if self.is_canonical() { self.read_line(buffer, done) } else { self.read_bytes(buffer, done) }
    }

    fn read_line(&mut self, buffer: &mut [u8], done: usize) -> Read {
        if self.queue.whole() == 0 {
            // `done` is not 0 if ICANON was set while the call waited for more bytes: what it has is enough.
            return if done > 0 { Read::Return(done) } else { Read::Wait { done, tenths: None } };
        }
        let mut done = done;
        while done < buffer.len() {
            let Some((byte, kind)) = self.queue.pop() else { break };
            if kind != Kind::Eof {
                buffer[done] = byte;
                done += 1;
            }
            if kind != Kind::Plain || self.queue.whole() == 0 {
                return Read::Return(done);
            }
        }
        if matches!(self.queue.first(), Some((_, Kind::Eof))) {
            self.queue.pop();
        }
        Read::Return(done)
    }

    fn read_bytes(&mut self, buffer: &mut [u8], done: usize) -> Read {
        let mut done = done;
        while done < buffer.len() {
            let Some((byte, _)) = self.queue.pop() else { break };
            buffer[done] = byte;
            done += 1;
        }
        let (minimum, tenths) = (self.termios.character(VMIN), self.termios.character(VTIME));
        let enough = usize::from(minimum.max(1)).min(buffer.len());
        let tenths = match minimum {
            _ if done >= enough => return Read::Return(done),
            0 if tenths == 0 => return Read::Return(done),
            0 => Some(tenths),
            // The time between two bytes starts with the first byte.
            _ if done > 0 && tenths > 0 => Some(tenths),
            _ => None,
        };
        Read::Wait { done, tenths }
    }

    /// Whether `poll` says that there is something to read: a line, or without ICANON VMIN bytes, or any byte if VTIME is set.
    pub fn is_readable(&self) -> bool {
        if self.is_canonical() {
            return self.queue.whole() > 0;
        }
        let (minimum, tenths) = (self.termios.character(VMIN), self.termios.character(VTIME));
        let wanted = if tenths == 0 { usize::from(minimum.max(1)) } else { 1 };
        self.queue.len() >= wanted
    }
}
