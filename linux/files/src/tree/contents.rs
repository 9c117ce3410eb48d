//! The bytes of regular files: read, write, append, truncate, and the pages for mappings.

use super::Tree;
use crate::inode::Body;
use crate::{Caller, FileError, InodeId, PAGE_SIZE, Page, Result};

pub(super) const PAGE: u64 = PAGE_SIZE as u64;

/// Splits an offset in a file into the index of a page and the offset in the page.
fn split(offset: u64) -> (u64, usize) {
    (offset / PAGE, (offset % PAGE) as usize)
}

impl<P: Page, N: Copy> Tree<P, N> {
    /// Reads from a regular file. Returns how many bytes were read: fewer than asked for at the end of the file, 0 behind it.
    /// The time of access is not touched: see [`Tree::accessed`].
    ///
    /// # Errors
    /// `IsDirectory`; `Invalid` for other inodes without contents; `Stale`.
    pub fn read(&self, inode: InodeId, offset: u64, to: &mut [u8]) -> Result<usize> {
        let file = match &self.node(inode)?.body {
            Body::File(file) => file,
            Body::Directory { .. } => return Err(FileError::IsDirectory),
            _ => return Err(FileError::Invalid),
        };
        let length = file.size.saturating_sub(offset).min(to.len() as u64) as usize;
        let mut done = 0;
        while done < length {
            let (index, within) = split(offset + done as u64);
            let part = (PAGE_SIZE - within).min(length - done);
            let to = &mut to[done..done + part];
            match file.pages.get(index) {
                Some(page) => page.read(within, to),
                None => to.fill(0),
            }
            done += part;
        }
        Ok(length)
    }

    /// Writes to a regular file, which grows if need be. Returns how many bytes were written: fewer than asked for if a limit or
    /// the memory ends on the way.
    ///
    /// # Errors
    /// If not even one byte can be written: `FileLimit` (Linux also sends SIGXFSZ), `TooBig`, `NoSpace`, `NoMemory`. `IsDirectory`;
    /// `Invalid` for other inodes without contents; `Stale`.
    pub fn write(&mut self, inode: InodeId, offset: u64, from: &[u8], caller: &Caller) -> Result<usize> {
        let size = self.file_mut(inode)?.size;
        if from.is_empty() {
            return Ok(0);
        }
        if offset >= caller.file_size {
            return Err(FileError::FileLimit);
        }
        let end = caller.file_size.min(self.largest());
        let length = end.saturating_sub(offset).min(from.len() as u64) as usize;
        if length == 0 {
            return Err(FileError::TooBig);
        }
        let mut done = 0;
        while done < length {
            let (index, within) = split(offset + done as u64);
            let part = (PAGE_SIZE - within).min(length - done);
            match self.page_for_write(inode, index) {
                Ok(page) => page.write(within, &from[done..done + part]),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            done += part;
        }
        let end = offset + done as u64;
        if end > size {
            self.clear_tail(inode, size, offset)?;
            self.file_mut(inode)?.size = end;
        }
        self.written(inode, caller)?;
        Ok(done)
    }

    /// Writes at the end of a regular file (O_APPEND). Returns where, and how many bytes.
    ///
    /// # Errors
    /// As [`Tree::write`].
    pub fn append(&mut self, inode: InodeId, from: &[u8], caller: &Caller) -> Result<(u64, usize)> {
        let size = self.file_mut(inode)?.size;
        Ok((size, self.write(inode, size, from, caller)?))
    }

    /// ftruncate(2): sets the size of a regular file. The pages behind the new end are dropped and the rest of the last page is
    /// zeroed; what grows reads as zeros. The kernel has to unmap pages that it mapped behind the new end itself. For truncate(2)
    /// ask [`Tree::permit`] before.
    ///
    /// # Errors
    /// `FileLimit` (Linux also sends SIGXFSZ), `TooBig`, `IsDirectory`, `Invalid`, `Stale`.
    pub fn truncate(&mut self, inode: InodeId, size: u64, caller: &Caller) -> Result<()> {
        if size > self.file_mut(inode)?.size {
            self.may_grow_to(size, caller)?;
        }
        self.resize(inode, size, caller)
    }

    /// The page of a regular file for a mapping: shared with the file, so what is written to it is written to the file. `None` is a
    /// hole, which reads as zeros; with `create` it is filled.
    ///
    /// # Errors
    /// `NoSuchAddress` behind the page of the last byte (SIGBUS); `NoSpace` and `NoMemory` with `create`; `IsDirectory`, `Invalid`,
    /// `Stale`.
    pub fn page(&mut self, inode: InodeId, index: u64, create: bool) -> Result<Option<P>> {
        let file = self.file_mut(inode)?;
        if index >= file.size.div_ceil(PAGE) {
            return Err(FileError::NoSuchAddress);
        }
        if create {
            return self.page_for_write(inode, index).map(|page| Some(page.clone()));
        }
        Ok(file.pages.get(index).cloned())
    }

    /// The largest size of a file.
    pub(super) fn largest(&self) -> u64 {
        self.limits.file_size.min(i64::MAX as u64)
    }

    /// Whether a file that is smaller may get this size.
    pub(super) fn may_grow_to(&self, size: u64, caller: &Caller) -> Result<()> {
        match size {
            size if size > caller.file_size => Err(FileError::FileLimit),
            size if size > self.largest() => Err(FileError::TooBig),
            _ => Ok(()),
        }
    }

    /// Sets the size, which the limits allow.
    pub(super) fn resize(&mut self, inode: InodeId, size: u64, caller: &Caller) -> Result<()> {
        let file = self.file_mut(inode)?;
        let old = core::mem::replace(&mut file.size, size);
        let dropped = file.pages.cut(size.div_ceil(PAGE));
        self.pages -= dropped;
        self.clear_tail(inode, old.min(size), u64::MAX)?;
        self.written(inode, caller)
    }

    /// Zeroes what a page has from the old end of the file on, up to `to`. A mapping can have written there, and the bytes would
    /// appear when the file grows over them.
    pub(super) fn clear_tail(&mut self, inode: InodeId, end: u64, to: u64) -> Result<()> {
        let (index, within) = split(end);
        let upto = to.saturating_sub(index.saturating_mul(PAGE)).min(PAGE) as usize;
        if within > 0
            && within < upto
            && let Some(page) = self.file_mut(inode)?.pages.get(index)
        {
            page.zero(within, upto - within);
        }
        Ok(())
    }

    /// The page with this index; a hole is filled.
    pub(super) fn page_for_write(&mut self, inode: InodeId, index: u64) -> Result<&P> {
        let full = self.pages >= self.limits.pages;
        let file = self.file_mut(inode)?;
        if file.pages.get(index).is_none() {
            if full {
                return Err(FileError::NoSpace);
            }
            let page = P::zeroed().ok_or(FileError::NoMemory)?;
            file.pages.insert(index, page)?;
            self.pages += 1;
        }
        self.file_mut(inode)?.pages.get(index).ok_or(FileError::NoMemory)
    }

    /// Notes a change of the contents by a caller.
    pub(super) fn written(&mut self, inode: InodeId, caller: &Caller) -> Result<()> {
        let node = self.node_mut(inode)?;
        node.mode = caller.mode_after_write(&node.owner());
        self.contents_changed(inode, caller.now)
    }
}
