//! The current directory, and what directories have in them.

use super::arguments::{caller, inode, last_link, path, usable};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, Descriptor, FileObject};
use crate::task::{Task, user};
use alloc::sync::Arc;
use files::{Access, DirectoryEntry, Kind};
use linux_raw_sys::general as raw;

/// The bytes of entries that one call of getdents64 gives at most. An entry has at most 280 bytes.
const LISTED: usize = 4096;

/// Where the name is in `struct linux_dirent64`.
const NAME: usize = core::mem::offset_of!(raw::linux_dirent64, d_name);

/// chdir
pub fn chdir(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let at = raw::AT_FDCWD as u64;
    go_to(task, inode(task, at, &path(frame.x[0])?, last_link(true), false)?)
}

/// fchdir
pub fn fchdir(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let file = super::arguments::file(task, frame.x[0])?;
    go_to(task, file.object().cloned().ok_or(Errno::ENOTDIR)?)
}

fn go_to(task: &Task, directory: Arc<FileObject>) -> Result<u64, Errno> {
    {
        let tree = fs::tree();
        if tree.kind(directory.inode())? != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        tree.permit(directory.inode(), Access::EXECUTE, &caller())?;
    }
    let before = task.process.place.lock().directory.replace(directory);
    drop(before);
    Ok(0)
}

/// getcwd. Returns the length of the path, its NUL included.
pub fn getcwd(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [to, size, ..] = frame.x;
    let directory = task.process.place.lock().directory.clone();
    let path = {
        let tree = fs::tree();
        let at = directory.as_ref().map_or(tree.root(), |directory| directory.inode());
        tree.path_of(at)?
    };
    if path.deleted {
        return Err(Errno::ENOENT);
    }
    let length = path.path.len() as u64 + 1;
    if length > size {
        return Err(Errno::ERANGE);
    }
    user::write(to, &path.path)?;
    user::write(to + length - 1, &[0])?;
    Ok(length)
}

/// umask
pub fn umask(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let new = frame.x[0] as u32 & 0o777;
    Ok(core::mem::replace(&mut task.process.place.lock().umask, new).into())
}

/// getdents64
pub fn getdents64(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, to, size, ..] = frame.x;
    let file = usable(task, number)?;
    let Descriptor::Directory(object) = &file.what else { return Err(Errno::ENOTDIR) };
    let mut listed = [0; LISTED];
    let room = &mut listed[..(size & 0xffff_ffff).min(LISTED as u64) as usize];
    let mut cookie = file.offset.lock();
    let (mut next, mut length) = (*cookie, 0);
    {
        let mut tree = fs::tree();
        while let Some(entry) = tree.next_entry(object.inode(), next)? {
            let Some(bytes) = put(&mut room[length..], &entry) else {
                if length == 0 {
                    return Err(Errno::EINVAL);
                }
                break;
            };
            length += bytes;
            next = entry.next;
        }
        tree.accessed(object.inode(), fs::now())?;
    }
    user::write(to, &room[..length])?;
    *cookie = next;
    Ok(length as u64)
}

/// Writes a `struct linux_dirent64`. Returns its length; None if there is no room.
fn put(room: &mut [u8], entry: &DirectoryEntry<'_>) -> Option<usize> {
    let length = (NAME + entry.name.len() + 1).next_multiple_of(8);
    let place = room.get_mut(..length)?;
    place.fill(0);
    place[..8].copy_from_slice(&entry.inode.number().to_le_bytes());
    place[8..16].copy_from_slice(&entry.next.to_le_bytes());
    place[16..18].copy_from_slice(&(length as u16).to_le_bytes());
    place[18] = entry.kind.dirent_type();
    place[NAME..NAME + entry.name.len()].copy_from_slice(entry.name);
    Some(length)
}
