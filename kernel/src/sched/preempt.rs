//! Whether the running thread may be switched away, and whether it may sleep.

use super::thread::current;
use crate::debug;
use crate::drivers::gic::{self, Target};
use crate::irq::{off, sgi};
use core::marker::PhantomData;
use core::panic::Location;

/// The running thread is not switched away while this value lives. It stays on its CPU, and interrupts are handled. Values nest.
pub struct Off {
    /// Makes the value neither `Send` nor `Sync`, because it belongs to one thread.
    local: PhantomData<*const ()>,
}

impl Off {
    /// Switches preemption off. Any context.
    #[track_caller]
    pub fn new() -> Self {
        if let Some(thread) = current() {
            let preemption = &thread.preemption;
            if preemption.count.get() == 0 {
                preemption.since.set(Some(Location::caller()));
            }
            preemption.count.set(preemption.count.get() + 1);
        }
        Self { local: PhantomData }
    }
}

impl Default for Off {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Off {
    fn drop(&mut self) {
        let Some(thread) = current() else { return };
        let count = thread.preemption.count.get() - 1;
        thread.preemption.count.set(count);
        if count == 0 {
            make_up();
        }
    }
}

/// Switches now, because a switch became due while preemption was off, or makes sure that the next interrupt does.
fn make_up() {
    if !debug::this().reschedule_wanted() {
        return;
    }
    if off::enabled() && debug::this().depth.get() == 0 {
        // As for a reschedule that a step has put off (M8): the way out of this interrupt switches.
        gic::send_sgi(sgi::RESCHEDULE, Target::Me);
    }
}

/// Says that the caller may sleep here. Checked builds end the kernel if it must not, and say since when: a sleeping lock taken with
/// preemption off, with interrupts off, or in a debug context works until somebody else holds the lock (rule T8).
///
/// # Panics
/// In checked builds, if the caller must not sleep.
#[inline(always)]
#[track_caller]
pub fn might_sleep() {
    #[cfg(debug_assertions)]
    check(Location::caller());
}

/// Whether the caller may sleep: as [`might_sleep`], which ends the kernel if not. Any context.
pub fn may_sleep() -> bool {
    debug::this().depth.get() == 0
        && off::enabled()
        && current().is_some_and(|thread| thread.preemption.is_on())
}

#[cfg(debug_assertions)]
fn check(at: &Location) {
    if debug::this().depth.get() != 0 {
        panic!("{at} may sleep, in a debug context (rule T8)");
    }
    if !off::enabled() {
        panic!("{at} may sleep, with interrupts off (rule T8)");
    }
    if let Some(thread) = current()
        && !thread.preemption.is_on()
    {
        match thread.preemption.since.get() {
            Some(since) => panic!("{at} may sleep, with preemption off since {since} (rule T8)"),
            None => panic!("{at} may sleep, with preemption off (rule T8)"),
        }
    }
}
