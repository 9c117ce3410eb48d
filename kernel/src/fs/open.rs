//! What programs have open: descriptors, and the open files that they name.

use super::{FileObject, now, tree};
use crate::errno::Errno;
use crate::sched::Mutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::{Caller, InodeId, Kind, LastLink, Open, Resolved, Walk};

/// What an open file is.
pub enum Descriptor {
    /// A regular file or a directory of the tree.
    File(Arc<FileObject>),
    /// The console.
    Console,
    /// `/dev/null`.
    Null,
}

/// An open file: what `open` makes. Descriptors that `dup` and `fork` make share it, and its offset.
pub struct OpenFile {
    /// What it is.
    pub what: Descriptor,
    /// Where the next read or write begins.
    pub offset: Mutex<u64>,
    /// Whether it may be read.
    pub readable: bool,
    /// Whether it may be written.
    pub writable: bool,
}

impl OpenFile {
    /// Reads from the offset on. Returns how many bytes there were.
    ///
    /// # Errors
    /// EBADF, EISDIR.
    pub fn read(&self, to: &mut [u8]) -> Result<usize, Errno> {
        if !self.readable {
            return Err(Errno::EBADF);
        }
        match &self.what {
            Descriptor::File(file) => {
                let mut offset = self.offset.lock();
                let count = tree().read(file.inode(), *offset, to)?;
                *offset += count as u64;
                Ok(count)
            }
            Descriptor::Console | Descriptor::Null => Ok(0),
        }
    }

    /// Writes at the offset. Returns how many bytes were written.
    ///
    /// # Errors
    /// EBADF, and as [`files::Tree::write`].
    pub fn write(&self, from: &[u8]) -> Result<usize, Errno> {
        if !self.writable {
            return Err(Errno::EBADF);
        }
        match &self.what {
            Descriptor::File(file) => {
                let mut offset = self.offset.lock();
                let count = tree().write(file.inode(), *offset, from, &Caller::root(now()))?;
                *offset += count as u64;
                Ok(count)
            }
            Descriptor::Console => {
                crate::console::write(from);
                Ok(from.len())
            }
            Descriptor::Null => Ok(from.len()),
        }
    }
}

/// The most descriptors of a process: RLIMIT_NOFILE.
pub const MOST: usize = 1024;

/// The descriptors of a process, by number: an open file, and whether `execve` closes the descriptor.
#[derive(Clone, Default)]
pub struct OpenFiles(Vec<Option<(Arc<OpenFile>, bool)>>);

impl OpenFiles {
    /// The open file of a descriptor.
    ///
    /// # Errors
    /// EBADF.
    pub fn get(&self, number: u64) -> Result<Arc<OpenFile>, Errno> {
        let entry = usize::try_from(number).ok().and_then(|number| self.0.get(number)?.as_ref());
        entry.map(|(file, _)| file.clone()).ok_or(Errno::EBADF)
    }

    /// A descriptor for an open file: the lowest that is free.
    ///
    /// # Errors
    /// EMFILE, ENOMEM.
    pub fn add(&mut self, file: Arc<OpenFile>, close_on_exec: bool) -> Result<u64, Errno> {
        let number = self.0.iter().position(Option::is_none).unwrap_or(self.0.len());
        if number >= MOST {
            return Err(Errno::EMFILE);
        }
        if number == self.0.len() {
            self.0.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.0.push(None);
        }
        self.0[number] = Some((file, close_on_exec));
        Ok(number as u64)
    }

    /// Closes a descriptor. The caller drops the file when it holds no lock.
    ///
    /// # Errors
    /// EBADF.
    pub fn close(&mut self, number: u64) -> Result<Arc<OpenFile>, Errno> {
        let entry = usize::try_from(number).ok().and_then(|number| self.0.get_mut(number)?.take());
        entry.map(|(file, _)| file).ok_or(Errno::EBADF)
    }
}

/// The descriptors of the first process: the console three times.
///
/// # Errors
/// ENOMEM.
pub fn standard() -> Result<OpenFiles, Errno> {
    let console = Arc::new(OpenFile {
        what: Descriptor::Console,
        offset: Mutex::new(0),
        readable: true,
        writable: true,
    });
    let mut files = OpenFiles::default();
    for _ in 0..3 {
        files.add(console.clone(), false)?;
    }
    Ok(files)
}

/// The numbers of `/dev/null`, and of the console's device files (`/dev/console`, `/dev/tty`, `/dev/ttyS0`).
const NULL: (u32, u32) = (1, 3);

/// open(2), for a path that begins at `directory`. Thread context; may sleep.
///
/// # Errors
/// As [`files::Tree::open`]; ENXIO for a device that the kernel does not have.
pub fn open(directory: InodeId, path: &[u8], last: LastLink, how: &Open) -> Result<Arc<OpenFile>, Errno> {
    let (inode, kind) = {
        let mut tree = tree();
        let mut walk = Walk::new(directory, path, last)?;
        match tree.open(&mut walk, how, &Caller::root(now()))? {
            Resolved::Inode(inode) => {
                let kind = tree.kind(inode)?;
                tree.hold(inode)?;
                (inode, kind)
            }
            Resolved::Mount { which, .. } => match which {},
        }
    };
    let file = FileObject::of_held(inode);
    let what = match kind {
        Kind::Regular | Kind::Directory => Descriptor::File(file),
        Kind::Character(device) if (device.major, device.minor) == NULL => Descriptor::Null,
        Kind::Character(device) if matches!(device.major, 4 | 5) => Descriptor::Console,
        _ => return Err(Errno::ENXIO),
    };
    Ok(Arc::new(OpenFile { what, offset: Mutex::new(0), readable: how.read, writable: how.write }))
}
