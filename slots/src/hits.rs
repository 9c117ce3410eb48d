//! How often slots were hit.

use crate::Kind;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One CPU's counts, by slot. Only the CPU itself writes them, with debug exceptions masked, so counting takes a load and a store
/// and no atomic operation. Every CPU may read them.
///
/// The count of a slot that is not armed must be zero, so a caller of [`CpuSlots::disarm`](crate::CpuSlots::disarm) must call
/// [`CpuHits::clear`] too.
#[derive(Debug)]
pub struct CpuHits([[AtomicU64; 64]; 2]);

impl CpuHits {
    /// Counts that are all zero.
    pub const fn new() -> CpuHits {
        CpuHits([const { [const { AtomicU64::new(0) }; 64] }; 2])
    }

    /// Counts a hit of slot `n`, which is below 64.
    #[inline(always)]
    pub fn count(&self, kind: Kind, n: u8) {
        let count = &self.0[kind as usize][usize::from(n & 63)];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// The hits of slot `n` since it was armed.
    #[inline]
    pub fn of(&self, kind: Kind, n: u8) -> u64 {
        self.0[kind as usize][usize::from(n & 63)].load(Relaxed)
    }

    /// Forgets the hits of slot `n`.
    #[inline]
    pub fn clear(&self, kind: Kind, n: u8) {
        self.0[kind as usize][usize::from(n & 63)].store(0, Relaxed);
    }
}

impl Default for CpuHits {
    fn default() -> Self {
        Self::new()
    }
}
