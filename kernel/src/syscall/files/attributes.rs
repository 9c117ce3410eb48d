//! Changes of modes, owners, times and sizes.

use super::arguments::{caller, file, inode, last_link, path, usable};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, Descriptor, FileObject, Found, OpenFile, grower, grown};
use crate::task::{Task, user};
use alloc::sync::Arc;
use files::{Access, Kind, SetTime, Time};
use linux_raw_sys::general as raw;

const HERE: u64 = raw::AT_FDCWD as u64;

/// The inode of an open file; EBADF for files that have none that could be changed.
fn object(file: &OpenFile) -> Result<&Arc<FileObject>, Errno> {
    match (&file.what, file.object()) {
        (Descriptor::Made(..) | Descriptor::Directory(Found::Node(_)), _) => Err(Errno::EPERM),
        (Descriptor::Path(_), _) | (_, None) => Err(Errno::EBADF),
        (_, Some(object)) => Ok(object),
    }
}

/// fchmod
pub fn fchmod(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let file = file(task, frame.x[0])?;
    fs::tree().chmod(object(&file)?.inode(), frame.x[1] as u32, &caller())?;
    Ok(0)
}

/// fchmodat. It has no flags; glibc does what AT_SYMLINK_NOFOLLOW asks for.
pub fn fchmodat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, mode, ..] = frame.x;
    let object = inode(task, number, &path(name)?, last_link(true), false)?;
    fs::tree().chmod(object.inode(), mode as u32, &caller())?;
    Ok(0)
}

/// An owner or group; all ones leave it as it is.
fn owner(number: u64) -> Option<u32> {
    Some(number as u32).filter(|&number| number != u32::MAX)
}

/// fchown
pub fn fchown(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, user, group, ..] = frame.x;
    let file = file(task, number)?;
    fs::tree().chown(object(&file)?.inode(), owner(user), owner(group), &caller())?;
    Ok(0)
}

/// fchownat
pub fn fchownat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, user, group, flags, ..] = frame.x;
    let flags = flags as u32;
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let last = last_link(flags & raw::AT_SYMLINK_NOFOLLOW == 0);
    let object = inode(task, number, &path(name)?, last, flags & raw::AT_EMPTY_PATH != 0)?;
    fs::tree().chown(object.inode(), owner(user), owner(group), &caller())?;
    Ok(0)
}

/// utimensat. Without a path it changes the open file itself.
pub fn utimensat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, times, flags, ..] = frame.x;
    let flags = flags as u32;
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let [accessed, modified] = match times {
        0 => [SetTime::Now; 2],
        _ => {
            let [one, one_nsec, other, other_nsec] = user::get::<[u64; 4]>(times)?;
            [time(one, one_nsec)?, time(other, other_nsec)?]
        }
    };
    let target = if name == 0 {
        object(&*file(task, number)?)?.clone()
    } else {
        let last = last_link(flags & raw::AT_SYMLINK_NOFOLLOW == 0);
        inode(task, number, &path(name)?, last, flags & raw::AT_EMPTY_PATH != 0)?
    };
    fs::tree().set_times(target.inode(), accessed, modified, &caller())?;
    Ok(0)
}

fn time(sec: u64, nsec: u64) -> Result<SetTime, Errno> {
    Ok(match u32::try_from(nsec) {
        Ok(raw::UTIME_NOW) => SetTime::Now,
        Ok(raw::UTIME_OMIT) => SetTime::Keep,
        Ok(nsec) if nsec < 1_000_000_000 => SetTime::To(Time { sec: sec as i64, nsec }),
        _ => return Err(Errno::EINVAL),
    })
}

/// A size that a program gives.
fn size(number: u64) -> Result<u64, Errno> {
    if number > i64::MAX as u64 { Err(Errno::EINVAL) } else { Ok(number) }
}

/// ftruncate
pub fn ftruncate(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let file = usable(task, frame.x[0])?;
    let size = size(frame.x[1])?;
    match &file.what {
        Descriptor::File(object) if file.writable => {
            object.truncate(size, &grower())?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// truncate
pub fn truncate(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let size = size(frame.x[1])?;
    let object = inode(task, HERE, &path(frame.x[0])?, last_link(true), false)?;
    let caller = grower();
    let kind = fs::tree().kind(object.inode())?;
    match kind {
        Kind::Regular => {}
        Kind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    fs::tree().permit(object.inode(), Access::WRITE, &caller)?;
    object.truncate(size, &caller)?;
    Ok(0)
}

/// fallocate: space is reserved by making the pages. Only mode 0.
pub fn fallocate(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, mode, offset, length, ..] = frame.x;
    let file = usable(task, number)?;
    if mode as u32 != 0 {
        return Err(Errno::new(linux_raw_sys::errno::EOPNOTSUPP));
    }
    if !file.writable {
        return Err(Errno::EBADF);
    }
    let Descriptor::File(object) = &file.what else { return Err(Errno::ESPIPE) };
    grown(fs::tree().allocate(object.inode(), size(offset)?, size(length)?, &grower()))?;
    Ok(0)
}
