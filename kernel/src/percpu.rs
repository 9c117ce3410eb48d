//! Per-CPU data: one value for each CPU, found by the CPU's index, which is in TPIDR_EL1.

use core::arch::asm;

/// How many CPUs the kernel can have.
pub const MAX_CPUS: usize = 8;

/// This CPU's index, 0 for the one that booted. Any context; it may be another CPU's as soon as the caller can be switched away
/// (rule I10).
#[inline(always)]
pub fn index() -> usize {
    let value: u64;
    // Neither `pure` nor `nomem`: a thread may go on with another CPU's register behind a call, or where interrupts were on, so
    // each read is made where it is written and not merged with an earlier one.
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) value, options(nostack, preserves_flags)) }
    value as usize
}

/// Stores this CPU's index in TPIDR_EL1. Called at bring-up, before anything uses per-CPU data.
#[inline(always)]
pub fn set_index(cpu: usize) {
    assert!(cpu < MAX_CPUS, "at most {MAX_CPUS} CPUs");
    crate::write_sysreg!("tpidr_el1", cpu as u64);
}

/// One `T` for each CPU. Interior mutability is `T`'s: atomics for what handlers or other CPUs see too; cells for what is touched
/// with exceptions masked only, and where no BRK's handler touches it either, or in no-probe text (rule I8).
#[repr(transparent)]
pub struct PerCpu<T>([Line<T>; MAX_CPUS]);

/// One CPU's value, on cache lines of its own.
#[doc(hidden)]
#[repr(align(64))]
pub struct Line<T>(pub T);

/// A [`PerCpu`] whose values all start as this constant expression says.
#[macro_export]
macro_rules! per_cpu {
    ($value:expr) => {
        $crate::percpu::PerCpu::from_lines([const { $crate::percpu::Line($value) }; $crate::percpu::MAX_CPUS])
    };
}

// SAFETY: `this` hands out the running CPU's value, and a CPU is one thread of execution. Cells in it are reached by handlers
// that interrupt each other, but only where none of those can come (see the fields). `of` is limited to `T: Sync`.
unsafe impl<T> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// For [`per_cpu!`](crate::per_cpu).
    #[doc(hidden)]
    pub const fn from_lines(lines: [Line<T>; MAX_CPUS]) -> Self {
        Self(lines)
    }

    /// This CPU's value. Any context; the caller must not migrate while it holds the reference.
    #[inline(always)]
    pub fn this(&self) -> &T {
        // SAFETY: `set_index` accepted the index.
        &unsafe { self.0.get_unchecked(index()) }.0
    }
}

impl<T> PerCpu<T> {
    /// Another CPU's value.
    ///
    /// # Safety
    /// Only what is `Sync` in it may be used.
    pub unsafe fn of_unchecked(&self, cpu: usize) -> &T {
        &self.0[cpu].0
    }
}

impl<T: Sync> PerCpu<T> {
    /// Another CPU's value. Any context.
    pub fn of(&self, cpu: usize) -> &T {
        &self.0[cpu].0
    }

    /// All CPUs' values.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|line| &line.0)
    }
}
