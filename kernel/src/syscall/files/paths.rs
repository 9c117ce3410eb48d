//! Names: made, removed, renamed; and what symbolic links say.

use super::arguments::{caller, found, inode, last_link, new_mode, path, start, with_parent};
use super::stat::device_of;
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs;
use crate::task::{Task, user};
use files::{LastLink, NewNode, Rename};
use linux_raw_sys::general as raw;

/// mkdirat
pub fn mkdirat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, mode, ..] = frame.x;
    let mode = new_mode(task, mode) & 0o1777;
    with_parent(task, number, &path(name)?, Errno::EEXIST, |tree, directory, last, caller| {
        tree.mkdir(directory, last, mode, caller).map(|_| 0)
    })
}

/// mknodat
pub fn mknodat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, mode, device, ..] = frame.x;
    let device = device_of(device as u32);
    let node = match mode as u32 & raw::S_IFMT {
        0 | raw::S_IFREG => NewNode::Regular,
        raw::S_IFIFO => NewNode::Fifo,
        raw::S_IFSOCK => NewNode::Socket,
        raw::S_IFCHR => NewNode::Character(device),
        raw::S_IFBLK => NewNode::Block(device),
        raw::S_IFDIR => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let mode = new_mode(task, mode);
    with_parent(task, number, &path(name)?, Errno::EEXIST, |tree, directory, last, caller| {
        tree.mknod(directory, last, node, mode, caller).map(|_| 0)
    })
}

/// unlinkat
pub fn unlinkat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, flags, ..] = frame.x;
    let flags = flags as u32;
    if flags & !raw::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    with_parent(task, number, &path(name)?, Errno::EPERM, |tree, directory, last, caller| {
        if flags != 0 { tree.rmdir(directory, last, caller) } else { tree.unlink(directory, last, caller) }
    })?;
    Ok(0)
}

/// symlinkat
pub fn symlinkat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [target, number, name, ..] = frame.x;
    let target = path(target)?;
    with_parent(task, number, &path(name)?, Errno::EEXIST, |tree, directory, last, caller| {
        tree.symlink(directory, last, &target, caller).map(|_| 0)
    })
}

/// linkat
pub fn linkat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [old_number, old, new_number, new, flags, ..] = frame.x;
    let flags = flags as u32;
    if flags & !(raw::AT_SYMLINK_FOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let follow = last_link(flags & raw::AT_SYMLINK_FOLLOW != 0);
    let of = inode(task, old_number, &path(old)?, follow, flags & raw::AT_EMPTY_PATH != 0)?;
    with_parent(task, new_number, &path(new)?, Errno::EEXIST, |tree, directory, last, caller| {
        tree.link(of.inode(), directory, last, caller)
    })?;
    Ok(0)
}

/// renameat
pub fn renameat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    frame_rename(task, frame, 0)
}

/// renameat2
pub fn renameat2(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let flags = frame.x[4] as u32;
    frame_rename(task, frame, flags)
}

fn frame_rename(task: &Task, frame: &Frame, flags: u32) -> Result<u64, Errno> {
    let [old_number, old, new_number, new, ..] = frame.x;
    let how = match flags {
        0 => Rename::Replace,
        raw::RENAME_NOREPLACE => Rename::NoReplace,
        raw::RENAME_EXCHANGE => Rename::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let (old, new) = (path(old)?, path(new)?);
    let (old_start, new_start) = (start(task, old_number, &old)?, start(task, new_number, &new)?);
    let (old_directory, old) = fs::parent(&old_start, &old, Errno::EPERM)?;
    let (new_directory, new) = fs::parent(&new_start, &new, Errno::EXDEV)?;
    let (from, to) = ((old_directory.inode(), old.last()?), (new_directory.inode(), new.last()?));
    fs::tree().rename(from, to, how, &caller())?;
    Ok(0)
}

/// readlinkat. Returns the length of what the link says, without a NUL.
pub fn readlinkat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, to, size, ..] = frame.x;
    if size as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let path = path(name)?;
    let mut target = found(task, number, &path, LastLink::Keep, true)?.read_link()?;
    target.truncate(size as u32 as usize);
    user::write(to, &target)?;
    Ok(target.len() as u64)
}
