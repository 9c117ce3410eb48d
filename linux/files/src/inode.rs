//! One inode of the tree.

use alloc::vec::Vec;

use linux_raw_sys::general::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK};

use crate::caller::Owner;
use crate::directory::Directory;
use crate::id::InodeId;
use crate::pages::Pages;
use crate::time::Time;

/// The numbers of a device.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of the driver's devices.
    pub minor: u32,
}

/// What kind of inode it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A regular file.
    Regular,
    /// A directory, also one that is a mount point.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Character(Device),
    /// A block device.
    Block(Device),
    /// A named pipe. The tree has only the name: the [`Pipe`](crate::Pipe) is the kernel's.
    Fifo,
    /// The name of a socket. It cannot be opened.
    Socket,
}

impl Kind {
    /// The type as the mode of stat has it: one of `S_IFMT`'s values.
    pub const fn type_bits(self) -> u32 {
        match self {
            Kind::Regular => S_IFREG,
            Kind::Directory => S_IFDIR,
            Kind::Symlink => S_IFLNK,
            Kind::Character(_) => S_IFCHR,
            Kind::Block(_) => S_IFBLK,
            Kind::Fifo => S_IFIFO,
            Kind::Socket => S_IFSOCK,
        }
    }

    /// The type as getdents64 has it: one of the `DT_` values, which are `S_IFMT`'s divided by 4096.
    pub const fn dirent_type(self) -> u8 {
        (self.type_bits() >> 12) as u8
    }
}

/// Where an inode has a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) directory: InodeId,
    /// The slot of the directory's entry.
    pub(crate) slot: u32,
}

/// The last name of an inode that has no name any more and is still held. The directory is held by this.
pub(crate) struct LastName {
    pub(crate) directory: InodeId,
    pub(crate) name: Vec<u8>,
}

pub(crate) struct File<P> {
    pub(crate) size: u64,
    /// None of them lies behind the page of the last byte.
    pub(crate) pages: Pages<P>,
}

pub(crate) enum Body<P, N> {
    File(File<P>),
    Directory {
        entries: Directory,
        /// What is mounted here.
        mount: Option<N>,
    },
    Symlink(Vec<u8>),
    Character(Device),
    Block(Device),
    Fifo,
    Socket,
}

pub(crate) struct Inode<P, N> {
    pub(crate) number: u64,
    pub(crate) body: Body<P, N>,
    /// Permission bits with S_ISUID, S_ISGID and S_ISVTX, without the type.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) accessed: Time,
    pub(crate) modified: Time,
    pub(crate) changed: Time,
    /// How often the inode is held: by the tree's user, and by `LastName`s of others.
    pub(crate) holds: u64,
    /// All names of the inode. A directory has one, the root none.
    pub(crate) links: Vec<Link>,
    pub(crate) last_name: Option<LastName>,
}

impl<P, N> Inode<P, N> {
    pub(crate) fn kind(&self) -> Kind {
        match &self.body {
            Body::File(_) => Kind::Regular,
            Body::Directory { .. } => Kind::Directory,
            Body::Symlink(_) => Kind::Symlink,
            Body::Character(device) => Kind::Character(*device),
            Body::Block(device) => Kind::Block(*device),
            Body::Fifo => Kind::Fifo,
            Body::Socket => Kind::Socket,
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.body, Body::Directory { .. })
    }

    pub(crate) fn is_mount(&self) -> bool {
        matches!(self.body, Body::Directory { mount: Some(_), .. })
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner { uid: self.uid, gid: self.gid, mode: self.mode, directory: self.is_directory() }
    }

    /// The directory that has, or had last, this inode's first name.
    pub(crate) fn parent(&self) -> Option<InodeId> {
        let linked = self.links.first().map(|link| link.directory);
        linked.or(self.last_name.as_ref().map(|last| last.directory))
    }
}
