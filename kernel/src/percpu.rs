//! Per-CPU data: one value a CPU, found by the index in TPIDR_EL1.

use core::arch::asm;

/// How many CPUs the kernel can have.
pub const MAX_CPUS: usize = 8;

/// This CPU's index, 0 for the one that booted. Any context.
#[inline(always)]
pub fn index() -> usize {
    let value: u64;
    // SAFETY: reads a register that does not change after a CPU's bring-up.
    unsafe { asm!("mrs {}, tpidr_el1", out(reg) value, options(nomem, nostack, preserves_flags, pure)) }
    value as usize
}

/// Tells the CPU its index. Bring-up, before anything else uses per-CPU data.
pub fn set_index(cpu: usize) {
    assert!(cpu < MAX_CPUS, "at most {MAX_CPUS} CPUs");
    crate::write_sysreg!("tpidr_el1", cpu as u64);
}

/// One `T` a CPU. Interior mutability is `T`'s: cells for what is touched with exceptions masked only, atomics for what
/// handlers or other CPUs see too.
#[repr(transparent)]
pub struct PerCpu<T>([Line<T>; MAX_CPUS]);

#[repr(align(64))]
struct Line<T>(T);

// SAFETY: `this` hands out the running CPU's value, and a CPU is one thread of execution. Cells in it are reached by handlers
// that interrupt each other, but only with exceptions masked (see the fields). `of` is limited to `T: Sync`.
unsafe impl<T> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// From one value a CPU.
    pub const fn new(values: [T; MAX_CPUS]) -> Self {
        let [a, b, c, d, e, f, g, h] = values;
        Self([Line(a), Line(b), Line(c), Line(d), Line(e), Line(f), Line(g), Line(h)])
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
