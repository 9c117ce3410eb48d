//! What programs have open: the open files that descriptors name.

use super::grow::{grower, grown};
use super::node::{Content, Found, Mounted};
use super::owner::{Listeners, Owned, Owner};
use super::pipe::PipeEnd;
use super::resolve::{End, Goal, Step, through};
use super::terminal::{self, TerminalEnd};
use super::{Device, Event, FileObject, Special, Start, asks, fifo, now, tree};
use crate::errno::Errno;
use crate::sched::Mutex;
use crate::sync::IrqMutex;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use files::{Caller, FileError, Kind, LastLink, Open, Resolved, Walk};
use linux_raw_sys::general as raw;

/// What an open file is.
pub enum Descriptor {
    /// A regular file of the tree.
    File(Arc<FileObject>),
    /// A directory.
    Directory(Found),
    /// What was opened with O_PATH: it can be asked for, but neither read nor written.
    Path(Found),
    /// A file of a mounted tree, and what it gives and takes.
    Made(Mounted, Arc<dyn Content>),
    /// A character device, and the inode by which it was opened.
    Device(Device, Arc<FileObject>),
    /// A terminal, and the inode by which it was opened.
    Terminal(TerminalEnd, Arc<FileObject>),
    /// An end of a pipe.
    Pipe(PipeEnd),
    /// A file that knows by itself what it is.
    Special(Arc<dyn Special>),
    /// A counter of `eventfd`.
    Event(Event),
}

/// An open file: what `open` makes. Descriptors that `dup` and `fork` make share it, and its offset.
///
/// Dropping it may sleep.
pub struct OpenFile {
    /// What it is.
    pub what: Descriptor,
    /// Where the next read or write begins; in a directory, the cookie of the next entry. Taken before the tree's lock.
    pub offset: Mutex<u64>,
    /// Whether it may be read.
    pub readable: bool,
    /// Whether it may be written.
    pub writable: bool,
    /// The flags that F_SETFL can change: O_APPEND, O_NONBLOCK and so on.
    pub status: AtomicU32,
    /// Who gets the signals of O_ASYNC.
    pub owner: IrqMutex<Owner>,
}

/// What F_SETFL can change in every file. O_ASYNC can change only where [`listeners`](OpenFile::listeners) are kept.
pub const CHANGEABLE: u32 = raw::O_APPEND | raw::O_NONBLOCK | raw::O_DIRECT | raw::O_NOATIME;

impl OpenFile {
    /// An open file, at offset 0.
    pub fn new(what: Descriptor, readable: bool, writable: bool, status: u32) -> Arc<Self> {
        let status = AtomicU32::new(status & (CHANGEABLE | raw::O_PATH));
        let owner = IrqMutex::new(Owner::default());
        Arc::new(Self { what, offset: Mutex::new(0), readable, writable, status, owner })
    }

    /// Who listens to the file with O_ASYNC; empty if the file tells nobody.
    pub fn listeners(&self) -> impl Iterator<Item = &Listeners> {
        let listeners = match &self.what {
            Descriptor::Terminal(end, _) => [Some(&end.terminal().listeners), None],
            Descriptor::Pipe(end) => end.listeners(),
            _ => [None, None],
        };
        listeners.into_iter().flatten()
    }

    /// Whether a status flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.status.load(Relaxed) & flag != 0
    }

    /// Whether the file has an offset.
    pub fn is_seekable(&self) -> bool {
        !matches!(
            self.what,
            Descriptor::Pipe(_)
                | Descriptor::Special(_)
                | Descriptor::Event(_)
                | Descriptor::Path(_)
                | Descriptor::Terminal(..)
        )
    }

    /// The inode of the tree, if the file has one.
    pub fn object(&self) -> Option<&Arc<FileObject>> {
        match &self.what {
            Descriptor::File(object)
            | Descriptor::Directory(Found::Object(object))
            | Descriptor::Path(Found::Object(object))
            | Descriptor::Device(_, object)
            | Descriptor::Terminal(_, object) => Some(object),
            Descriptor::Pipe(end) => end.object(),
            Descriptor::Special(_) | Descriptor::Event(_) => None,
            Descriptor::Directory(_) | Descriptor::Path(_) | Descriptor::Made(..) => None,
        }
    }

    /// What a path to the file leads to.
    pub fn found(&self) -> Found {
        match &self.what {
            Descriptor::Directory(found) | Descriptor::Path(found) => found.clone(),
            Descriptor::Made(node, _) => Found::Node(node.clone()),
            Descriptor::File(object) | Descriptor::Device(_, object) | Descriptor::Terminal(_, object) => {
                Found::Object(object.clone())
            }
            Descriptor::Pipe(end) => match end.object() {
                Some(object) => Found::Object(object.clone()),
                None => Found::Pipe(end.pipe().clone()),
            },
            Descriptor::Special(_) | Descriptor::Event(_) => Found::Nameless,
        }
    }

    /// The flags of open(2) with which the file is open, as F_GETFL gives them. Any context.
    pub fn flags(&self) -> u32 {
        let access = match (self.readable, self.writable) {
            (true, true) => raw::O_RDWR,
            (false, true) => raw::O_WRONLY,
            _ => raw::O_RDONLY,
        };
        let directory = if matches!(self.what, Descriptor::Directory(_)) { raw::O_DIRECTORY } else { 0 };
        // Programs of 64 bits open everything with O_LARGEFILE.
        let large = if !matches!(self.found(), Found::Pipe(_)) { raw::O_LARGEFILE } else { 0 };
        access | directory | large | self.status.load(Relaxed)
    }

    /// Reads a piece and gives it to `take`. What `take` refuses stays in a pipe; of other files without offsets it is lost, as on Linux. As
    /// [`read`](Self::read) says.
    ///
    /// # Errors
    /// Those of [`read`](Self::read) and of `take`.
    pub fn read_to(
        &self,
        offset: u64,
        piece: &mut [u8],
        wait: bool,
        mut take: impl FnMut(&[u8]) -> Result<(), Errno>,
    ) -> Result<usize, Errno> {
        match &self.what {
            Descriptor::Pipe(end) if self.readable && !piece.is_empty() => {
                end.read(piece, wait && !self.has(raw::O_NONBLOCK), take)
            }
            _ => {
                let count = self.read(offset, piece, wait)?;
                take(&piece[..count]).map(|()| count)
            }
        }
    }

    /// Reads from an offset on; files without offsets do not look at it. Returns how many bytes there were. With `wait` it sleeps until
    /// there are some, unless the file is O_NONBLOCK. Thread context; may sleep.
    ///
    /// # Errors
    /// EBADF, EISDIR, EAGAIN, ERESTARTSYS.
    pub fn read(&self, offset: u64, to: &mut [u8], wait: bool) -> Result<usize, Errno> {
        let wait = wait && !self.has(raw::O_NONBLOCK);
        if !self.readable {
            return Err(Errno::EBADF);
        }
        match &self.what {
            Descriptor::File(object) => {
                let mut tree = tree();
                let count = tree.read(object.inode(), offset, to)?;
                if !self.has(raw::O_NOATIME) {
                    tree.accessed(object.inode(), now())?;
                }
                Ok(count)
            }
            Descriptor::Directory(_) => Err(Errno::EISDIR),
            Descriptor::Event(event) => event.read(to, wait),
            _ if to.is_empty() => Ok(0),
            Descriptor::Made(_, content) => content.read(offset, to),
            Descriptor::Device(Device::Null, _) => Ok(0),
            Descriptor::Device(Device::Zero | Device::Full, _) => {
                to.fill(0);
                Ok(to.len())
            }
            Descriptor::Device(Device::Random, _) => {
                for part in to.chunks_mut(16) {
                    part.copy_from_slice(&crate::clock::random()[..part.len()]);
                }
                Ok(to.len())
            }
            // Opening a terminal makes no such device.
            Descriptor::Device(Device::Terminal, _) => Err(Errno::EIO),
            Descriptor::Terminal(end, _) => end.terminal().read(to, wait),
            Descriptor::Pipe(end) => end.read(to, wait, |_| Ok(())),
            Descriptor::Special(special) => special.read(to),
            Descriptor::Path(_) => Err(Errno::EBADF),
        }
    }

    /// Writes at an offset, or at the end with O_APPEND. Returns how many bytes were written, and the offset behind them. With `wait` it
    /// sleeps until there is room, unless the file is O_NONBLOCK. Thread context; may sleep.
    ///
    /// # Errors
    /// EBADF, EAGAIN, ERESTARTSYS, EPIPE, and as [`files::Tree::write`].
    pub fn write(&self, offset: u64, from: &[u8], wait: bool) -> Result<(usize, u64), Errno> {
        let wait = wait && !self.has(raw::O_NONBLOCK);
        if !self.writable {
            return Err(Errno::EBADF);
        }
        let count = match &self.what {
            Descriptor::File(object) => {
                let (mut tree, caller) = (tree(), grower());
                let (start, count) = if self.has(raw::O_APPEND) {
                    grown(tree.append(object.inode(), from, &caller))?
                } else {
                    (offset, grown(tree.write(object.inode(), offset, from, &caller))?)
                };
                return Ok((count, start.saturating_add(count as u64)));
            }
            Descriptor::Directory(_) | Descriptor::Path(_) | Descriptor::Special(_) => {
                return Err(Errno::EBADF);
            }
            Descriptor::Event(event) => event.write(from, wait)?,
            _ if from.is_empty() => 0,
            Descriptor::Made(_, content) => content.write(offset, from)?,
            Descriptor::Device(Device::Full, _) => return Err(Errno::ENOSPC),
            Descriptor::Device(Device::Null | Device::Zero | Device::Random, _) => from.len(),
            Descriptor::Device(Device::Terminal, _) => return Err(Errno::EIO),
            Descriptor::Terminal(end, _) => end.terminal().write(from, wait)?,
            Descriptor::Pipe(end) => end.write(from, wait)?,
        };
        Ok((count, offset.saturating_add(count as u64)))
    }
}

impl Owned for OpenFile {
    fn owner(&self) -> Owner {
        *self.owner.lock()
    }
}

/// open(2). `flags` has the flags of open(2) that are not in `how`: status flags and O_PATH. Thread context; may sleep.
///
/// # Errors
/// As [`files::Tree::open`]; ENXIO for a device that the kernel does not have.
pub fn open(
    start: &Start,
    path: &[u8],
    last: LastLink,
    how: &Open,
    flags: u32,
) -> Result<Arc<OpenFile>, Errno> {
    let only_path = flags & raw::O_PATH != 0;
    let caller = Caller::root(now());
    // Linux opens a link itself if it has to make a file, and nothing may exist.
    let last = if how.create && how.exclusive { LastLink::Keep } else { last };
    let mut walk = Walk::new(start.inode(), path, last)?;
    let end = through(&mut walk, start, Goal::File, |tree, walk| {
        let resolved = if only_path { tree.resolve(walk, &caller)? } else { tree.open(walk, how, &caller)? };
        match resolved {
            Resolved::Inode(inode) => {
                let kind = tree.kind(inode)?;
                tree.hold(inode)?;
                Ok(Step::Done((FileObject::of_held(inode), kind)))
            }
            Resolved::Mount { which, point } => Step::into_mount(tree, which, point),
        }
    })?;
    let what = match end {
        End::Tree((_, kind)) if only_path && how.directory && kind != Kind::Directory => {
            return Err(Errno::ENOTDIR);
        }
        End::Tree((object, _)) if only_path => Descriptor::Path(Found::Object(object)),
        End::Tree((object, kind)) => of_inode(object, kind, how, flags)?,
        End::Node(node) => of_node(node, how, only_path)?,
        End::Pipe(_) if how.directory => return Err(Errno::ENOTDIR),
        End::Pipe(pipe) if only_path => Descriptor::Path(Found::Pipe(pipe)),
        End::Pipe(pipe) => Descriptor::Pipe(PipeEnd::reopen(pipe, how.read, how.write)),
    };
    Ok(OpenFile::new(what, how.read && !only_path, how.write && !only_path, flags))
}

/// Opens an inode of the tree.
fn of_inode(object: Arc<FileObject>, kind: Kind, how: &Open, flags: u32) -> Result<Descriptor, Errno> {
    Ok(match kind {
        Kind::Regular => {
            if how.truncate {
                asks::drop_pages(object.inode(), 0);
            }
            Descriptor::File(object)
        }
        Kind::Directory => Descriptor::Directory(Found::Object(object)),
        Kind::Character(numbers) => {
            let device = Device::by_numbers(numbers).ok_or(Errno::ENXIO)?;
            match device {
                Device::Terminal => {
                    Descriptor::Terminal(terminal::open(numbers, flags & raw::O_NOCTTY != 0)?, object)
                }
                _ => Descriptor::Device(device, object),
            }
        }
        Kind::Fifo => {
            Descriptor::Pipe(fifo::open(object, how.read, how.write, flags & raw::O_NONBLOCK == 0)?)
        }
        _ => return Err(Errno::ENXIO),
    })
}

/// Opens a file of a mounted tree. There is nothing that O_TRUNC could cut off.
fn of_node(node: Mounted, how: &Open, only_path: bool) -> Result<Descriptor, Errno> {
    let directory = node.is_directory();
    if !only_path && how.create && how.exclusive {
        return Err(FileError::Exists.into());
    }
    if how.directory && !directory {
        return Err(Errno::ENOTDIR);
    }
    if only_path {
        return Ok(Descriptor::Path(Found::Node(node)));
    }
    if directory {
        let writes = how.create || how.write || how.truncate;
        return if writes { Err(Errno::EISDIR) } else { Ok(Descriptor::Directory(Found::Node(node))) };
    }
    if node.is_link() {
        return Err(Errno::ELOOP);
    }
    let content = node.node.open()?;
    Ok(Descriptor::Made(node, content))
}
