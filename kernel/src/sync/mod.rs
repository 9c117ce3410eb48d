//! Two spin locks: [`SpinLock`] leaves interrupts as they are, [`IrqMutex`] switches them off.

use crate::irq::off::IrqOff;
use core::ops::{Deref, DerefMut};
use spin::mutex::{Mutex, MutexGuard};

/// How the locks wait: by YIELD, which lets an emulator run another CPU.
pub struct Relax;

impl spin::RelaxStrategy for Relax {
    #[inline(always)]
    fn relax() {
        crate::arch::barrier::relax();
    }
}

/// A spin lock that leaves interrupts alone: for users who wait with interrupts on and are never interrupted by another user.
pub type SpinLock<T> = Mutex<T, Relax>;

/// A spin lock that keeps interrupts off while it is held.
///
/// Code in debug or NMI context may have interrupted the holder, so it must not wait: it may only use [`IrqMutex::try_lock`].
pub struct IrqMutex<T>(SpinLock<T>);

/// Holds an [`IrqMutex`]. Dropping it releases the lock before interrupts are switched on again.
pub struct IrqMutexGuard<'a, T> {
    guard: MutexGuard<'a, T, Relax>,
    /// This field is declared after `guard`, so it is dropped later: interrupts come on after the lock was released.
    _off: IrqOff,
}

/// Holds an [`IrqMutex`] that was taken by [`lock_masked`](IrqMutex::lock_masked).
pub type MaskedGuard<'a, T> = MutexGuard<'a, T, Relax>;

impl<T> IrqMutex<T> {
    /// A lock that nobody holds.
    pub const fn new(value: T) -> Self {
        Self(SpinLock::new(value))
    }

    /// Waits for the lock. Not from debug or NMI context.
    #[inline]
    pub fn lock(&self) -> IrqMutexGuard<'_, T> {
        let off = IrqOff::new();
        IrqMutexGuard { guard: self.0.lock(), _off: off }
    }

    /// Waits for the lock, where interrupts are off already and stay off until the guard is dropped. Not from debug or NMI context.
    #[inline(always)]
    pub fn lock_masked(&self) -> MaskedGuard<'_, T> {
        debug_assert!(
            !crate::irq::off::enabled(),
            "a lock that needs interrupts off is taken with interrupts on"
        );
        self.0.lock()
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
