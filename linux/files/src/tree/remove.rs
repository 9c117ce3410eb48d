//! unlink(2) and rmdir(2).

use super::Tree;
use crate::{Caller, FileError, InodeId, Last, Page, Result};

impl<P: Page, N: Copy> Tree<P, N> {
    /// unlink(2): removes a name of something that is no directory.
    ///
    /// # Errors
    /// `NotFound`; `IsDirectory` for a directory, "/", "." and ".."; `NotDirectory` if slashes follow the name of something else;
    /// `Denied`; `NotPermitted` (sticky directory).
    pub fn unlink(&mut self, directory: InodeId, last: Last, caller: &Caller) -> Result<()> {
        let Last::Name { name, slash } = last else { return Err(FileError::IsDirectory) };
        let (slot, inode) = self.lookup(directory, name)?.ok_or(FileError::NotFound)?;
        if slash {
            let is_directory = self.node(inode)?.is_directory();
            return Err(if is_directory { FileError::IsDirectory } else { FileError::NotDirectory });
        }
        self.may_remove(directory, inode, false, caller)?;
        self.node_mut(inode)?.changed = caller.now;
        self.detach(directory, slot)?;
        self.contents_changed(directory, caller.now)
    }

    /// rmdir(2): removes an empty directory. A directory that is still held can then be used, but nothing is found in it and
    /// nothing can be made in it.
    ///
    /// # Errors
    /// `NotFound`, `NotDirectory`, `NotEmpty` (".." too), `Invalid` for ".", `Busy` for "/" and for a mount point, `Denied`,
    /// `NotPermitted` (sticky directory).
    pub fn rmdir(&mut self, directory: InodeId, last: Last, caller: &Caller) -> Result<()> {
        let name = match last {
            Last::Name { name, .. } => name,
            Last::Dot => return Err(FileError::Invalid),
            Last::DotDot => return Err(FileError::NotEmpty),
            Last::Root => return Err(FileError::Busy),
        };
        let (slot, inode) = self.lookup(directory, name)?.ok_or(FileError::NotFound)?;
        self.may_remove(directory, inode, true, caller)?;
        if self.node(inode)?.is_mount() {
            return Err(FileError::Busy);
        }
        if self.directory(inode)?.len() > 0 {
            return Err(FileError::NotEmpty);
        }
        self.contents_changed(inode, caller.now)?;
        self.detach(directory, slot)?;
        self.contents_changed(directory, caller.now)
    }

    /// Whether the caller may take this inode out of this directory, as a directory or as something else.
    pub(super) fn may_remove(
        &self,
        directory: InodeId,
        victim: InodeId,
        as_directory: bool,
        caller: &Caller,
    ) -> Result<()> {
        self.may_change_entries(directory, caller)?;
        let victim = self.node(victim)?;
        caller.passes_sticky(&self.node(directory)?.owner(), &victim.owner())?;
        match (victim.is_directory(), as_directory) {
            (false, true) => Err(FileError::NotDirectory),
            (true, false) => Err(FileError::IsDirectory),
            _ => Ok(()),
        }
    }
}
