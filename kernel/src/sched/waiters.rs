//! The list of a wait queue. Its elements lie on the stacks of the threads that wait, so that waiting needs no memory and cannot fail.

use core::cell::Cell;
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr;
use core::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use scheduler::TaskId;

/// A thread that waits, for as long as it is in a [`Waiters`].
pub struct Waiter {
    thread: TaskId,
    /// Whether a list has the waiter. The list's holder clears the flag as its last access to the waiter; the waiter's own thread, which finds it
    /// cleared, may then give up the memory without the list's lock.
    listed: AtomicBool,
    /// Ascends from the list's first waiter to its last one.
    ticket: Cell<u64>,
    previous: Cell<*const Waiter>,
    next: Cell<*const Waiter>,
    /// The list has the waiter's address.
    _pinned: PhantomPinned,
}

impl Waiter {
    /// A thread that is in no list.
    pub const fn new(thread: TaskId) -> Self {
        Self {
            thread,
            listed: AtomicBool::new(false),
            ticket: Cell::new(0),
            previous: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            _pinned: PhantomPinned,
        }
    }

    /// Whether a list has the waiter. Called by the thread that is the waiter.
    #[inline(always)]
    pub fn is_listed(&self) -> bool {
        self.listed.load(Acquire)
    }
}

/// Waiters, the one that has waited longest first.
pub struct Waiters {
    first: *const Waiter,
    last: *const Waiter,
    /// How many waiters the list has had so far.
    tickets: u64,
}

// SAFETY: the waiters that the list points to are used only through the list, by whoever holds it, and by their own threads as far as they
// are atomic.
unsafe impl Send for Waiters {}

impl Waiters {
    /// Nobody.
    pub const fn new() -> Self {
        Self { first: ptr::null(), last: ptr::null(), tickets: 0 }
    }

    /// Whether nobody is in the list.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// The ticket of the waiter that was added last, whether or not it is still in the list.
    #[inline(always)]
    pub fn last_ticket(&self) -> u64 {
        self.tickets
    }

    /// Adds a waiter that is in no list.
    ///
    /// # Safety
    /// Before the waiter is dropped, it is removed from this list, or [`Waiter::is_listed`] says that it has been.
    #[inline]
    pub unsafe fn add(&mut self, waiter: Pin<&Waiter>) {
        let waiter = waiter.get_ref();
        self.tickets += 1;
        waiter.ticket.set(self.tickets);
        waiter.next.set(ptr::null());
        let last = core::mem::replace(&mut self.last, waiter);
        waiter.previous.set(last);
        // SAFETY: a waiter in the list exists, as `add` demands.
        match unsafe { last.as_ref() } {
            Some(last) => last.next.set(waiter),
            None => self.first = waiter,
        }
        waiter.listed.store(true, Release);
    }

    /// Removes a waiter, unless it was removed before. It is in this list or in none.
    #[inline]
    pub fn remove(&mut self, waiter: Pin<&Waiter>) {
        if waiter.is_listed() {
            self.unlink(waiter.get_ref());
        }
    }

    /// Removes the first waiter, if its ticket is at most `last`, and returns its thread.
    #[inline]
    pub fn take_first(&mut self, last: u64) -> Option<TaskId> {
        // SAFETY: a waiter in the list exists, as `add` demands.
        let first = unsafe { self.first.as_ref() }.filter(|first| first.ticket.get() <= last)?;
        let thread = first.thread;
        self.unlink(first);
        Some(thread)
    }

    #[inline]
    fn unlink(&mut self, waiter: &Waiter) {
        let (previous, next) = (waiter.previous.get(), waiter.next.get());
        // SAFETY: as in `take_first`.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.first = next,
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => self.last = previous,
        }
        waiter.listed.store(false, Release);
    }
}
