//! Waiting for a change of what can be read and written.
//!
//! Whoever waits for several files waits in one queue for all files: a change anywhere has each of them look at its files again.

use crate::sched::WaitQueue;

/// Those that wait in poll or select.
pub static CHANGED: WaitQueue = WaitQueue::new();

/// Has those that wait look at their files again. Thread and interrupt context.
pub fn changed() {
    CHANGED.wake_all();
}
