//! Where a file has pages: lseek(2) with SEEK_DATA and SEEK_HOLE, and fallocate(2).

use alloc::vec::Vec;

use super::Tree;
use super::contents::PAGE;
use crate::inode::{Body, File};
use crate::{Caller, FileError, InodeId, Page, Result, bytes};

impl<P: Page, N: Copy> Tree<P, N> {
    /// SEEK_DATA: the first offset from `offset` on that lies in a page of the file.
    ///
    /// # Errors
    /// `NoSuchAddress` at or behind the end, or if only a hole follows; `Invalid` for what is no regular file; `Stale`.
    pub fn seek_data(&self, inode: InodeId, offset: u64) -> Result<u64> {
        let file = self.file_at(inode, offset)?;
        let index = file.pages.next_page(offset / PAGE).ok_or(FileError::NoSuchAddress)?;
        let data = index.saturating_mul(PAGE).max(offset);
        if data < file.size { Ok(data) } else { Err(FileError::NoSuchAddress) }
    }

    /// SEEK_HOLE: the first offset from `offset` on that lies in a hole. The end of the file is a hole.
    ///
    /// # Errors
    /// `NoSuchAddress` at or behind the end; `Invalid` for what is no regular file; `Stale`.
    pub fn seek_hole(&self, inode: InodeId, offset: u64) -> Result<u64> {
        let file = self.file_at(inode, offset)?;
        let hole = file.pages.next_hole(offset / PAGE).saturating_mul(PAGE);
        Ok(hole.max(offset).min(file.size))
    }

    /// The file, if the offset lies in it.
    fn file_at(&self, inode: InodeId, offset: u64) -> Result<&File<P>> {
        match &self.node(inode)?.body {
            Body::File(file) if offset < file.size => Ok(file),
            Body::File(_) => Err(FileError::NoSuchAddress),
            _ => Err(FileError::Invalid),
        }
    }

    /// fallocate(2) with mode 0: fills the holes of a range, and makes the file at least as large as the range's end. On an error
    /// nothing has changed. The time it takes grows with the range: `Limits::pages` is the bound.
    ///
    /// # Errors
    /// `Invalid` for an empty range; `NoDevice` for what is no regular file, `IsDirectory` for a directory; `TooBig`, `FileLimit`;
    /// `NoSpace`, `NoMemory`; `Stale`.
    pub fn allocate(&mut self, inode: InodeId, offset: u64, length: u64, caller: &Caller) -> Result<()> {
        let file = self.file_mut(inode).map_err(|error| match error {
            FileError::Invalid => FileError::NoDevice,
            other => other,
        })?;
        if length == 0 {
            return Err(FileError::Invalid);
        }
        let size = file.size;
        let end = offset.checked_add(length).ok_or(FileError::TooBig)?;
        if end > self.largest() {
            return Err(FileError::TooBig);
        }
        if end > size {
            self.may_grow_to(end, caller)?;
        }
        self.fill(inode, offset / PAGE, end.div_ceil(PAGE))?;
        if end > size {
            self.clear_tail(inode, size, end)?;
            self.file_mut(inode)?.size = end;
        }
        self.written(inode, caller)
    }

    /// Fills the holes among the pages from `first` up to, not including, `end`.
    fn fill(&mut self, inode: InodeId, first: u64, end: u64) -> Result<()> {
        let missing = end - first - self.file_mut(inode)?.pages.count_between(first, end);
        if missing > self.limits.pages.saturating_sub(self.pages) {
            return Err(FileError::NoSpace);
        }
        let mut filled = Vec::new();
        let mut index = self.file_mut(inode)?.pages.next_hole(first);
        while index < end {
            let added = bytes::room_for_one(&mut filled);
            if let Err(error) = added.and_then(|()| self.page_for_write(inode, index).map(|_| ())) {
                self.unfill(inode, &filled)?;
                return Err(error);
            }
            filled.push(index);
            index = self.file_mut(inode)?.pages.next_hole(index);
        }
        Ok(())
    }

    fn unfill(&mut self, inode: InodeId, filled: &[u64]) -> Result<()> {
        let file = self.file_mut(inode)?;
        for &index in filled {
            file.pages.remove(index);
        }
        self.pages -= filled.len() as u64;
        Ok(())
    }
}
