//! What is done before a task goes back to EL0.

use super::process::end_task;
use crate::arch::daif;
use crate::exception::Frame;
use core::sync::atomic::Ordering::Relaxed;

/// Does one thing that is left to be done before the running task goes on at EL0. Returns true if nothing was left. All exceptions are masked.
#[inline(never)]
pub(super) fn leave(_: &mut Frame) -> bool {
    let Some(task) = super::current() else { return true };
    if task.process.ends.load(Relaxed) {
        daif::clear::<{ daif::ALL }>();
        end_task();
    }
    task.load_fp();
    true
}
