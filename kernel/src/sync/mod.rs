//! Two spin locks: [`SpinLock`] leaves interrupts as they are, [`IrqMutex`] switches them off.

use crate::arch::daif;
use crate::irq::off::IrqOff;
use core::ops::{Deref, DerefMut};
use spin::mutex::{SpinMutex, SpinMutexGuard};

/// How the locks wait: by YIELD, which lets an emulator run another CPU.
pub struct Relax;

impl spin::RelaxStrategy for Relax {
    #[inline(always)]
    fn relax() {
        crate::arch::barrier::relax();
    }
}

/// A spin lock that leaves interrupts alone: for users who wait with interrupts on and are never interrupted by another user.
pub type SpinLock<T> = SpinMutex<T, Relax>;

/// A spin lock that keeps interrupts off while it is held.
///
/// Code in debug or NMI context may have interrupted the holder, so it must not wait: it may only use [`IrqMutex::try_lock`].
pub struct IrqMutex<T>(SpinLock<T>);

/// Holds an [`IrqMutex`]. Dropping it releases the lock before interrupts are switched on again.
pub struct IrqMutexGuard<'a, T> {
    guard: SpinMutexGuard<'a, T, Relax>,
    /// This field is declared after `guard`, so it is dropped later: interrupts come on after the lock was released.
    _off: IrqOff,
}

/// Holds an [`IrqMutex`] that was taken by [`lock_masked`](IrqMutex::lock_masked).
pub type MaskedGuard<'a, T> = SpinMutexGuard<'a, T, Relax>;

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

    /// Does something short with the value. PSTATE.I is set meanwhile also where interrupts are masked by priority, so that NMIs wait too; that is
    /// less than [`lock`](Self::lock) costs. Not from debug or NMI context.
    #[inline(always)]
    pub fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        let before = daif::read();
        daif::set::<{ daif::IF }>();
        let result = act(&mut self.lock_masked());
        daif::write(before);
        result
    }

    /// The value without the lock.
    ///
    /// # Safety
    /// Nobody changes the value while the reference is used.
    #[inline(always)]
    pub unsafe fn unlocked(&self) -> &T {
        // SAFETY: as the caller says.
        unsafe { &*self.0.as_mut_ptr() }
    }

    /// Gives up the guard of the lock, and keeps the lock: [`resume`](Self::resume) makes the guard again.
    pub fn keep(guard: MaskedGuard<'_, T>) {
        core::mem::forget(guard);
    }

    /// The guard of a lock that was [kept](Self::keep).
    ///
    /// # Safety
    /// This CPU has kept the lock, interrupts were off ever since, and the guard was not made again yet.
    #[inline(always)]
    pub unsafe fn resume(&self) -> Resumed<'_, T> {
        Resumed(self)
    }

    /// Takes the lock if it is free. Any context.
    pub fn try_lock(&self) -> Option<IrqMutexGuard<'_, T>> {
        let off = IrqOff::new();
        self.0.try_lock().map(|guard| IrqMutexGuard { guard, _off: off })
    }
}

/// Holds an [`IrqMutex`] that was kept beyond its first guard.
pub struct Resumed<'a, T>(&'a IrqMutex<T>);

impl<T> Deref for Resumed<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held, as `resume` demands.
        unsafe { &*self.0.0.as_mut_ptr() }
    }
}

impl<T> DerefMut for Resumed<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed alone.
        unsafe { &mut *self.0.0.as_mut_ptr() }
    }
}

impl<T> Drop for Resumed<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the lock is held, and its first guard does not release it.
        unsafe { self.0.0.force_unlock() };
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
