use core::ops::Range;

use crate::{
    error::Error,
    mapping::{Backing, Mapping},
    maps::Maps,
    page::{align_up, is_aligned},
};

impl<B: Backing> Maps<B> {
    /// The walk of madvise: `visit` gets each mapped part of the range with its mapping, in the order of the addresses. For
    /// MADV_DONTNEED the caller removes the page table entries of each part.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unaligned address or a range that wraps: nothing was visited. [`Error::NoMemory`] if
    /// there are holes in the range: all mapped parts were visited, as Linux does it.
    pub fn advise(
        &self,
        addr: u64,
        len: u64,
        mut visit: impl FnMut(Range<u64>, &Mapping<B>),
    ) -> Result<(), Error> {
        let rounded = align_up(len);
        if !is_aligned(addr) || (len != 0 && rounded == 0) {
            return Err(Error::Invalid);
        }
        let end = addr.checked_add(rounded).ok_or(Error::Invalid)?;
        let mut reached = addr;
        let mut holes = false;
        for mapping in self.overlapping(addr..end) {
            holes |= mapping.start > reached;
            reached = mapping.end.min(end);
            visit(mapping.start.max(addr)..reached, mapping);
        }
        if holes || reached < end { Err(Error::NoMemory) } else { Ok(()) }
    }
}
