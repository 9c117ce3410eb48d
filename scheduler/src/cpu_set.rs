//! Sets of CPUs.

use core::ops::{BitAnd, BitOr, Not};

/// The largest number of CPUs a scheduler can have: one bit of a [`CpuSet`] for each.
pub const MAX_CPUS: usize = 64;

/// A set of CPUs: bit `n` stands for CPU `n`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct CpuSet(pub u64);

impl CpuSet {
    /// No CPU.
    pub const EMPTY: Self = Self(0);
    /// Every CPU that can exist.
    pub const ALL: Self = Self(u64::MAX);

    /// Only `cpu`. Empty if `cpu` is not below [`MAX_CPUS`].
    pub const fn of(cpu: usize) -> Self {
        if cpu < MAX_CPUS { Self(1 << cpu) } else { Self::EMPTY }
    }

    /// Whether `cpu` is in the set.
    pub const fn contains(self, cpu: usize) -> bool {
        self.0 & Self::of(cpu).0 != 0
    }

    /// Whether the set has no CPU.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds `cpu`.
    pub const fn insert(&mut self, cpu: usize) {
        self.0 |= Self::of(cpu).0;
    }

    /// Takes `cpu` out, and says whether it was in the set.
    pub const fn remove(&mut self, cpu: usize) -> bool {
        let was = self.contains(cpu);
        self.0 &= !Self::of(cpu).0;
        was
    }

    /// The CPUs of the set in ascending order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let cpu = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(cpu)
        })
    }
}

impl BitAnd for CpuSet {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for CpuSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Not for CpuSet {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}
