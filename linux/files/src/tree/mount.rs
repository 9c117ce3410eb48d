//! Mount points: directories at which a tree of the kernel's own takes over.

use super::Tree;
use crate::inode::Body;
use crate::{FileError, InodeId, Page, Result};

impl<P: Page, N: Copy> Tree<P, N> {
    /// Makes a directory a mount point of `which`. Its own entries cannot be reached meanwhile.
    ///
    /// # Errors
    /// `NotDirectory`; `Busy` for the root and for a mount point; `NotFound` for a removed directory; `Stale`.
    pub fn mount(&mut self, directory: InodeId, which: N) -> Result<()> {
        let root = self.root;
        let node = self.node_mut(directory)?;
        let removed = node.links.is_empty();
        let Body::Directory { mount, .. } = &mut node.body else { return Err(FileError::NotDirectory) };
        if directory == root || mount.is_some() {
            return Err(FileError::Busy);
        }
        if removed {
            return Err(FileError::NotFound);
        }
        *mount = Some(which);
        Ok(())
    }

    /// Makes a mount point a directory again. Returns what was mounted.
    ///
    /// # Errors
    /// `Invalid` if nothing is mounted there, `Stale`.
    pub fn unmount(&mut self, directory: InodeId) -> Result<N> {
        match &mut self.node_mut(directory)?.body {
            Body::Directory { mount, .. } => mount.take().ok_or(FileError::Invalid),
            _ => Err(FileError::Invalid),
        }
    }

    /// What is mounted at an inode.
    ///
    /// # Errors
    /// `Stale`.
    pub fn mounted(&self, inode: InodeId) -> Result<Option<N>> {
        Ok(match &self.node(inode)?.body {
            Body::Directory { mount, .. } => *mount,
            _ => None,
        })
    }
}
