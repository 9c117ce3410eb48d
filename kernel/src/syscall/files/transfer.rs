//! read, write and their kin. Bytes are copied by the page, and no lock of the tree is held while user memory is accessed.

use super::arguments::usable;
use super::buffers::{Buffers, MOST};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, Descriptor, OpenFile};
use crate::sched::MutexGuard;
use crate::task::{Task, user};
use linux_raw_sys::general as raw;

/// How many bytes are copied between a program and a file at once. Not fewer than PIPE_BUF: a write to a pipe of so many is not torn.
const PIECE: usize = 4096;
const _: () = assert!(PIECE >= files::Pipe::ATOMIC);

/// Where a transfer goes on: at the open file's own offset, whose lock is held meanwhile, or at one of the call's.
struct Place<'a> {
    own: Option<MutexGuard<'a, u64>>,
    at: u64,
}

impl<'a> Place<'a> {
    fn new(file: &'a OpenFile, at: Option<u64>) -> Result<Self, Errno> {
        match at {
            None if file.is_seekable() => {
                let own = file.offset.lock();
                let at = *own;
                Ok(Self { own: Some(own), at })
            }
            None => Ok(Self { own: None, at: 0 }),
            Some(_) if !file.is_seekable() => Err(Errno::ESPIPE),
            Some(at) if at > i64::MAX as u64 => Err(Errno::EINVAL),
            Some(at) => Ok(Self { own: None, at }),
        }
    }

    fn go_to(&mut self, at: u64) {
        self.at = at;
        if let Some(own) = &mut self.own {
            **own = at;
        }
    }
}

/// Reads until the buffers are full, or less is there than was asked for. Waits only for the first bytes.
fn read_into(file: &OpenFile, mut buffers: Buffers, at: Option<u64>) -> Result<u64, Errno> {
    let mut place = Place::new(file, at)?;
    let mut piece = [0; PIECE];
    let mut done = 0;
    loop {
        let wanted = buffers.left().min(PIECE as u64) as usize;
        let read = file.read_to(place.at, &mut piece[..wanted], done == 0, |bytes| buffers.copy_out(bytes));
        match read {
            Ok(count) => {
                place.go_to(place.at.saturating_add(count as u64));
                done += count as u64;
                if count < wanted || buffers.left() == 0 {
                    return Ok(done);
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(done),
        }
    }
}

/// Writes all that is in the buffers, as long as there is room, for which it waits.
fn write_from(file: &OpenFile, mut buffers: Buffers, at: Option<u64>) -> Result<u64, Errno> {
    let mut place = Place::new(file, at)?;
    let mut piece = [0; PIECE];
    let mut done = 0;
    loop {
        let wanted = buffers.left().min(PIECE as u64) as usize;
        let filled = buffers.copy_in(&mut piece[..wanted]);
        let written = filled.and_then(|count| write_piece(file, &mut place, &piece[..count]));
        match written {
            Ok(count) => {
                done += count as u64;
                if count < wanted || buffers.left() == 0 {
                    return Ok(done);
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(done),
        }
    }
}

/// Writes a piece. Fewer bytes than there are if something comes in between.
fn write_piece(file: &OpenFile, place: &mut Place<'_>, piece: &[u8]) -> Result<usize, Errno> {
    let mut done = 0;
    loop {
        match file.write(place.at, &piece[done..], true) {
            Ok((count, end)) => {
                place.go_to(end);
                done += count;
                // A counter takes one number, however long the piece is.
                if done == piece.len() || count == 0 || matches!(file.what, Descriptor::Event(_)) {
                    return Ok(done);
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(done),
        }
    }
}

/// read
pub fn read(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, to, length, ..] = frame.x;
    read_into(&*usable(task, number)?, Buffers::one(to, length)?, None)
}

/// write
pub fn write(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, from, length, ..] = frame.x;
    write_from(&*usable(task, number)?, Buffers::one(from, length)?, None)
}

/// readv
pub fn readv(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, vector, count, ..] = frame.x;
    read_into(&*usable(task, number)?, Buffers::vector(vector, count)?, None)
}

/// writev
pub fn writev(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, vector, count, ..] = frame.x;
    write_from(&*usable(task, number)?, Buffers::vector(vector, count)?, None)
}

/// pread64
pub fn pread64(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, to, length, at, ..] = frame.x;
    read_into(&*usable(task, number)?, Buffers::one(to, length)?, Some(at))
}

/// pwrite64
pub fn pwrite64(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, from, length, at, ..] = frame.x;
    write_from(&*usable(task, number)?, Buffers::one(from, length)?, Some(at))
}

/// preadv
pub fn preadv(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, vector, count, at, ..] = frame.x;
    read_into(&*usable(task, number)?, Buffers::vector(vector, count)?, Some(at))
}

/// pwritev
pub fn pwritev(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, vector, count, at, ..] = frame.x;
    write_from(&*usable(task, number)?, Buffers::vector(vector, count)?, Some(at))
}

/// lseek
pub fn lseek(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, distance, whence, ..] = frame.x;
    let file = usable(task, number)?;
    let mut offset = match &file.what {
        Descriptor::Device(..) if file.is_seekable() => return Ok(0),
        _ if !file.is_seekable() => return Err(Errno::ESPIPE),
        _ => file.offset.lock(),
    };
    let target = match (whence as u32, &file.what) {
        (raw::SEEK_SET, _) => Some(distance),
        (raw::SEEK_CUR, _) => offset.checked_add_signed(distance as i64),
        (raw::SEEK_END, Descriptor::File(object)) => {
            let size = fs::tree().stat(object.inode())?.size;
            size.checked_add_signed(distance as i64)
        }
        (raw::SEEK_DATA, Descriptor::File(object)) => Some(fs::tree().seek_data(object.inode(), distance)?),
        (raw::SEEK_HOLE, Descriptor::File(object)) => Some(fs::tree().seek_hole(object.inode(), distance)?),
        _ => None,
    };
    let target = target.filter(|&target| target <= i64::MAX as u64).ok_or(Errno::EINVAL)?;
    *offset = target;
    Ok(target)
}

/// sendfile: from a file with an offset to any file.
pub fn sendfile(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [to, from, offset, length, ..] = frame.x;
    let (to, from) = (usable(task, to)?, usable(task, from)?);
    let (Descriptor::File(_) | Descriptor::Made(..)) = &from.what else { return Err(Errno::EINVAL) };
    if !to.writable {
        return Err(Errno::EBADF);
    }
    if to.has(raw::O_APPEND) {
        return Err(Errno::EINVAL);
    }
    let given = if offset == 0 { None } else { Some(user::get::<u64>(offset)?) };
    let mut at = match given {
        Some(at) if at > i64::MAX as u64 => return Err(Errno::EINVAL),
        Some(at) => at,
        None => *from.offset.lock(),
    };
    let sent = send(&to, &from, &mut at, length.min(MOST));
    match given {
        Some(_) => user::put(offset, at)?,
        None => *from.offset.lock() = at,
    }
    sent
}

fn send(to: &OpenFile, from: &OpenFile, at: &mut u64, length: u64) -> Result<u64, Errno> {
    let mut place = Place::new(to, None)?;
    let mut piece = [0; PIECE];
    let mut done = 0;
    while done < length {
        let wanted = (length - done).min(PIECE as u64) as usize;
        let count = from.read(*at, &mut piece[..wanted], true)?;
        match write_piece(to, &mut place, &piece[..count]) {
            Ok(written) => {
                *at += written as u64;
                done += written as u64;
                if written < wanted {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// fadvise64: all files are in memory, so no advice changes anything.
pub fn fadvise64(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, _, length, advice, ..] = frame.x;
    if let Descriptor::Pipe(_) = &usable(task, number)?.what {
        return Err(Errno::ESPIPE);
    }
    let known = advice as u32 <= raw::POSIX_FADV_NOREUSE;
    if known && length as i64 >= 0 { Ok(0) } else { Err(Errno::EINVAL) }
}

/// readahead: as [`fadvise64`].
pub fn readahead(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let file = usable(task, frame.x[0])?;
    match &file.what {
        _ if !file.readable => Err(Errno::EBADF),
        Descriptor::File(_) => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// fsync, fdatasync: all files are in memory.
pub fn fsync(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let file = usable(task, frame.x[0])?;
    if file.object().is_some() && file.is_seekable() { Ok(0) } else { Err(Errno::EINVAL) }
}

/// sync
pub fn sync(_: &Task, _: &mut Frame) -> Result<u64, Errno> {
    Ok(0)
}
