//! Physical pages for translation tables, stacks and the heap. Each page is handed out once and never taken back.

use super::layout::PAGE;
use core::ops::Range;

/// A range of free RAM.
pub struct Frames(Range<usize>);

impl Frames {
    /// The whole pages between `start` and `end`, neither of which needs to be aligned.
    pub fn new(start: usize, end: usize) -> Self {
        Self(start.next_multiple_of(PAGE)..end & !(PAGE - 1))
    }

    /// Skips pages up to the next multiple of `alignment`; skips all pages if that is past the end.
    pub fn align(&mut self, alignment: usize) {
        self.0.start = self.0.start.next_multiple_of(alignment).min(self.0.end);
    }

    /// The physical address of `count` adjacent pages.
    ///
    /// # Panics
    /// If RAM is used up: the kernel cannot boot without these pages.
    pub fn take(&mut self, count: usize) -> usize {
        let start = self.0.start;
        assert!(
            count * PAGE <= self.0.len(),
            "out of memory at boot: {count} pages wanted, {} left; give the machine more RAM, or put reserved regions further behind \
             the image",
            self.0.len() / PAGE
        );
        self.0.start += count * PAGE;
        start
    }
}
