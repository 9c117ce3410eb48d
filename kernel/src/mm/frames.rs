//! Physical pages for tables, stacks and the heap, handed out once and never taken back.

use super::layout::PAGE;
use core::ops::Range;

/// A run of free RAM.
pub struct Frames(Range<usize>);

impl Frames {
    /// From `start`, which need not be aligned, up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self(start.next_multiple_of(PAGE)..end & !(PAGE - 1))
    }

    /// Leaves out what is before the next multiple of `alignment`, if there is one.
    pub fn align(&mut self, alignment: usize) {
        self.0.start = self.0.start.next_multiple_of(alignment).min(self.0.end);
    }

    /// The physical address of `count` adjacent pages.
    ///
    /// # Panics
    /// If RAM is used up: at boot there is nothing else to be done about it.
    pub fn take(&mut self, count: usize) -> usize {
        let start = self.0.start;
        assert!(
            count * PAGE <= self.0.len(),
            "out of memory at boot: {count} pages wanted, {} left; give the machine more RAM",
            self.0.len() / PAGE
        );
        self.0.start += count * PAGE;
        start
    }
}
