//! New names: directories, nodes, symbolic links, hard links.

use linux_raw_sys::general::{PATH_MAX, S_ISGID};

use super::Tree;
use crate::caller::Owner;
use crate::inode::Body;
use crate::{Access, Caller, Device, FileError, InodeId, Kind, Last, Page, Result, bytes};

/// What mknod(2) can make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewNode {
    /// An empty regular file.
    Regular,
    /// A named pipe.
    Fifo,
    /// The name of a socket.
    Socket,
    /// A character device. Only root may make one.
    Character(Device),
    /// A block device. Only root may make one.
    Block(Device),
}

impl<P: Page, N: Copy> Tree<P, N> {
    /// mkdir(2). `mode` is without the bits of the umask.
    ///
    /// # Errors
    /// `Exists`, `Denied`, `NotFound` (a removed directory), `NoSpace`, `NoMemory`.
    pub fn mkdir(&mut self, directory: InodeId, last: Last, mode: u32, caller: &Caller) -> Result<InodeId> {
        let name = self.free_name(directory, last, true)?;
        self.add_by(directory, name, Self::empty_directory(), mode, caller)
    }

    /// mknod(2). `mode` is the permission bits without those of the umask.
    ///
    /// # Errors
    /// As [`Tree::mkdir`]; `NotPermitted` for a device if the caller is not root; `NotFound` if slashes follow the name.
    pub fn mknod(
        &mut self,
        directory: InodeId,
        last: Last,
        node: NewNode,
        mode: u32,
        caller: &Caller,
    ) -> Result<InodeId> {
        let name = self.free_name(directory, last, false)?;
        self.may_change_entries(directory, caller)?;
        let body = match node {
            NewNode::Regular => Self::empty_file(),
            NewNode::Fifo => Body::Fifo,
            NewNode::Socket => Body::Socket,
            NewNode::Character(_) | NewNode::Block(_) if !caller.is_root() => {
                return Err(FileError::NotPermitted);
            }
            NewNode::Character(device) => Body::Character(device),
            NewNode::Block(device) => Body::Block(device),
        };
        self.add_by(directory, name, body, mode, caller)
    }

    /// symlink(2): a new symbolic link to `target`.
    ///
    /// # Errors
    /// As [`Tree::mknod`]; `NotFound` for an empty target, `NameTooLong` for one of more than 4095 bytes, `Invalid` for one with
    /// a NUL.
    pub fn symlink(
        &mut self,
        directory: InodeId,
        last: Last,
        target: &[u8],
        caller: &Caller,
    ) -> Result<InodeId> {
        let target = Self::link_target(target)?;
        let name = self.free_name(directory, last, false)?;
        self.add_by(directory, name, Body::Symlink(target), 0o777, caller)
    }

    pub(super) fn link_target(target: &[u8]) -> Result<alloc::vec::Vec<u8>> {
        match target.len() {
            0 => Err(FileError::NotFound),
            length if length >= PATH_MAX as usize => Err(FileError::NameTooLong),
            _ if target.contains(&0) => Err(FileError::Invalid),
            _ => bytes::copy(target),
        }
    }

    /// link(2): another name for an inode.
    ///
    /// # Errors
    /// As [`Tree::mknod`]; `NotPermitted` for a directory; `NotFound` for an inode that has no name any more.
    pub fn link(&mut self, inode: InodeId, directory: InodeId, last: Last, caller: &Caller) -> Result<()> {
        let name = self.free_name(directory, last, false)?;
        self.may_change_entries(directory, caller)?;
        self.add_link(inode, directory, name)?;
        self.node_mut(inode)?.changed = caller.now;
        self.contents_changed(directory, caller.now)
    }

    /// Gives an inode another name, without checks of permissions and without new times.
    pub(super) fn add_link(&mut self, inode: InodeId, directory: InodeId, name: &[u8]) -> Result<()> {
        let node = self.node(inode)?;
        if node.is_directory() {
            return Err(FileError::NotPermitted);
        }
        if node.links.is_empty() {
            return Err(FileError::NotFound);
        }
        if self.counted >= self.limits.inodes {
            return Err(FileError::NoSpace);
        }
        let name = bytes::copy(name)?;
        self.attach(directory, name, inode)?;
        self.counted += 1;
        Ok(())
    }

    /// The name to be added, which must not exist yet.
    fn free_name<'a>(&self, directory: InodeId, last: Last<'a>, for_directory: bool) -> Result<&'a [u8]> {
        let Last::Name { name, slash } = last else { return Err(FileError::Exists) };
        match self.lookup(directory, name)? {
            Some(_) => Err(FileError::Exists),
            None if slash && !for_directory => Err(FileError::NotFound),
            None => Ok(name),
        }
    }

    /// Makes an inode with a name for a caller who may do so.
    fn add_by(
        &mut self,
        directory: InodeId,
        name: &[u8],
        body: Body<P, N>,
        mode: u32,
        caller: &Caller,
    ) -> Result<InodeId> {
        self.may_change_entries(directory, caller)?;
        let kind = if matches!(body, Body::Directory { .. }) { Kind::Directory } else { Kind::Regular };
        let owner = self.owner_of_new(directory, kind, mode, caller)?;
        let inode = self.add_named(directory, name, body, &owner, caller.now)?;
        self.contents_changed(directory, caller.now)?;
        Ok(inode)
    }

    /// Whether the caller may add and remove names in a directory.
    pub(super) fn may_change_entries(&self, directory: InodeId, caller: &Caller) -> Result<()> {
        if self.is_removed(directory)? {
            return Err(FileError::NotFound);
        }
        caller.may(Access::WRITE | Access::EXECUTE, &self.node(directory)?.owner())
    }

    /// Owner and mode of what a caller makes in a directory. In a directory with S_ISGID the directory's group is inherited, and
    /// by directories also S_ISGID; a program with the rights of a group can only be made by a member of the group.
    pub(super) fn owner_of_new(
        &self,
        directory: InodeId,
        kind: Kind,
        mode: u32,
        caller: &Caller,
    ) -> Result<Owner> {
        let parent = self.node(directory)?;
        let mut owner = Owner { uid: caller.uid, gid: caller.gid, mode, directory: kind == Kind::Directory };
        if parent.mode & S_ISGID != 0 {
            owner.gid = parent.gid;
            if owner.directory {
                owner.mode |= S_ISGID;
            } else if mode & (S_ISGID | 0o010) == S_ISGID | 0o010
                && !caller.is_root()
                && !caller.in_group(parent.gid)
            {
                owner.mode &= !S_ISGID;
            }
        }
        Ok(owner)
    }
}
