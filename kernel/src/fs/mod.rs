//! Files: the tree that starts as the initial ramdisk (the crate `files`), and what programs have open.
//!
//! The tree is held under one sleeping lock. User memory is never accessed while the lock is held, because a fault may need the tree.

pub mod asks;
pub mod changes;
mod devices;
mod event;
mod fifo;
mod found;
mod grow;
mod mount;
pub mod node;
mod object;
mod open;
pub mod owner;
pub mod pipe;
mod place;
mod poll;
mod receiver;
mod resolve;
mod special;
mod table;
pub mod terminal;

pub use devices::Device;
pub use event::Event;
pub use grow::{grower, grown};
pub use mount::mount;
pub use node::{Found, Mount, Mounted};
pub use object::FileObject;
pub use open::{CHANGEABLE, Descriptor, OpenFile, open};
pub use place::{Place, Start};
pub use receiver::Receiver;
pub use resolve::{find, parent};
pub use special::Special;
pub use table::{MOST, OpenFiles, standard};

use crate::errno::Errno;
use crate::mm::pages::Page;
use crate::sched::{Mutex, MutexGuard};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};
use files::{Device as Numbers, FileError, InodeId, Limits, Time, Tree, Unpacked, UnpackedBody};
use programs::ramdisk::{Archive, Entry, Kind, expand};

/// A page of a file's content, which mappings share.
#[derive(Clone)]
pub struct Content(pub Page);

impl files::Page for Content {
    fn zeroed() -> Option<Self> {
        Page::zeroed().map(Self)
    }

    fn read(&self, offset: usize, to: &mut [u8]) {
        self.0.read(offset, to);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.0.write(offset, from);
    }

    fn zero(&self, offset: usize, length: usize) {
        self.0.fill(offset, length);
    }
}

/// The tree of files.
pub type Files = Tree<Content, Mount>;

static TREE: Mutex<Option<Files>> = Mutex::new(None);

/// The tree, under its lock.
pub struct Held(MutexGuard<'static, Option<Files>>);

impl Deref for Held {
    type Target = Files;

    fn deref(&self) -> &Files {
        self.0.as_ref().expect("the tree is made before the first program starts")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Files {
        self.0.as_mut().expect("the tree is made before the first program starts")
    }
}

/// Takes the lock of the tree. Thread context; may sleep.
pub fn tree() -> Held {
    Held(TREE.lock())
}

/// The most inodes.
const INODES: u64 = 1 << 16;

/// The time for files.
pub fn now() -> Time {
    let now = crate::clock::realtime();
    Time { sec: (now / 1_000_000_000) as i64, nsec: (now % 1_000_000_000) as u32 }
}

impl From<FileError> for Errno {
    fn from(error: FileError) -> Self {
        Self::new(error.errno() as u32)
    }
}

/// Looks for the machine's devices, and makes the tree, with the initial ramdisk's files. Returns the errors of entries that could not be unpacked, which are left out.
///
/// # Errors
/// The message says what is wrong with the ramdisk or a device.
pub fn unpack(ramdisk: &[u8], pages: u64) -> Result<(), String> {
    let limits = Limits { pages, inodes: INODES, file_size: u64::MAX };
    let mut tree =
        Files::new(limits, 0o755, now()).map_err(|error| alloc::format!("no room for files: {error:?}"))?;
    let parts =
        expand(ramdisk, ramdisk.len().saturating_mul(64)).map_err(|error| alloc::format!("{error}"))?;
    for part in &parts {
        for entry in Archive::new(part) {
            let entry = entry.map_err(|error| alloc::format!("{error}"))?;
            let path = || String::from_utf8_lossy(entry.path).into_owned();
            if let Some(unpacked) = as_unpacked(&entry) {
                tree.unpack(&unpacked).map_err(|error| alloc::format!("{}: {error:?}", path()))?;
            }
        }
    }
    let line = terminal::find_line()?;
    devices::make(&mut tree, line, now()).map_err(|error| alloc::format!("/dev: {error:?}"))?;
    *TREE.lock() = Some(tree);
    Ok(())
}

fn as_unpacked<'a>(entry: &Entry<'a>) -> Option<Unpacked<'a>> {
    let device = Numbers { major: entry.rdev.0, minor: entry.rdev.1 };
    let body = match (entry.link_to, entry.kind) {
        (Some(of), _) => UnpackedBody::HardLink { of, contents: entry.data },
        (None, Kind::File) => UnpackedBody::Regular(entry.data),
        (None, Kind::Directory) => UnpackedBody::Directory,
        (None, Kind::Symlink) => UnpackedBody::Symlink(entry.data),
        (None, Kind::CharacterDevice) => UnpackedBody::Character(device),
        (None, Kind::BlockDevice) => UnpackedBody::Block(device),
        (None, Kind::Fifo) => UnpackedBody::Fifo,
        (None, Kind::Socket) => UnpackedBody::Socket,
    };
    let path: &[u8] = if entry.path.is_empty() { b"." } else { entry.path };
    let time = Time { sec: entry.mtime.into(), nsec: 0 };
    Some(Unpacked { path, mode: entry.mode, uid: entry.uid, gid: entry.gid, time, body })
}

/// A reference to an inode that somebody else holds now.
///
/// # Errors
/// ESTALE if nobody does.
pub fn held(inode: InodeId) -> Result<Arc<FileObject>, Errno> {
    tree().hold(inode)?;
    Ok(FileObject::of_held(inode))
}

/// A path as text.
pub fn path_of(inode: InodeId) -> Vec<u8> {
    tree().path_of(inode).map(|path| path.shown().concat()).unwrap_or_default()
}
