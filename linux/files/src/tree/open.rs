//! open(2): resolution, creation, permissions, truncation.

use super::Tree;
use super::resolve::{Missing, Outcome, Purpose, Resolved};
use crate::directory::Directory;
use crate::inode::Body;
use crate::{Access, Caller, FileError, InodeId, Kind, Page, Result, Walk};

/// The flags of open(2) that concern the tree. O_NOFOLLOW is [`LastLink::Keep`](crate::LastLink::Keep) of the walk; an O_PATH open
/// is [`Tree::resolve`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Open {
    /// Opened for reading.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
    /// O_CREAT: make a regular file if nothing has the name.
    pub create: bool,
    /// O_EXCL: with `create`, fail if something has the name.
    pub exclusive: bool,
    /// O_TRUNC: drop the contents of a regular file.
    pub truncate: bool,
    /// O_DIRECTORY: fail if it is not a directory.
    pub directory: bool,
    /// The permission bits of a file that is made, without those of the umask.
    pub mode: u32,
}

impl<P: Page, N: Copy> Tree<P, N> {
    /// Finds, or makes, what open(2) opens. The inode is not held yet: call [`Tree::hold`] before the lock of the tree is given
    /// up.
    ///
    /// # Errors
    /// As [`Tree::resolve`], and: `Exists`; `IsDirectory` for a directory that would be written, and for a file to be made whose path
    /// ends in a slash; `NotDirectory`; `Loop` for a symbolic link that may not be followed; `Denied`; `NoSuchAddress` for a socket;
    /// `NoSpace`, `NoMemory`; `Invalid` for `create` with `directory`.
    pub fn open(&mut self, walk: &mut Walk, how: &Open, caller: &Caller) -> Result<Resolved<N>> {
        if how.create && how.directory {
            return Err(FileError::Invalid);
        }
        if how.create && how.exclusive {
            walk.keep_last_link();
        }
        let purpose = if how.create { Purpose::Create } else { Purpose::Find };
        match self.run(walk, purpose, caller)? {
            Outcome::Mount { which, point } => Ok(Resolved::Mount { which, point }),
            Outcome::Missing(Missing { directory, name }) if how.create => {
                self.may_change_entries(directory, caller)?;
                let owner = self.owner_of_new(directory, Kind::Regular, how.mode, caller)?;
                let inode = self.add_named(directory, &name, Self::empty_file(), &owner, caller.now)?;
                self.contents_changed(directory, caller.now)?;
                Ok(Resolved::Inode(inode))
            }
            Outcome::Missing(_) => Err(FileError::NotFound),
            Outcome::Found(inode) => {
                self.may_open(inode, how, caller)?;
                Ok(Resolved::Inode(inode))
            }
        }
    }

    /// Opens an inode that exists: the last part of [`Tree::open`], for the kernel's links that lead to an inode.
    ///
    /// # Errors
    /// As [`Tree::open`].
    pub fn may_open(&mut self, inode: InodeId, how: &Open, caller: &Caller) -> Result<()> {
        let node = self.node(inode)?;
        let (kind, writes) = (node.kind(), how.write || how.truncate);
        if how.create && how.exclusive {
            return Err(FileError::Exists);
        }
        match kind {
            Kind::Directory if how.create || writes => return Err(FileError::IsDirectory),
            Kind::Directory => {}
            _ if how.directory => return Err(FileError::NotDirectory),
            Kind::Symlink => return Err(FileError::Loop),
            _ => {}
        }
        let mut want = Access::empty();
        want.set(Access::READ, how.read);
        want.set(Access::WRITE, writes);
        caller.may(want, &node.owner())?;
        match kind {
            Kind::Socket => Err(FileError::NoSuchAddress),
            Kind::Regular if how.truncate => self.resize(inode, 0, caller),
            _ => Ok(()),
        }
    }

    pub(super) fn empty_file() -> Body<P, N> {
        Body::File(crate::inode::File { size: 0, pages: crate::pages::Pages::new() })
    }

    pub(super) fn empty_directory() -> Body<P, N> {
        Body::Directory { entries: Directory::new(), mount: None }
    }
}
