//! Open files that are no part of the tree and that `fs` knows nothing of, such as events.

use crate::errno::Errno;
use files::Readiness;

/// What an open file does that knows by itself what it is. All functions are called in thread context, and may sleep; dropping the value
/// may sleep too.
pub trait Special: Send + Sync {
    /// Reads. Returns how many bytes there were.
    ///
    /// # Errors
    /// Linux's.
    fn read(&self, to: &mut [u8]) -> Result<usize, Errno>;

    /// ioctl.
    ///
    /// # Errors
    /// ENOTTY for a request that the file does not know, and Linux's.
    fn control(&self, request: u32, argument: u64) -> Result<u64, Errno>;

    /// For what `poll` finds the file ready.
    fn readiness(&self) -> Readiness;
}
