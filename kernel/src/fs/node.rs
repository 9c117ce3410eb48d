//! Files that the kernel makes as they are asked for: the trees that are mounted at `/proc` and `/sys`. What is in them is the business of
//! [`crate::proc`]; here is how paths, descriptors and calls see them.

use super::pipe::Pipe;
use super::{FileObject, tree};
use crate::errno::Errno;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use files::{Access, Device, Kind, Stat};
use linux_raw_sys::general as raw;

/// A tree that can be mounted.
pub trait FileSystem: Sync {
    /// Its root directory.
    fn root(&self) -> Arc<dyn Node>;

    /// `st_dev` of its files: no other tree has it.
    fn device(&self) -> u64;

    /// `f_type` of statfs(2).
    fn magic(&self) -> u32;
}

/// What is mounted at a directory of the tree.
#[derive(Clone, Copy)]
pub struct Mount(pub &'static dyn FileSystem);

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mount({})", self.0.device())
    }
}

/// A file of a mounted tree. What it was made for (a process) may have ended: then its methods return errors.
///
/// All methods are called in thread context, without any lock of `fs`, and may sleep.
pub trait Node: Send + Sync {
    /// The number by which no other file of the tree is known.
    fn number(&self) -> u64;

    /// Type and permission bits.
    fn mode(&self) -> u32;

    /// What a directory has under a name, which is neither "." nor "..".
    ///
    /// # Errors
    /// ENOENT.
    fn child(&self, name: &[u8]) -> Result<Arc<dyn Node>, Errno>;

    /// The directory that has it; None for the root of the tree.
    fn parent(&self) -> Option<Arc<dyn Node>>;

    /// The first entry of a directory at a cookie or behind, without "." and "..". The first cookie is [`FIRST_COOKIE`].
    ///
    /// # Errors
    /// ENOENT.
    fn entry(&self, cookie: u64) -> Result<Option<Listed>, Errno>;

    /// Where a symbolic link leads to.
    ///
    /// # Errors
    /// ENOENT.
    fn follow(&self) -> Result<Target, Errno>;

    /// What a symbolic link says.
    ///
    /// # Errors
    /// ENOENT; EINVAL if it is no link.
    fn read_link(&self) -> Result<Vec<u8>, Errno>;

    /// Opens a file that is neither a directory nor a link.
    ///
    /// # Errors
    /// ESRCH.
    fn open(&self) -> Result<Arc<dyn Content>, Errno>;

    /// The path from the root of the tree: empty for the root, else it begins with a slash.
    fn path(&self) -> Vec<u8>;
}

/// What an open file of a mounted tree gives and takes. Thread context; may sleep.
pub trait Content: Send + Sync {
    /// Reads from an offset on. Returns how many bytes there were, 0 at the end.
    ///
    /// # Errors
    /// EIO, ESRCH, ENOMEM.
    fn read(&self, offset: u64, to: &mut [u8]) -> Result<usize, Errno>;

    /// Writes at an offset. Returns how many bytes were written.
    ///
    /// # Errors
    /// EINVAL if the file cannot be written.
    fn write(&self, offset: u64, from: &[u8]) -> Result<usize, Errno>;
}

/// Where a symbolic link leads to.
pub enum Target {
    /// To a path, which begins at the directory of the link if it is relative.
    Path(Vec<u8>),
    /// To a file, whatever path it has, or none (Linux: magic links).
    File(Found),
}

/// What a path leads to. It exists as long as the value does. Dropping it may sleep: no lock of the tree is held.
#[derive(Clone)]
pub enum Found {
    /// An inode of the tree.
    Object(Arc<FileObject>),
    /// A file of a mounted tree.
    Node(Mounted),
    /// A pipe without a name, which a link in `/proc/PID/fd` leads to.
    Pipe(Arc<Pipe>),
    /// A file that no path leads to, such as an event.
    Nameless,
}

/// One entry of a directory.
pub struct Listed {
    /// The name.
    pub name: Vec<u8>,
    /// `d_ino`.
    pub number: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// The cookie of the next entry.
    pub next: u64,
}

/// The cookie of the first entry behind "." and "..".
pub const FIRST_COOKIE: u64 = 2;

/// A file of a mounted tree, and where the tree is mounted.
#[derive(Clone)]
pub struct Mounted {
    /// The directory of the tree at which the other tree is mounted.
    pub point: Arc<FileObject>,
    /// The file.
    pub node: Arc<dyn Node>,
    /// The tree that has it.
    pub mount: Mount,
}

impl Mounted {
    /// The root of what is mounted at a directory.
    pub fn root(point: Arc<FileObject>, mount: Mount) -> Self {
        Self { point, node: mount.0.root(), mount }
    }

    /// Another file of the same tree.
    pub fn with(&self, node: Arc<dyn Node>) -> Self {
        Self { node, ..self.clone() }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.node.mode() & raw::S_IFMT == raw::S_IFDIR
    }

    /// Whether it is a symbolic link.
    pub fn is_link(&self) -> bool {
        self.node.mode() & raw::S_IFMT == raw::S_IFLNK
    }

    /// What stat(2) shows.
    pub fn stat(&self) -> Stat {
        let mode = self.node.mode();
        let kind = match mode & raw::S_IFMT {
            raw::S_IFDIR => Kind::Directory,
            raw::S_IFLNK => Kind::Symlink,
            _ => Kind::Regular,
        };
        let time = super::now();
        Stat {
            number: self.node.number(),
            kind,
            mode,
            // Nobody counts directories whose number changes at any moment; 1 tells programs not to conclude anything from it.
            links: 1,
            uid: 0,
            gid: 0,
            size: 0,
            blocks: 0,
            device: Device::default(),
            accessed: time,
            modified: time,
            changed: time,
        }
    }

    /// Whether root may do this: everything but to execute what nobody may execute.
    ///
    /// # Errors
    /// EACCES.
    pub fn permit(&self, want: Access) -> Result<(), Errno> {
        let executable = self.is_directory() || self.node.mode() & 0o111 != 0;
        if want.contains(Access::EXECUTE) && !executable { Err(Errno::EACCES) } else { Ok(()) }
    }

    /// The first entry of a directory at a cookie or behind, "." and ".." included.
    ///
    /// # Errors
    /// ENOENT.
    pub fn entry(&self, cookie: u64) -> Result<Option<Listed>, Errno> {
        let mode = raw::S_IFDIR;
        Ok(match cookie {
            0 => Some(Listed { name: b".".to_vec(), number: self.node.number(), mode, next: 1 }),
            1 => {
                let number = match self.node.parent() {
                    Some(parent) => parent.number(),
                    None => tree().parent(self.point.inode())?.number(),
                };
                Some(Listed { name: b"..".to_vec(), number, mode, next: FIRST_COOKIE })
            }
            _ => self.node.entry(cookie)?,
        })
    }

    /// The absolute path.
    pub fn path(&self) -> Vec<u8> {
        let mut path = super::path_of(self.point.inode());
        path.extend_from_slice(&self.node.path());
        path
    }
}
