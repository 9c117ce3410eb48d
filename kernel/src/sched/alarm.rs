//! Threads that are woken at an instant of the machine's clock, or of CLOCK_REALTIME, which can be set meanwhile.

use super::programs::{end_wait, end_wait_in_handler};
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

/// The threads whose alarms are for an instant of CLOCK_REALTIME.
static OF_REALTIME: IrqMutex<BTreeSet<u64>> = IrqMutex::new(BTreeSet::new());

/// When something is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// At an instant of the machine's clock ([`clock::nanoseconds`]).
    Monotonic(u64),
    /// At an instant of CLOCK_REALTIME, however it is set.
    Realtime(u64),
}

impl Deadline {
    /// The instant of the machine's clock, as CLOCK_REALTIME is set now. Any context.
    pub fn instant(self) -> u64 {
        match self {
            Self::Monotonic(instant) => instant,
            Self::Realtime(time) => clock::instant_of_realtime(time),
        }
    }

    /// Whether the instant has come. Any context.
    pub fn is_over(self) -> bool {
        clock::nanoseconds() >= self.instant()
    }
}

/// Wakes the running thread at an instant, or at the next tick after it, unless the value is dropped before.
pub struct Alarm {
    deadline: Deadline,
    instant: u64,
    thread: u64,
}

impl Alarm {
    /// An alarm for the running thread, at so many nanoseconds ([`clock::nanoseconds`]). Thread context.
    pub fn at(instant: u64) -> Self {
        Self::until(Deadline::Monotonic(instant))
    }

    /// An alarm for the running thread. If CLOCK_REALTIME is set, the thread of an alarm for an instant of that clock is woken too, and calls
    /// [`renew`](Self::renew). Thread context.
    pub fn until(deadline: Deadline) -> Self {
        let thread = current().map_or(0, |thread| thread.id().to_bits());
        // Noted before the clock is read: who sets the clock later wakes this thread.
        if matches!(deadline, Deadline::Realtime(_)) {
            OF_REALTIME.lock().insert(thread);
        }
        let alarm = Self { deadline, instant: deadline.instant(), thread };
        let mut alarms = ALARMS.lock();
        alarms.insert((alarm.instant, thread));
        publish(&alarms);
        alarm
    }

    /// Moves the alarm to where its instant is now. Called between [`prepare_to_sleep`](super::prepare_to_sleep) and the sleep. Thread context.
    pub fn renew(&mut self) {
        let instant = self.deadline.instant();
        if instant != self.instant {
            let mut alarms = ALARMS.lock();
            alarms.remove(&(self.instant, self.thread));
            alarms.insert((instant, self.thread));
            publish(&alarms);
            self.instant = instant;
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if matches!(self.deadline, Deadline::Realtime(_)) {
            OF_REALTIME.lock().remove(&self.thread);
        }
        let mut alarms = ALARMS.lock();
        alarms.remove(&(self.instant, self.thread));
        publish(&alarms);
    }
}

/// CLOCK_REALTIME was set: wakes the threads that sleep until an instant of it. Thread context.
pub fn realtime_was_set() {
    let mut after = 0;
    loop {
        // One after the other, so that the lock is not held while they are woken.
        let Some(thread) = OF_REALTIME.lock().range(after..).next().copied() else { return };
        end_wait(TaskId::from_bits(thread));
        after = thread + 1;
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
        end_wait_in_handler(TaskId::from_bits(thread));
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
