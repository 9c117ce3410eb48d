//! Sleeping until a condition holds.

use super::run::{prepare_to_sleep, sleep, wake};
use super::thread::current;
use crate::sync::IrqMutex;
use alloc::vec::Vec;
use scheduler::TaskId;

/// The threads that wait for something. Whoever makes the condition hold wakes them afterwards.
pub struct WaitQueue(IrqMutex<Vec<TaskId>>);

/// A wait has ended before its condition held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self(IrqMutex::new(Vec::new()))
    }

    /// Sleeps until `condition` gives a value. Thread context; may sleep.
    pub fn wait<R>(&self, condition: impl FnMut() -> Option<R>) -> R {
        match self.wait_unless(|| false, condition) {
            Ok(value) => value,
            Err(Interrupted) => unreachable!("nothing interrupts this wait"),
        }
    }

    /// Sleeps until `condition` gives a value, or `interrupted` says that there is something more urgent to do. Whoever makes either hold
    /// wakes the thread. Both are called before each sleep, in thread context, and may sleep themselves only on locks.
    ///
    /// # Errors
    /// [`Interrupted`], if `condition` gave no value.
    pub fn wait_unless<R>(
        &self,
        interrupted: impl Fn() -> bool,
        mut condition: impl FnMut() -> Option<R>,
    ) -> Result<R, Interrupted> {
        let me = current().map(|thread| thread.id());
        loop {
            if let Some(value) = condition() {
                return Ok(value);
            }
            if interrupted() {
                return Err(Interrupted);
            }
            // From here on a wake-up is not lost: the condition is looked at once more before the sleep.
            if let Some(me) = me {
                self.0.lock().push(me);
            }
            prepare_to_sleep();
            let value = condition();
            if value.is_none() && !interrupted() {
                sleep();
            }
            if let Some(me) = me {
                self.0.lock().retain(|waiter| *waiter != me);
            }
            if let Some(value) = value {
                return Ok(value);
            }
        }
    }

    /// Wakes all that wait. Thread and interrupt context.
    pub fn wake_all(&self) {
        let mut last = None;
        // One by one, in the order of their numbers: a thread is woken without the queue's lock, and may have left the queue before the
        // next one is looked for.
        while let Some(waiter) = self.behind(last) {
            wake(waiter);
            last = Some(waiter.to_bits());
        }
    }

    /// Wakes the one that has waited longest. Thread and interrupt context.
    pub fn wake_one(&self) {
        let first = self.0.lock().first().copied();
        if let Some(waiter) = first {
            wake(waiter);
        }
    }

    /// The waiter with the lowest number above `last`.
    fn behind(&self, last: Option<u64>) -> Option<TaskId> {
        let waiters = self.0.lock();
        let behind = waiters.iter().filter(|waiter| last.is_none_or(|last| waiter.to_bits() > last));
        behind.min_by_key(|waiter| waiter.to_bits()).copied()
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
