//! Locks.

use crate::irq::off::IrqOff;
use core::ops::{Deref, DerefMut};
use spin::mutex::{Mutex, MutexGuard};

/// How a lock waits.
pub struct Relax;

impl spin::RelaxStrategy for Relax {
    #[inline(always)]
    fn relax() {
        crate::arch::barrier::relax();
    }
}

/// A spin lock that leaves interrupts alone: for those who wait with interrupts on and are never interrupted by another user.
pub type SpinLock<T> = Mutex<T, Relax>;

/// A spin lock with interrupts off while it is held.
///
/// Not from debug or NMI context, which may interrupt the holder: there only [`IrqMutex::try_lock`].
pub struct IrqMutex<T>(SpinLock<T>);

/// Holds an [`IrqMutex`]; the lock is released before interrupts come back.
pub struct IrqMutexGuard<'a, T> {
    guard: MutexGuard<'a, T, Relax>,
    /// Declared, so dropped, after the lock's guard.
    _off: IrqOff,
}

impl<T> IrqMutex<T> {
    /// An open lock.
    pub const fn new(value: T) -> Self {
        Self(SpinLock::new(value))
    }

    /// Waits for the lock. Not from debug or NMI context.
    pub fn lock(&self) -> IrqMutexGuard<'_, T> {
        let off = IrqOff::new();
        IrqMutexGuard { guard: self.0.lock(), _off: off }
    }

    /// Takes the lock if it is free. Any context.
    pub fn try_lock(&self) -> Option<IrqMutexGuard<'_, T>> {
        let off = IrqOff::new();
        self.0.try_lock().map(|guard| IrqMutexGuard { guard, _off: off })
    }
}

impl<T> Deref for IrqMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for IrqMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
