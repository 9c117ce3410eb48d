//! The initial ramdisk's entries become inodes.

use super::Tree;
use super::resolve::Resolved;
use crate::caller::Owner;
use crate::inode::Body;
use crate::{Caller, Device, FileError, InodeId, Kind, Last, LastLink, Page, Result, Time, Walk};

/// One entry of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Unpacked<'a> {
    /// The path, from the root in any case: "bin/sh", "./bin/sh" and "/bin/sh" are the same.
    pub path: &'a [u8],
    /// Permission bits with S_ISUID, S_ISGID and S_ISVTX; the type bits are ignored.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// All three times of the inode.
    pub time: Time,
    /// What it is.
    pub body: UnpackedBody<'a>,
}

/// What an entry of an archive is.
#[derive(Clone, Copy, Debug)]
pub enum UnpackedBody<'a> {
    /// A regular file with its contents.
    Regular(&'a [u8]),
    /// Another name for the regular file that an earlier entry made. Owner, mode and times become this entry's.
    HardLink {
        /// The path of the earlier entry.
        of: &'a [u8],
        /// New contents, unless empty: cpio archives have the contents at one of the names.
        contents: &'a [u8],
    },
    /// A directory.
    Directory,
    /// A symbolic link with its target.
    Symlink(&'a [u8]),
    /// A character device.
    Character(Device),
    /// A block device.
    Block(Device),
    /// A named pipe.
    Fifo,
    /// The name of a socket.
    Socket,
}

impl<P: Page, N: Copy> Tree<P, N> {
    /// Makes one entry of an archive, as root. Returns its inode.
    ///
    /// - Directories on the way that do not exist are made, with mode 0755 and root's. (Linux leaves such an entry out.) Symbolic
    ///   links on the way are followed.
    /// - A later entry replaces an earlier one of the same path. What is a directory, or a regular file, and stays one keeps its
    ///   inode and gets new attributes and contents, as does the root for the path ".".
    /// - Entries that are made in a directory do not change the directory's times: its own entry has said what they are.
    ///
    /// # Errors
    /// `NotEmpty` if something would replace a directory with entries; `Busy` if the path leads into a mount or to one;
    /// `IsDirectory` for "/", "." and ".." if the entry is no directory; `NotFound` for an empty path or target; `Invalid` if
    /// `HardLink::of` is no regular file; `NoSpace`, `NoMemory` and what [`Tree::resolve`] has. After an error the entry can be
    /// missing, or have only a part of its contents.
    pub fn unpack(&mut self, entry: &Unpacked) -> Result<InodeId> {
        let caller = Caller::root(entry.time);
        let mut walk = Walk::new(self.root, entry.path, LastLink::Keep)?;
        let directory = self.make_parents(&mut walk, entry.time)?;
        let inode = match walk.last()? {
            Last::Name { name, .. } => self.unpack_as(directory, name, entry, &caller)?,
            // Only the attributes of a directory that exists can be meant.
            _ => match self.resolve(&mut walk, &caller)? {
                Resolved::Inode(inode) if matches!(entry.body, UnpackedBody::Directory) => inode,
                Resolved::Inode(_) => return Err(FileError::IsDirectory),
                Resolved::Mount { .. } => return Err(FileError::Busy),
            },
        };
        self.set_attributes(inode, entry)?;
        Ok(inode)
    }

    fn unpack_as(
        &mut self,
        directory: InodeId,
        name: &[u8],
        entry: &Unpacked,
        caller: &Caller,
    ) -> Result<InodeId> {
        let old = self.lookup(directory, name)?;
        let old_kind = old.map(|(_, inode)| self.kind(inode)).transpose()?;
        let (inode, contents) = match (entry.body, old.zip(old_kind)) {
            (UnpackedBody::Directory, Some(((_, old), Kind::Directory))) => {
                return if self.node(old)?.is_mount() { Err(FileError::Busy) } else { Ok(old) };
            }
            (UnpackedBody::Regular(contents), Some(((_, old), Kind::Regular))) => {
                self.resize(old, 0, caller)?;
                (old, contents)
            }
            (UnpackedBody::HardLink { of, contents }, old) => {
                let first = self.find_first(of, caller)?;
                match old {
                    Some(((_, old), _)) if old == first => {}
                    old => {
                        self.clear(directory, old.map(|(old, _)| old))?;
                        self.add_link(first, directory, name)?;
                    }
                }
                if !contents.is_empty() {
                    self.resize(first, 0, caller)?;
                }
                (first, contents)
            }
            (body, old) => {
                let (body, contents) = Self::body_of(body)?;
                self.clear(directory, old.map(|(old, _)| old))?;
                let owner = Owner { uid: 0, gid: 0, mode: 0o777, directory: false };
                (self.add_named(directory, name, body, &owner, entry.time)?, contents)
            }
        };
        if !contents.is_empty() && self.write(inode, 0, contents, caller)? < contents.len() {
            return Err(FileError::NoSpace);
        }
        Ok(inode)
    }

    fn find_first(&self, of: &[u8], caller: &Caller) -> Result<InodeId> {
        let mut walk = Walk::new(self.root, of, LastLink::Keep)?;
        match self.resolve(&mut walk, caller)? {
            Resolved::Inode(inode) if self.kind(inode)? == Kind::Regular => Ok(inode),
            Resolved::Inode(_) => Err(FileError::Invalid),
            Resolved::Mount { .. } => Err(FileError::Busy),
        }
    }

    /// Removes what has the name of an entry.
    fn clear(&mut self, directory: InodeId, old: Option<(u32, InodeId)>) -> Result<()> {
        let Some((slot, inode)) = old else { return Ok(()) };
        if self.node(inode)?.is_mount() {
            return Err(FileError::Busy);
        }
        if self.directory(inode).is_ok_and(|entries| entries.len() > 0) {
            return Err(FileError::NotEmpty);
        }
        self.detach(directory, slot)
    }

    /// The new inode's body, and the contents that are to be written to it.
    fn body_of(body: UnpackedBody<'_>) -> Result<(Body<P, N>, &[u8])> {
        Ok(match body {
            UnpackedBody::Regular(contents) | UnpackedBody::HardLink { contents, .. } => {
                return Ok((Self::empty_file(), contents));
            }
            UnpackedBody::Directory => (Self::empty_directory(), &[]),
            UnpackedBody::Symlink(target) => (Body::Symlink(Self::link_target(target)?), &[]),
            UnpackedBody::Character(device) => (Body::Character(device), &[]),
            UnpackedBody::Block(device) => (Body::Block(device), &[]),
            UnpackedBody::Fifo => (Body::Fifo, &[]),
            UnpackedBody::Socket => (Body::Socket, &[]),
        })
    }

    fn set_attributes(&mut self, inode: InodeId, entry: &Unpacked) -> Result<()> {
        let node = self.node_mut(inode)?;
        if node.kind() != Kind::Symlink {
            node.mode = entry.mode & 0o7777;
        }
        (node.uid, node.gid) = (entry.uid, entry.gid);
        (node.accessed, node.modified, node.changed) = (entry.time, entry.time, entry.time);
        Ok(())
    }
}
