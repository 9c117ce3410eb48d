//! The current directory, and what directories have in them.

use super::arguments::{caller, found, last_link, path, usable};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, Descriptor, Found};
use crate::task::{Task, user};
use files::Access;
use linux_raw_sys::general as raw;

/// The bytes of entries that one call of getdents64 gives at most. An entry has at most 280 bytes.
const LISTED: usize = 4096;

/// Where the name is in `struct linux_dirent64`.
const NAME: usize = core::mem::offset_of!(raw::linux_dirent64, d_name);

/// chdir
pub fn chdir(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let at = raw::AT_FDCWD as u64;
    go_to(task, found(task, at, &path(frame.x[0])?, last_link(true), false)?)
}

/// fchdir
pub fn fchdir(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    go_to(task, super::arguments::file(task, frame.x[0])?.found())
}

fn go_to(task: &Task, directory: Found) -> Result<u64, Errno> {
    if !directory.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    directory.permit(Access::EXECUTE, &caller())?;
    let before = task.process.place.lock().directory.replace(directory);
    drop(before);
    Ok(0)
}

/// getcwd. Returns the length of the path, its NUL included.
pub fn getcwd(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [to, size, ..] = frame.x;
    let directory = task.process.place.lock().directory.clone();
    let path = match &directory {
        Some(Found::Node(node)) => node.path(),
        Some(Found::Pipe(_) | Found::Nameless) | None => b"/".to_vec(),
        Some(Found::Object(object)) => {
            let path = fs::tree().path_of(object.inode())?;
            if path.deleted {
                return Err(Errno::ENOENT);
            }
            path.path
        }
    };
    let length = path.len() as u64 + 1;
    if length > size {
        return Err(Errno::ERANGE);
    }
    user::write(to, &path)?;
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
    let Descriptor::Directory(directory) = &file.what else { return Err(Errno::ENOTDIR) };
    let mut listed = [0; LISTED];
    let room = &mut listed[..(size & 0xffff_ffff).min(LISTED as u64) as usize];
    let mut cookie = file.offset.lock();
    let mut list = List { room, length: 0, next: *cookie };
    match directory {
        Found::Object(object) => {
            let mut tree = fs::tree();
            while let Some(entry) = tree.next_entry(object.inode(), list.next)? {
                if !list.put(entry.name, entry.inode.number(), entry.kind.dirent_type(), entry.next)? {
                    break;
                }
            }
            tree.accessed(object.inode(), fs::now())?;
        }
        Found::Node(node) => {
            while let Some(entry) = node.entry(list.next)? {
                // The type is that of the mode (Linux: `S_DT`).
                if !list.put(&entry.name, entry.number, (entry.mode >> 12) as u8, entry.next)? {
                    break;
                }
            }
        }
        Found::Pipe(_) | Found::Nameless => return Err(Errno::ENOTDIR),
    }
    let List { length, next, .. } = list;
    user::write(to, &room[..length])?;
    *cookie = next;
    Ok(length as u64)
}

/// The entries that a call gives.
struct List<'a> {
    room: &'a mut [u8],
    length: usize,
    /// The cookie of the first entry that is not listed yet.
    next: u64,
}

impl List<'_> {
    /// Writes a `struct linux_dirent64`. Returns false if there is no room for it.
    ///
    /// # Errors
    /// EINVAL if there is no room for any entry.
    fn put(&mut self, name: &[u8], number: u64, kind: u8, next: u64) -> Result<bool, Errno> {
        let length = (NAME + name.len() + 1).next_multiple_of(8);
        let Some(place) = self.room.get_mut(self.length..self.length + length) else {
            return if self.length == 0 { Err(Errno::EINVAL) } else { Ok(false) };
        };
        place.fill(0);
        place[..8].copy_from_slice(&number.to_le_bytes());
        place[8..16].copy_from_slice(&next.to_le_bytes());
        place[16..18].copy_from_slice(&(length as u16).to_le_bytes());
        place[18] = kind;
        place[NAME..NAME + name.len()].copy_from_slice(name);
        self.length += length;
        self.next = next;
        Ok(true)
    }
}
