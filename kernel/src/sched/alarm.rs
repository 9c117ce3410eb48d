//! Threads that are woken at an instant.

use super::programs::end_wait;
use super::thread::current;
use crate::clock;
use crate::sync::IrqMutex;
use alloc::collections::BTreeSet;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use scheduler::TaskId;

/// The instants, in nanoseconds, and the threads to be woken then.
static ALARMS: IrqMutex<BTreeSet<(u64, u64)>> = IrqMutex::new(BTreeSet::new());
/// The first of the instants, to be read without the lock.
static NEXT: AtomicU64 = AtomicU64::new(u64::MAX);

/// Wakes the running thread at an instant, or at the next tick after it, unless the value is dropped before.
pub struct Alarm(u64, u64);

impl Alarm {
    /// An alarm for the running thread, at so many nanoseconds ([`clock::nanoseconds`]). Thread context.
    pub fn at(instant: u64) -> Self {
        let me = current().map_or(0, |thread| thread.id().to_bits());
        let mut alarms = ALARMS.lock();
        alarms.insert((instant, me));
        publish(&alarms);
        Self(instant, me)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut alarms = ALARMS.lock();
        alarms.remove(&(self.0, self.1));
        publish(&alarms);
    }
}

fn publish(alarms: &BTreeSet<(u64, u64)>) {
    NEXT.store(alarms.first().map_or(u64::MAX, |(instant, _)| *instant), Relaxed);
}

/// Wakes the threads whose instant has come. The timer's handler calls this.
pub(super) fn tick() {
    if clock::nanoseconds() < NEXT.load(Relaxed) {
        return;
    }
    while let Some(thread) = due() {
        end_wait(TaskId::from_bits(thread));
    }
}

fn due() -> Option<u64> {
    let mut alarms = ALARMS.lock();
    let &(instant, thread) = alarms.first()?;
    if instant > clock::nanoseconds() {
        return None;
    }
    alarms.pop_first();
    publish(&alarms);
    Some(thread)
}
