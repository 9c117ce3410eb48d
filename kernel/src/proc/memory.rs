//! `/proc/PID/mem`.

use crate::errno::Errno;
use crate::fs::node::Content;
use crate::space::{Right, Space};
use crate::task::Subject;
use alloc::sync::Weak;

/// The memory that a process had when the file was opened. Once no process has that memory any more (after execve or the end), reads and
/// writes give 0 bytes, as on Linux.
pub struct Memory(Weak<Space>);

impl Memory {
    /// The memory that a process or task has now: none, if it is a zombie.
    pub fn of(subject: &Subject) -> Self {
        Self(subject.space().map_or_else(Weak::new, |space| alloc::sync::Arc::downgrade(&space)))
    }
}

/// The result of a transfer: EIO if not even the first byte could be transferred.
fn done(count: usize) -> Result<usize, Errno> {
    if count == 0 { Err(Errno::EIO) } else { Ok(count) }
}

impl Content for Memory {
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize, Errno> {
        let Some(space) = self.0.upgrade() else { return Ok(0) };
        done(space.peek(offset, to, Right::Tracer))
    }

    fn write(&self, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        let Some(space) = self.0.upgrade() else { return Ok(0) };
        done(space.poke(offset, from, Right::Tracer))
    }
}
