//! A lock whose waiters sleep, and lend the holder their priority (rule T8).

use super::preempt::might_sleep;
use super::run::{schedule, with};
use super::thread::current;
use crate::arch::daif;
use crate::clock;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use scheduler::{LockKey, TaskId};

/// In the lock's word, beside its owner: somebody waits.
const CONTENDED: u64 = 1 << 63;

/// A sleeping lock with priority inheritance. Its word is 0, or the owner's number in the scheduler, with [`CONTENDED`] once somebody waits;
/// the scheduler knows the lock only while somebody does.
pub struct Mutex<T> {
    word: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives out the value to one thread at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: the value goes with the lock.
unsafe impl<T: Send> Send for Mutex<T> {}

/// Holds a [`Mutex`]. Dropping it gives the lock to the most important waiter.
pub struct MutexGuard<'a, T> {
    lock: &'a Mutex<T>,
    /// The owner's number, as it is in the lock's word.
    owner: u64,
    /// The guard belongs to the thread that has taken the lock.
    local: PhantomData<*const ()>,
}

impl<T> Mutex<T> {
    /// A lock that nobody holds.
    pub const fn new(value: T) -> Self {
        Self { word: AtomicU64::new(0), value: UnsafeCell::new(value) }
    }

    fn key(&self) -> LockKey {
        LockKey((&raw const self.word).addr())
    }

    /// Takes the lock, and sleeps until it is free. Thread context; may sleep.
    ///
    /// # Panics
    /// If the thread holds the lock already, or its holder waits for this thread: neither could ever go on.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock_for(me())
    }

    /// As [`lock`](Self::lock), for a caller who knows the running thread's number.
    #[track_caller]
    #[inline]
    pub fn lock_by(&self, running: TaskId) -> MutexGuard<'_, T> {
        debug_assert_eq!(running.to_bits(), me(), "a lock is taken for another thread");
        self.lock_for(running.to_bits())
    }

    #[track_caller]
    #[inline]
    fn lock_for(&self, me: u64) -> MutexGuard<'_, T> {
        might_sleep();
        if self.word.compare_exchange(0, me, Acquire, Relaxed).is_err() {
            self.wait(me);
        }
        MutexGuard { lock: self, owner: me, local: PhantomData }
    }

    /// Takes the lock if it is free. Thread context.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let me = me();
        self.word.compare_exchange(0, me, Acquire, Relaxed).ok()?;
        Some(MutexGuard { lock: self, owner: me, local: PhantomData })
    }

    #[cold]
    #[inline(never)]
    fn wait(&self, me: u64) {
        let before = daif::read();
        daif::set::<{ daif::IF }>();
        let waits = with(|state| {
            // The owner cannot release the lock meanwhile: a word that is contended is released under the scheduler's lock.
            let word = self
                .word
                .fetch_update(Acquire, Relaxed, |word| Some(if word == 0 { me } else { word | CONTENDED }));
            let owner = word.unwrap_or(0) & !CONTENDED;
            if owner == 0 {
                return Ok(false);
            }
            let (waiter, owner) = (TaskId::from_bits(me), TaskId::from_bits(owner));
            state.scheduler.lock_wait(waiter, self.key(), owner, clock::nanoseconds()).map(|()| true)
        });
        match waits {
            // Whoever releases the lock writes this thread's number into the word before the thread runs again.
            Some(Ok(true)) => schedule(false),
            Some(Ok(false)) | None => {}
            Some(Err(error)) => panic!("a lock can never be had: {error:?}"),
        }
        daif::write(before);
    }

    #[inline]
    fn release(&self, me: u64) {
        if self.word.compare_exchange(me, 0, Release, Relaxed).is_err() {
            self.hand_over(me);
        }
    }

    #[cold]
    #[inline(never)]
    fn hand_over(&self, me: u64) {
        with(|state| {
            let next = state.scheduler.lock_release(TaskId::from_bits(me), self.key(), clock::nanoseconds());
            let word = match next {
                Ok(Some((next, more))) => next.to_bits() | if more { CONTENDED } else { 0 },
                Ok(None) => 0,
                Err(error) => panic!("a lock is released by a thread that does not hold it: {error:?}"),
            };
            self.word.store(word, Release);
        });
    }
}

/// The running thread's number. Before the scheduler has started there is one thread, with a number of its own.
fn me() -> u64 {
    const BOOT: u64 = 1 << 62;
    current().map_or(BOOT, |thread| thread.id().to_bits())
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and the guard is borrowed alone.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.release(self.owner);
    }
}
