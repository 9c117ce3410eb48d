//! What poll and select share: the time they wait, and the wait.

use crate::clock;
use crate::errno::Errno;
use crate::fs::changes::CHANGED;
use crate::sched::Alarm;
use crate::task::{self, Task, user};
use signals::SigSet;

/// Until when a call waits.
pub struct Timeout {
    /// In nanoseconds since the machine's start; None is for ever.
    deadline: Option<u64>,
    /// Where the program's `struct timespec` is: Linux writes there what is left of the time.
    address: u64,
}

impl Timeout {
    /// The time that a program's `struct timespec` gives; address 0 is for ever.
    ///
    /// # Errors
    /// EFAULT, EINVAL.
    pub fn new(address: u64) -> Result<Self, Errno> {
        if address == 0 {
            return Ok(Self { deadline: None, address });
        }
        let [seconds, nanoseconds] = user::get::<[u64; 2]>(address)?;
        if seconds > i64::MAX as u64 || nanoseconds >= 1_000_000_000 {
            return Err(Errno::EINVAL);
        }
        let length = seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
        Ok(Self { deadline: Some(clock::nanoseconds().saturating_add(length)), address })
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| clock::nanoseconds() >= deadline)
    }

    /// Waits until `look` finds something (not 0), or the time is over: then 0.
    ///
    /// # Errors
    /// ERESTARTNOHAND.
    pub fn wait(&self, mut look: impl FnMut() -> u64) -> Result<u64, Errno> {
        let _alarm = self.deadline.filter(|_| !self.is_over()).map(Alarm::at);
        let found = CHANGED.wait_unless(task::interrupted, || match look() {
            0 if self.is_over() => Some(0),
            0 => None,
            found => Some(found),
        });
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_sub(clock::nanoseconds());
            // As in Linux, a time in memory that cannot be written is no error.
            let _ = user::put(self.address, [left / 1_000_000_000, left % 1_000_000_000]);
        }
        found.map_err(|_| Errno::ERESTARTNOHAND)
    }
}

/// Has the task block other signals until the call has ended: those of the set at an address; 0 is no change.
///
/// # Errors
/// EFAULT, EINVAL for a set of another size.
pub fn block(task: &Task, set: u64, size: u64) -> Result<(), Errno> {
    if set == 0 {
        return Ok(());
    }
    if size != size_of::<u64>() as u64 {
        return Err(Errno::EINVAL);
    }
    task.set_blocked_for_call(SigSet(user::get::<u64>(set)?));
    Ok(())
}

/// Ends what [`block`] has begun, unless a signal has cut the call short: then the mask comes back behind the signal's handler.
pub fn unblock(task: &Task, result: &Result<u64, Errno>) {
    if *result != Err(Errno::ERESTARTNOHAND) {
        task.restore_blocked();
    }
}
