//! Ranges of physical addresses.

use core::fmt;

/// A range of physical addresses. Its end fits in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Region {
    /// The address of the first byte, as the CPU sees it.
    pub base: u64,
    /// The size in bytes.
    pub size: u64,
}

impl Region {
    /// The first byte past the region.
    pub const fn end(&self) -> u64 {
        self.base + self.size
    }

    /// Whether `address` lies in the region.
    pub const fn contains(&self, address: u64) -> bool {
        address >= self.base && address - self.base < self.size
    }

    /// Whether the two regions share a byte.
    pub const fn overlaps(&self, other: &Region) -> bool {
        self.base < other.end() && other.base < self.end()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.base, self.end())
    }
}
