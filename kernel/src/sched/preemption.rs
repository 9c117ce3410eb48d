//! A thread's record of whether it may be switched away.

use core::cell::Cell;
use core::panic::Location;

/// How often a thread has switched preemption off, and where it did so first.
pub struct Preemption {
    pub(super) count: Cell<u32>,
    pub(super) since: Cell<Option<&'static Location<'static>>>,
}

impl Preemption {
    /// Preemption is on.
    pub(super) const fn new() -> Self {
        Self { count: Cell::new(0), since: Cell::new(None) }
    }

    /// Whether the thread may be switched away.
    #[inline(always)]
    pub(super) fn is_on(&self) -> bool {
        self.count.get() == 0
    }
}
