//! Per-CPU data: one value for each CPU, found by the CPU's index, which is in TPIDR_EL1.

use core::arch::asm;

/// How many CPUs the kernel can have.
pub const MAX_CPUS: usize = 8;

/// This CPU's index; the CPU that booted has 0. Any context. If the caller can be switched away, it may continue on another CPU,
/// and the index is then wrong (rule I10).
#[inline(always)]
pub fn index() -> usize {
    let value: u64;
    // Neither `pure` nor `nomem`: a thread may continue on another CPU after a call, or wherever interrupts were on. So each read
    // must be made where it is written, and must not be merged with an earlier one.
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

/// One `T` for each CPU. A `T` that changes is made of atomics or of cells. It needs atomics if handlers or other CPUs
/// use the value too. Cells are enough if the value is used only with exceptions masked, and either no handler of a BRK
/// uses it, or all its users are no-probe text (rule I8).
#[repr(transparent)]
pub struct PerCpu<T>([Line<T>; MAX_CPUS]);

/// One CPU's value, on cache lines of its own.
#[doc(hidden)]
#[repr(align(64))]
pub struct Line<T>(pub T);

/// A [`PerCpu`] in which every CPU's value starts as this constant expression.
#[macro_export]
macro_rules! per_cpu {
    ($value:expr) => {
        $crate::percpu::PerCpu::from_lines([const { $crate::percpu::Line($value) }; $crate::percpu::MAX_CPUS])
    };
}

// SAFETY: `this` returns the value of the executing CPU, and a CPU is one thread of execution. Handlers that interrupt each other
// may use the same cell, but each cell's users exclude such handlers (see `PerCpu`). `of` is limited to `T: Sync`.
unsafe impl<T> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// Used by [`per_cpu!`](crate::per_cpu) only.
    #[doc(hidden)]
    pub const fn from_lines(lines: [Line<T>; MAX_CPUS]) -> Self {
        Self(lines)
    }

    /// This CPU's value. Any context; the caller must stay on this CPU while it holds the reference.
    #[inline(always)]
    pub fn this(&self) -> &T {
        // SAFETY: `set_index` has checked the index.
        &unsafe { self.0.get_unchecked(index()) }.0
    }
}

impl<T> PerCpu<T> {
    /// The value of any CPU.
    ///
    /// # Safety
    /// The caller uses only the parts of the value that are `Sync`.
    pub unsafe fn of_unchecked(&self, cpu: usize) -> &T {
        &self.0[cpu].0
    }
}

impl<T: Sync> PerCpu<T> {
    /// The value of any CPU. Any context.
    pub fn of(&self, cpu: usize) -> &T {
        &self.0[cpu].0
    }

    /// The values of all CPUs.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|line| &line.0)
    }
}
