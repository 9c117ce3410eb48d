//! What calls name files by: descriptors and paths.

use crate::errno::Errno;
use crate::fs::{self, Descriptor, FileObject, Files, Found, OpenFile, Start};
use crate::task::{Task, user};
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::{Caller, InodeId, Last, LastLink};
use linux_raw_sys::general as raw;

/// The open file of a descriptor. The upper half of the register does not count, as everywhere where Linux has an `int`.
pub fn file(task: &Task, number: u64) -> Result<Arc<OpenFile>, Errno> {
    task.process.files.lock().get(number & 0xffff_ffff)
}

/// As [`file`], but not for files that were opened with O_PATH.
pub fn usable(task: &Task, number: u64) -> Result<Arc<OpenFile>, Errno> {
    let file = file(task, number)?;
    match file.what {
        Descriptor::Path(_) => Err(Errno::EBADF),
        _ => Ok(file),
    }
}

/// RLIMIT_NOFILE: descriptors that a process gets are below.
pub fn descriptor_limit(task: &Task) -> u64 {
    task.process.resources.soft(raw::RLIMIT_NOFILE)
}

/// The path at an address.
pub fn path(from: u64) -> Result<Vec<u8>, Errno> {
    let mut path = Vec::new();
    path.try_reserve_exact(raw::PATH_MAX as usize).map_err(|_| Errno::ENOMEM)?;
    path.resize(raw::PATH_MAX as usize, 0);
    let length = user::string(from, &mut path)?;
    if length == path.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    path.truncate(length);
    Ok(path)
}

/// Where a path begins: `number` is a descriptor of a directory, or AT_FDCWD.
pub fn start(task: &Task, number: u64, path: &[u8]) -> Result<Start, Errno> {
    if path.starts_with(b"/") {
        return Ok(Start::ROOT);
    }
    if number as i32 == raw::AT_FDCWD {
        return Ok(Start::of(&task.process.place.lock()));
    }
    match file(task, number)?.found() {
        Found::Pipe(_) | Found::Nameless => Err(Errno::ENOTDIR),
        found => Ok(Start::at(found)),
    }
}

/// Which links a call follows at the end of a path.
pub fn last_link(follow: bool) -> LastLink {
    if follow { LastLink::Follow } else { LastLink::Keep }
}

/// What a path leads to. With `empty` an empty path is the descriptor itself (AT_EMPTY_PATH).
pub fn found(task: &Task, number: u64, path: &[u8], last: LastLink, empty: bool) -> Result<Found, Errno> {
    if path.is_empty() && empty && number as i32 != raw::AT_FDCWD {
        return Ok(file(task, number)?.found());
    }
    let path = if path.is_empty() && empty { b"." } else { path };
    fs::find(&start(task, number, path)?, path, last)
}

/// As [`found`], for calls that change an inode of the tree: EPERM for anything else.
pub fn inode(
    task: &Task,
    number: u64,
    path: &[u8],
    last: LastLink,
    empty: bool,
) -> Result<Arc<FileObject>, Errno> {
    found(task, number, path, last, empty)?.object()
}

/// Who asks for an operation: so far every process belongs to root.
pub fn caller() -> Caller<'static> {
    Caller::root(fs::now())
}

/// Does something with the directory and the last component that a path leads to, under the tree's lock. `refused` is the error for a
/// component that exists in a mounted tree.
pub fn with_parent<R>(
    task: &Task,
    number: u64,
    path: &[u8],
    refused: Errno,
    operation: impl FnOnce(&mut Files, InodeId, Last<'_>, &Caller<'_>) -> files::Result<R>,
) -> Result<R, Errno> {
    let (directory, walk) = fs::parent(&start(task, number, path)?, path, refused)?;
    // Behind `directory`, which takes the lock when it is dropped.
    let (mut tree, caller) = (fs::tree(), caller());
    Ok(operation(&mut tree, directory.inode(), walk.last()?, &caller)?)
}

/// The mode of a new file, without what the process's umask takes away.
pub fn new_mode(task: &Task, mode: u64) -> u32 {
    mode as u32 & 0o7777 & !task.process.place.lock().umask
}
