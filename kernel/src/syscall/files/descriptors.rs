//! Descriptors: copies, flags, pipes, and the end.

use super::arguments::{descriptor_limit, file, usable};
use super::owner::{of_owner, set_async};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{CHANGEABLE, Descriptor, OpenFile, pipe};
use crate::task::{Task, user};
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::general as raw;

/// `CLOSE_RANGE_UNSHARE` and `CLOSE_RANGE_CLOEXEC` of `linux/close_range.h`.
const UNSHARE: u64 = 2;
const CLOEXEC: u64 = 4;

/// close
pub fn close(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let closed = task.process.files.lock().close(frame.x[0] & 0xffff_ffff);
    drop(closed?);
    Ok(0)
}

/// close_range
pub fn close_range(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [first, last, flags, ..] = frame.x;
    let (first, last) = (first & 0xffff_ffff, last & 0xffff_ffff);
    if flags & !(UNSHARE | CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    if flags & CLOEXEC != 0 {
        task.process.files.lock().mark_between(first, last);
        return Ok(0);
    }
    loop {
        let closed = task.process.files.lock().close_between(first, last);
        if closed.is_none() {
            return Ok(0);
        }
    }
}

/// dup
pub fn dup(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    add(task, file(task, frame.x[0])?, false)
}

/// A new descriptor of an open file. The table's lock is not held when the file is given back.
pub(super) fn add(task: &Task, file: Arc<OpenFile>, close_on_exec: bool) -> Result<u64, Errno> {
    let limit = descriptor_limit(task);
    task.process.files.lock().add(file, close_on_exec, limit)
}

/// A further descriptor of an open file, as F_DUPFD has it: not below `lowest`.
fn duplicate(task: &Task, number: u64, close_on_exec: bool, lowest: u64) -> Result<u64, Errno> {
    let file = file(task, number)?;
    let range = lowest & 0xffff_ffff..descriptor_limit(task);
    task.process.files.lock().add_within(file, close_on_exec, range)
}

/// dup3
pub fn dup3(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [old, new, flags, ..] = frame.x;
    let (old, new) = (old & 0xffff_ffff, new & 0xffff_ffff);
    if flags as u32 & !raw::O_CLOEXEC != 0 || old == new {
        return Err(Errno::EINVAL);
    }
    let file = file(task, old)?;
    let limit = descriptor_limit(task);
    let before = task.process.files.lock().set(new, file, flags as u32 & raw::O_CLOEXEC != 0, limit);
    drop(before?);
    Ok(new)
}

/// fcntl
pub fn fcntl(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, command, argument, ..] = frame.x;
    let number = number & 0xffff_ffff;
    match command as u32 {
        raw::F_DUPFD => duplicate(task, number, false, argument),
        raw::F_DUPFD_CLOEXEC => duplicate(task, number, true, argument),
        raw::F_GETFD => Ok(task.process.files.lock().closes_on_exec(number)?.into()),
        raw::F_SETFD => {
            let close = argument as u32 & raw::FD_CLOEXEC != 0;
            task.process.files.lock().set_close_on_exec(number, close)?;
            Ok(0)
        }
        raw::F_GETFL => Ok(file(task, number)?.flags().into()),
        raw::F_SETFL => {
            let file = usable(task, number)?;
            set_async(task, &file, number as u32, argument as u32 & raw::FASYNC != 0);
            let new = argument as u32 & CHANGEABLE;
            let _ = file.status.fetch_update(Relaxed, Relaxed, |old| Some(old & !CHANGEABLE | new));
            Ok(0)
        }
        command @ (raw::F_SETOWN
        | raw::F_GETOWN
        | raw::F_SETOWN_EX
        | raw::F_GETOWN_EX
        | raw::F_SETSIG
        | raw::F_GETSIG) => of_owner(&*usable(task, number)?, command, argument),
        raw::F_GETPIPE_SZ | raw::F_SETPIPE_SZ => {
            let file = usable(task, number)?;
            let Descriptor::Pipe(end) = &file.what else { return Err(Errno::EBADF) };
            let set = command as u32 == raw::F_SETPIPE_SZ;
            let size = if set { end.set_size(argument as u32 as usize, true)? } else { end.size() };
            Ok(size as u64)
        }
        _ => {
            file(task, number)?;
            Err(Errno::EINVAL)
        }
    }
}

/// pipe2
pub fn pipe2(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [to, flags, ..] = frame.x;
    let flags = flags as u32;
    if flags & !(raw::O_CLOEXEC | raw::O_NONBLOCK | raw::O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let (reader, writer) = pipe::pipe();
    let reader = OpenFile::new(Descriptor::Pipe(reader), true, false, flags);
    let writer = OpenFile::new(Descriptor::Pipe(writer), false, true, flags);
    let close_on_exec = flags & raw::O_CLOEXEC != 0;
    let first = add(task, reader, close_on_exec)?;
    let second = match add(task, writer, close_on_exec) {
        Ok(second) => second,
        Err(error) => {
            give_back(task, first);
            return Err(error);
        }
    };
    user::put(to, [first as u32, second as u32]).inspect_err(|_| {
        give_back(task, first);
        give_back(task, second);
    })?;
    Ok(0)
}

fn give_back(task: &Task, number: u64) {
    let closed = task.process.files.lock().close(number);
    drop(closed);
}
