//! Sleeping until a condition holds.

use super::run::{Look, sleep, sleep_until, wake_masked};
use super::thread::{Thread, current};
use super::waiters::{Waiter, Waiters};
use crate::sync::IrqMutex;
use core::ops::DerefMut;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst, fence};
use scheduler::TaskId;

/// The threads that wait for something. Whoever makes the condition hold wakes them afterwards.
pub struct WaitQueue {
    /// Locked before the scheduler.
    waiters: IrqMutex<Waiters>,
    /// Whether somebody waits. Written under the lock.
    any: AtomicBool,
}

/// A wait has ended before its condition held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// A thread that waits at a queue, and leaves the queue when it waits no more.
struct Place<'a> {
    queue: &'a WaitQueue,
    waiter: Waiter,
}

impl Place<'_> {
    #[cold]
    #[inline(never)]
    fn leave(&mut self) {
        // SAFETY: the place was pinned before it joined the queue, and is not moved in here.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let mut waiters = self.queue.waiters.lock();
        waiters.remove(waiter);
        self.queue.note(&waiters);
    }

    fn waiter(self: Pin<&Self>) -> Pin<&Waiter> {
        // SAFETY: the field is pinned as long as the whole is: nothing moves it out.
        unsafe { self.map_unchecked(|place| &place.waiter) }
    }

    /// Joins the end of the queue, whose lock the caller has taken. The place is not in the queue yet.
    #[inline]
    fn join(self: Pin<&Self>, mut waiters: impl DerefMut<Target = Waiters>) {
        // SAFETY: the place is pinned, and removes its waiter when it is dropped.
        unsafe { waiters.add(self.waiter()) };
        self.queue.any.store(true, Relaxed);
        drop(waiters);
        // With the fence in `wake_all`: either the waiter sees that the condition holds, or the waker sees the waiter.
        fence(SeqCst);
    }
}

impl Drop for Place<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.waiter.is_listed() {
            self.leave();
        }
    }
}

/// A thread that is about to wait ([`WaitQueue::wait_under`]).
pub struct Waiting<'a>(Pin<&'a Place<'a>>);

impl Waiting<'_> {
    /// Joins the queue, unless the thread is in it. Who holds the lock under which the condition changes misses no wake-up from here on. The lock
    /// keeps interrupts off.
    #[inline]
    pub fn join(&self) {
        if !self.0.waiter.is_listed() {
            self.0.join(self.0.queue.waiters.lock_masked());
        }
    }
}

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { waiters: IrqMutex::new(Waiters::new()), any: AtomicBool::new(false) }
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
    #[inline]
    pub fn wait_unless<R>(
        &self,
        interrupted: impl Fn() -> bool,
        mut condition: impl FnMut() -> Option<R>,
    ) -> Result<R, Interrupted> {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if interrupted() {
            return Err(Interrupted);
        }
        // Before the scheduler has started there is nobody to switch to, and `sleep` returns at once.
        let me = current().map_or(TaskId::from_bits(0), Thread::id);
        let place = pin!(Place { queue: self, waiter: Waiter::new(me) });
        let place = place.as_ref();
        loop {
            if place.waiter.is_listed() {
                // Wake-ups since the thread has joined end this sleep at once. An earlier one does so at most once.
                sleep();
            } else {
                // Whoever wakes the threads of the queue also takes them out. From here on a wake-up is not lost: the condition is looked
                // at once more before the sleep.
                place.join(self.waiters.lock());
            }
            if let Some(value) = condition() {
                return Ok(value);
            }
            if interrupted() {
                return Err(Interrupted);
            }
        }
    }

    /// As [`wait_unless`](Self::wait_unless), for a condition that changes under an [`IrqMutex`] only. `look` is called with interrupts off and takes
    /// that lock, and if the condition does not hold it calls [`Waiting::join`] before it gives the lock back. So the condition is looked at once
    /// before each sleep, not twice. `me` is the running thread.
    ///
    /// # Errors
    /// [`Interrupted`], if `look` gave no value.
    #[inline]
    pub fn wait_under<R>(
        &self,
        me: TaskId,
        interrupted: impl Fn() -> bool,
        mut look: impl FnMut(&Waiting<'_>) -> Option<R>,
    ) -> Result<R, Interrupted> {
        let place = pin!(Place { queue: self, waiter: Waiter::new(me) });
        let waiting = Waiting(place.as_ref());
        sleep_until(|| match look(&waiting) {
            Some(value) => Look::GoOn(Ok(value)),
            None if interrupted() => Look::GoOn(Err(Interrupted)),
            None => Look::Sleep(None),
        })
    }

    /// Wakes all that wait. Thread and interrupt context.
    #[inline]
    pub fn wake_all(&self) {
        // The condition was made to hold before the queue is looked at (see `Place::join`).
        fence(SeqCst);
        if self.any.load(Relaxed) {
            self.wake_waiters(|| self.waiters.lock());
        }
    }

    /// As [`wake_all`](Self::wake_all), for a caller who has interrupts off, and who wakes the thread that waits longest himself: the queue does
    /// not have that thread any more.
    #[inline]
    pub fn wake_but_one_masked(&self) -> Option<TaskId> {
        fence(SeqCst);
        if !self.any.load(Relaxed) {
            return None;
        }
        let (first, others) = {
            let mut waiters = self.waiters.lock_masked();
            let first = waiters.take_first(u64::MAX);
            self.note(&waiters);
            (first, !waiters.is_empty())
        };
        if others {
            self.wake_waiters(|| self.waiters.lock_masked());
        }
        first
    }

    #[inline(never)]
    fn wake_waiters<G: DerefMut<Target = Waiters>>(&self, lock: impl Fn() -> G) {
        let mut last = None;
        // One by one, so that interrupts do not stay off for all. A thread that joins again meanwhile has looked at its condition since.
        loop {
            let mut waiters = lock();
            let last = *last.get_or_insert(waiters.last_ticket());
            let Some(thread) = waiters.take_first(last) else { return };
            self.note(&waiters);
            wake_masked(thread);
            if waiters.is_empty() {
                return;
            }
        }
    }

    fn note(&self, waiters: &Waiters) {
        self.any.store(!waiters.is_empty(), Relaxed);
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}
