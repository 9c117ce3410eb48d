//! Changes of numbered things (here: hardware slots), which each CPU applies to its own registers (rules H1, H5).
//!
//! The CPU that changes a thing sets the thing's bit in the [`Applied`] of each CPU concerned ([`Applied::mark`]), then takes the next
//! number for the change ([`Changes::draw`]). Each CPU applies changes to itself ([`Applied::bring_into_line`]): it reads the latest
//! number, takes the bits, applies the things that the bits name, and then publishes the number that it had read. So a CPU has applied a
//! change once it has published the change's number or a later one.

use crate::sync::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    array, constant,
};

/// The counter of all changes, shared by all CPUs.
#[derive(Debug)]
pub struct Changes(AtomicU64);

impl Changes {
    constant! {
        /// A counter that has counted no change yet.
        pub const fn new() -> Self {
            Changes(AtomicU64::new(0))
        }
    }

    /// Takes a number for a change. Before, the caller must have made the change, and marked it for every CPU concerned.
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

/// Which things have changed and must still be applied by one CPU, and up to which number this CPU has applied all changes. Has
/// room for `64 * WORDS` things.
#[derive(Debug)]
pub struct Applied<const WORDS: usize> {
    changed: [AtomicU64; WORDS],
    up_to: AtomicU64,
}

impl<const WORDS: usize> Applied<WORDS> {
    constant! {
        /// No thing has changed.
        pub const fn new() -> Self {
            Applied { changed: array![AtomicU64::new(0); WORDS], up_to: AtomicU64::new(0) }
        }
    }

    /// Notes that a thing has changed. Any CPU may call this.
    ///
    /// # Panics
    /// If the thing's number is 64 * `WORDS` or more.
    #[inline(always)]
    pub fn mark(&self, thing: usize) {
        self.changed[thing / 64].fetch_or(1 << (thing % 64), SeqCst);
    }

    /// Removes all marks. Called by the CPU that this value belongs to, before other CPUs begin to wait for that CPU.
    pub fn forget(&self) {
        self.changed.iter().for_each(|word| word.store(0, SeqCst));
    }

    /// Whether this CPU has applied every change. Called by the CPU that this value belongs to.
    #[inline(always)]
    pub fn is_current(&self, changes: &Changes) -> bool {
        self.up_to.load(Relaxed) == changes.latest()
    }

    /// Whether the CPU that this value belongs to has applied the change with that number. Any CPU may call this. If the answer is
    /// yes, the caller also sees all that the other CPU wrote to apply the change.
    #[inline(always)]
    pub fn has(&self, change: u64) -> bool {
        self.up_to.load(Acquire) >= change
    }

    /// Applies all changes: calls `apply` for each thing that is marked, then `end`. Called by the CPU that this belongs to, where no
    /// interrupt handler can call it again in the middle.
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
