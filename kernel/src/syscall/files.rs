//! Files.

use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, OpenFile};
use crate::task::{Task, user};
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::{InodeId, LastLink, Open};
use linux_raw_sys::general as raw;

/// How many bytes are copied between a program and a file at once.
const PIECE: usize = 4096;

fn file(task: &Task, number: u64) -> Result<Arc<OpenFile>, Errno> {
    task.process.files.lock().get(number)
}

/// The path at an address.
fn path(from: u64) -> Result<Vec<u8>, Errno> {
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

/// The directory that a relative path begins at.
fn directory(task: &Task, number: u64) -> Result<InodeId, Errno> {
    if number as i32 == raw::AT_FDCWD {
        return Ok(fs::tree().root());
    }
    match &file(task, number as u32 as u64)?.what {
        fs::Descriptor::File(object) => Ok(object.inode()),
        _ => Err(Errno::ENOTDIR),
    }
}

/// openat
pub fn openat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [directory_number, name, flags, mode, ..] = frame.x;
    let flags = flags as u32;
    let has = |flag: u32| flags & flag != 0;
    let access = flags & raw::O_ACCMODE;
    let how = Open {
        read: access != raw::O_WRONLY,
        write: access != raw::O_RDONLY,
        create: has(raw::O_CREAT),
        exclusive: has(raw::O_EXCL),
        truncate: has(raw::O_TRUNC),
        directory: has(raw::O_DIRECTORY),
        mode: mode as u32 & 0o7777,
    };
    let last = if has(raw::O_NOFOLLOW) { LastLink::Keep } else { LastLink::Follow };
    let opened = fs::open(directory(task, directory_number)?, &path(name)?, last, &how)?;
    task.process.files.lock().add(opened, has(raw::O_CLOEXEC))
}

/// close
pub fn close(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let closed = task.process.files.lock().close(frame.x[0]);
    drop(closed?);
    Ok(0)
}

/// read
pub fn read(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, to, length, ..] = frame.x;
    let file = file(task, number)?;
    let mut piece = [0; PIECE];
    let mut done = 0;
    while done < length {
        let wanted = (length - done).min(PIECE as u64) as usize;
        let count = file.read(&mut piece[..wanted])?;
        user::write(to + done, &piece[..count])?;
        done += count as u64;
        if count < wanted {
            break;
        }
    }
    Ok(done)
}

fn write_from(file: &OpenFile, from: u64, length: u64) -> Result<u64, Errno> {
    let mut piece = [0; PIECE];
    let mut done = 0;
    while done < length {
        let wanted = (length - done).min(PIECE as u64) as usize;
        let written =
            user::read(from + done, &mut piece[..wanted]).and_then(|()| file.write(&piece[..wanted]));
        match written {
            Ok(count) => done += count as u64,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// write
pub fn write(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, from, length, ..] = frame.x;
    write_from(&*file(task, number)?, from, length)
}

/// writev
pub fn writev(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, vector, count, ..] = frame.x;
    let file = file(task, number)?;
    if count > u64::from(raw::UIO_MAXIOV) {
        return Err(Errno::EINVAL);
    }
    let mut done = 0;
    for index in 0..count {
        let [from, length] = user::get::<[u64; 2]>(vector + 16 * index)?;
        let written = write_from(&file, from, length)?;
        done += written;
        if written < length {
            break;
        }
    }
    Ok(done)
}

/// ioctl: no file of this kernel is a terminal yet.
pub fn ioctl(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    file(task, frame.x[0])?;
    Err(Errno::ENOTTY)
}

/// newfstatat
pub fn newfstatat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let _ = (task, frame);
    Err(Errno::ENOSYS)
}

/// readlinkat
pub fn readlinkat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let _ = (task, frame);
    Err(Errno::ENOENT)
}
