//! Clocks.

use crate::errno::Errno;
use crate::exception::Frame;
use crate::task::{Task, user};

/// clock_gettime. All clocks count from the start of the machine.
pub fn clock_gettime(_: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [clock, to, ..] = frame.x;
    if clock > 11 {
        return Err(Errno::EINVAL);
    }
    let now = crate::clock::nanoseconds();
    user::put(to, [now / 1_000_000_000, now % 1_000_000_000])?;
    Ok(0)
}
