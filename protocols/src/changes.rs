//! Changes of things that have a number, which every CPU applies to its own registers (rules H1, H5).
//!
//! Who changes a thing sets its bit in [`Applied`] of each CPU that it concerns ([`Applied::mark`]), then draws the change's number
//! ([`Changes::draw`]). A CPU that brings itself into line reads the latest number, takes the bits, applies what they stand for, and then
//! says which number it had read. So a CPU has applied a change if it has said that change's number or a later one.

use crate::sync::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    array, constant,
};

/// Numbers changes.
#[derive(Debug)]
pub struct Changes(AtomicU64);

impl Changes {
    constant! {
        /// No change yet.
        pub const fn new() -> Self {
            Changes(AtomicU64::new(0))
        }
    }

    /// The number of a change that was made and marked before.
    #[inline(always)]
    pub fn draw(&self) -> u64 {
        self.0.fetch_add(1, SeqCst) + 1
    }

    #[inline(always)]
    fn latest(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}

/// What one CPU has to apply, and what it has applied: of up to 64 things for each of `WORDS`.
#[derive(Debug)]
pub struct Applied<const WORDS: usize> {
    changed: [AtomicU64; WORDS],
    up_to: AtomicU64,
}

impl<const WORDS: usize> Applied<WORDS> {
    constant! {
        /// Nothing to apply.
        pub const fn new() -> Self {
            Applied { changed: array![AtomicU64::new(0); WORDS], up_to: AtomicU64::new(0) }
        }
    }

    /// Says that a thing has changed. Any CPU.
    ///
    /// # Panics
    /// If the thing's number is 64 * `WORDS` or more.
    #[inline(always)]
    pub fn mark(&self, thing: usize) {
        self.changed[thing / 64].fetch_or(1 << (thing % 64), SeqCst);
    }

    /// Forgets what is marked. This CPU, before it counts as one that has to be waited for.
    pub fn forget(&self) {
        self.changed.iter().for_each(|word| word.store(0, SeqCst));
    }

    /// Whether there is no change that this CPU has not applied. This CPU.
    #[inline(always)]
    pub fn is_current(&self, changes: &Changes) -> bool {
        self.up_to.load(Relaxed) == changes.latest()
    }

    /// Whether the CPU has applied a change. Any CPU; what the CPU did to apply the change is then visible.
    #[inline(always)]
    pub fn has(&self, change: u64) -> bool {
        self.up_to.load(Acquire) >= change
    }

    /// Applies what has changed: `apply` for each thing that is marked, then `end`. This CPU, and nothing on it may interrupt this and do
    /// the same.
    #[inline(always)]
    pub fn bring_into_line(&self, changes: &Changes, mut apply: impl FnMut(usize), end: impl FnOnce()) {
        let latest = changes.latest();
        for (word, bits) in self.changed.iter().enumerate() {
            let mut left = if bits.load(SeqCst) == 0 { 0 } else { bits.swap(0, SeqCst) };
            while left != 0 {
                apply(word * 64 + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
        end();
        self.up_to.store(latest, Release);
    }
}

impl<const WORDS: usize> Default for Applied<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}
