//! The tree of inodes: which inodes exist, which names lead to them, and when an inode is freed.
//!
//! An inode exists as long as it has a name or is held. Each inode knows its names (`links`), so link counts and paths are exact.
//! A removed inode that is still held keeps its last name and holds the directory of that name: ".." in a removed current directory
//! and `/proc/PID/exe` of a removed program work as on Linux. Freeing an inode can so free its parent, and that one's parent;
//! `Tree::free` does it in a loop.

mod attributes;
#[cfg(test)]
mod check;
mod contents;
mod create;
mod list;
mod mount;
mod open;
mod remove;
mod rename;
mod resolve;
mod space;
mod unpack;

use alloc::vec::Vec;

pub use attributes::{SetTime, Stat, StatFs};
pub use create::NewNode;
pub use list::{DirectoryEntry, PathOf};
pub use open::Open;
pub use rename::Rename;
pub use resolve::{Parent, Resolved};
pub use unpack::{Unpacked, UnpackedBody};

use crate::caller::Owner;
use crate::directory::Directory;
use crate::inode::{Body, File, Inode, LastName, Link};
use crate::slab::Slab;
use crate::{FileError, InodeId, Page, Result, Time, bytes};

/// How much a tree may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Pages of all files together.
    pub pages: u64,
    /// Inodes; a name of an inode that has another one counts as an inode, as on Linux's tmpfs.
    pub inodes: u64,
    /// The size of one file in bytes. Linux's own maximum, `i64::MAX`, holds in any case.
    pub file_size: u64,
}

/// A tree of inodes. `P` is a page of contents; `N` is what the kernel calls its own trees at the mount points.
pub struct Tree<P, N> {
    inodes: Slab<Inode<P, N>>,
    root: InodeId,
    limits: Limits,
    /// Pages of all files together.
    pages: u64,
    /// What counts against `Limits::inodes`.
    counted: u64,
    next_number: u64,
}

impl<P: Page, N: Copy> Tree<P, N> {
    /// A tree with a root directory, owned by root, with these permission bits.
    ///
    /// # Errors
    /// `NoMemory`; `NoSpace` if the limits allow no inode.
    pub fn new(limits: Limits, mode: u32, now: Time) -> Result<Self> {
        let root = InodeId { slot: 0, number: 1 };
        let mut tree = Self { inodes: Slab::new(), root, limits, pages: 0, counted: 0, next_number: 1 };
        let owner = Owner { uid: 0, gid: 0, mode, directory: true };
        tree.root =
            tree.add_inode(Body::Directory { entries: Directory::new(), mount: None }, &owner, now)?;
        Ok(tree)
    }

    /// The root directory. It is never freed and need not be held.
    pub fn root(&self) -> InodeId {
        self.root
    }

    /// Keeps an inode from being freed until [`Tree::release`]: for each open file, mapping, current directory.
    ///
    /// # Errors
    /// `Stale`.
    pub fn hold(&mut self, inode: InodeId) -> Result<()> {
        self.node_mut(inode)?.holds += 1;
        Ok(())
    }

    /// Undoes one [`Tree::hold`]. The last one frees an inode without names, and its pages.
    ///
    /// # Errors
    /// `Stale`; `Invalid` if the inode is not held.
    pub fn release(&mut self, inode: InodeId) -> Result<()> {
        let node = self.node_mut(inode)?;
        node.holds = node.holds.checked_sub(1).ok_or(FileError::Invalid)?;
        self.free(inode);
        Ok(())
    }

    /// The directory that has this inode: what ".." means for a directory. After the inode's removal, the directory that had
    /// its last name. The root is its own parent.
    ///
    /// # Errors
    /// `Stale`.
    pub fn parent(&self, inode: InodeId) -> Result<InodeId> {
        Ok(self.node(inode)?.parent().unwrap_or(self.root))
    }

    fn node(&self, id: InodeId) -> Result<&Inode<P, N>> {
        self.inodes.get(id.slot).filter(|node| node.number == id.number).ok_or(FileError::Stale)
    }

    fn node_mut(&mut self, id: InodeId) -> Result<&mut Inode<P, N>> {
        self.inodes.get_mut(id.slot).filter(|node| node.number == id.number).ok_or(FileError::Stale)
    }

    fn directory(&self, id: InodeId) -> Result<&Directory> {
        match &self.node(id)?.body {
            Body::Directory { entries, .. } => Ok(entries),
            _ => Err(FileError::NotDirectory),
        }
    }

    fn directory_mut(&mut self, id: InodeId) -> Result<&mut Directory> {
        match &mut self.node_mut(id)?.body {
            Body::Directory { entries, .. } => Ok(entries),
            _ => Err(FileError::NotDirectory),
        }
    }

    fn file_mut(&mut self, id: InodeId) -> Result<&mut File<P>> {
        match &mut self.node_mut(id)?.body {
            Body::File(file) => Ok(file),
            Body::Directory { .. } => Err(FileError::IsDirectory),
            _ => Err(FileError::Invalid),
        }
    }

    /// Whether a directory was removed. Nothing is found in it and nothing can be put into it.
    fn is_removed(&self, id: InodeId) -> Result<bool> {
        Ok(id != self.root && self.node(id)?.links.is_empty())
    }

    /// Makes an inode that has no name yet. The next step is `attach`, or `free` if that fails.
    fn add_inode(&mut self, body: Body<P, N>, owner: &Owner, now: Time) -> Result<InodeId> {
        if self.counted >= self.limits.inodes {
            return Err(FileError::NoSpace);
        }
        let number = self.next_number;
        let slot = self.inodes.insert(Inode {
            number,
            body,
            mode: owner.mode & 0o7777,
            uid: owner.uid,
            gid: owner.gid,
            accessed: now,
            modified: now,
            changed: now,
            holds: 0,
            links: Vec::new(),
            last_name: None,
        })?;
        self.next_number += 1;
        self.counted += 1;
        Ok(InodeId { slot, number })
    }

    /// Gives an inode a name that the directory does not have.
    fn attach(&mut self, directory: InodeId, name: Vec<u8>, inode: InodeId) -> Result<()> {
        let node = self.node_mut(inode)?;
        node.links.try_reserve_exact(1).map_err(|_| FileError::NoMemory)?;
        let is_directory = node.is_directory();
        let entries = self.directory_mut(directory)?;
        let slot = entries.add(name, inode)?;
        entries.subdirectories += u32::from(is_directory);
        self.node_mut(inode)?.links.push(Link { directory, slot });
        Ok(())
    }

    /// Makes an inode with a name. Leaves the times of the directory alone.
    fn add_named(
        &mut self,
        directory: InodeId,
        name: &[u8],
        body: Body<P, N>,
        owner: &Owner,
        now: Time,
    ) -> Result<InodeId> {
        let name = bytes::copy(name)?;
        let inode = self.add_inode(body, owner, now)?;
        if let Err(error) = self.attach(directory, name, inode) {
            self.free(inode);
            return Err(error);
        }
        Ok(inode)
    }

    /// Removes a name, and frees the inode if that was its last name and nobody holds it.
    fn detach(&mut self, directory: InodeId, slot: u32) -> Result<()> {
        let Some(entry) = self.directory_mut(directory)?.remove(slot) else { return Ok(()) };
        self.lose_name(entry.inode, Link { directory, slot }, entry.name)
    }

    /// The entry at `link`, called `name`, does not lead to the inode any more.
    fn lose_name(&mut self, inode: InodeId, link: Link, name: Vec<u8>) -> Result<()> {
        let node = self.node_mut(inode)?;
        node.links.retain(|other| *other != link);
        let (is_directory, named, held) = (node.is_directory(), !node.links.is_empty(), node.holds > 0);
        self.directory_mut(link.directory)?.subdirectories -= u32::from(is_directory);
        if named {
            self.counted -= 1;
        } else if held {
            self.node_mut(inode)?.last_name = Some(LastName { directory: link.directory, name });
            self.node_mut(link.directory)?.holds += 1;
        } else {
            self.free(inode);
        }
        Ok(())
    }

    /// Frees an inode if it has no name and nobody holds it; then also each directory that only the freed one held.
    fn free(&mut self, inode: InodeId) {
        let mut next = Some(inode);
        while let Some(id) = next.take() {
            let in_use = |node: &Inode<P, N>| node.holds > 0 || !node.links.is_empty();
            if id == self.root || self.node(id).map_or(true, in_use) {
                return;
            }
            let Some(node) = self.inodes.remove(id.slot) else { return };
            self.counted -= 1;
            if let Body::File(file) = &node.body {
                self.pages -= file.pages.count();
            }
            if let Some(last) = node.last_name
                && let Ok(parent) = self.node_mut(last.directory)
            {
                parent.holds -= 1;
                next = Some(last.directory);
            }
        }
    }

    /// Notes that the contents of a file or the entries of a directory changed.
    fn contents_changed(&mut self, directory: InodeId, now: Time) -> Result<()> {
        let node = self.node_mut(directory)?;
        (node.modified, node.changed) = (now, now);
        Ok(())
    }
}
