//! What programs are told of files.

use super::arguments::{caller, file, found, last_link, path};
use crate::errno::Errno;
use crate::exception::Frame;
use crate::fs::{self, Found};
use crate::task::{Task, user};
use files::{Access, Device, Stat};
use linux_raw_sys::general as raw;

/// The numbers of the devices that the tree, pipes and counters are on: no others have them.
const TREE: u64 = 1;
const PIPES: u64 = 2;
const NAMELESS: u64 = 3;

// SAFETY: integers, of which those of 4 bytes come in pairs: there is no padding.
unsafe impl user::Plain for raw::stat {}
// SAFETY: integers of 8 bytes, and one pair of 4 bytes.
unsafe impl user::Plain for raw::statfs64 {}
// SAFETY: integers, and each one that is shorter than 8 bytes has fields beside it that fill the 8 bytes.
unsafe impl user::Plain for raw::statx {}

/// The numbers of a device as `mknod` and `stat` have them in one word.
pub fn device_of(word: u32) -> Device {
    Device { major: word >> 8 & 0xfff, minor: word & 0xff | word >> 12 & 0xf_ff00 }
}

fn word_of(device: Device) -> u64 {
    let Device { major, minor } = device;
    u64::from(minor & 0xff | (major & 0xfff) << 8 | (minor & !0xff) << 12)
}

fn shown(stat: &Stat) -> raw::stat {
    raw::stat {
        st_dev: TREE,
        st_ino: stat.number,
        st_mode: stat.mode,
        st_nlink: stat.links,
        st_uid: stat.uid,
        st_gid: stat.gid,
        st_rdev: word_of(stat.device),
        st_size: stat.size as i64,
        st_blocks: stat.blocks as i64,
        st_atime: stat.accessed.sec,
        st_atime_nsec: stat.accessed.nsec.into(),
        st_mtime: stat.modified.sec,
        st_mtime_nsec: stat.modified.nsec.into(),
        st_ctime: stat.changed.sec,
        st_ctime_nsec: stat.changed.nsec.into(),
        ..NOTHING
    }
}

/// An inode without contents, on no device.
const NOTHING: raw::stat = raw::stat {
    st_dev: 0,
    st_ino: 0,
    st_mode: 0,
    st_nlink: 1,
    st_uid: 0,
    st_gid: 0,
    st_rdev: 0,
    __pad1: 0,
    st_size: 0,
    st_blksize: files::PAGE_SIZE as i32,
    __pad2: 0,
    st_blocks: 0,
    st_atime: 0,
    st_atime_nsec: 0,
    st_mtime: 0,
    st_mtime_nsec: 0,
    st_ctime: 0,
    st_ctime_nsec: 0,
    __unused4: 0,
    __unused5: 0,
};

/// What stat(2) shows of what a path or a descriptor leads to.
fn of_found(found: &Found) -> Result<raw::stat, Errno> {
    Ok(match found {
        Found::Object(object) => {
            let stat = fs::tree().stat(object.inode())?;
            shown(&stat)
        }
        Found::Node(node) => raw::stat { st_dev: node.mount.0.device(), ..shown(&node.stat()) },
        Found::Pipe(pipe) => {
            raw::stat { st_dev: PIPES, st_ino: pipe.number(), st_mode: raw::S_IFIFO | 0o600, ..NOTHING }
        }
        Found::Nameless => raw::stat { st_dev: NAMELESS, st_ino: 1, st_mode: 0o600, ..NOTHING },
    })
}

/// What a path leads to, or with AT_EMPTY_PATH and an empty path the descriptor itself.
fn stat_at(task: &Task, number: u64, name: u64, flags: u32) -> Result<raw::stat, Errno> {
    if flags & !(raw::AT_SYMLINK_NOFOLLOW | raw::AT_NO_AUTOMOUNT | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let last = last_link(flags & raw::AT_SYMLINK_NOFOLLOW == 0);
    of_found(&found(task, number, &path(name)?, last, flags & raw::AT_EMPTY_PATH != 0)?)
}

/// newfstatat
pub fn newfstatat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, to, flags, ..] = frame.x;
    user::put(to, stat_at(task, number, name, flags as u32)?)?;
    Ok(0)
}

/// fstat
pub fn fstat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let stat = of_found(&file(task, frame.x[0])?.found())?;
    user::put(frame.x[1], stat)?;
    Ok(0)
}

/// Linux's numbers of a device from those in one word.
fn numbers_of(device: u64) -> (u32, u32) {
    let Device { major, minor } = device_of(device as u32);
    (major, minor)
}

fn extended(stat: &raw::stat) -> raw::statx {
    let time = |tv_sec, tv_nsec: u64| raw::statx_timestamp { tv_sec, tv_nsec: tv_nsec as u32, __reserved: 0 };
    let ((major, minor), (dev_major, dev_minor)) = (numbers_of(stat.st_rdev), numbers_of(stat.st_dev));
    let never = time(0, 0);
    raw::statx {
        stx_mask: raw::STATX_BASIC_STATS,
        stx_blksize: stat.st_blksize as u32,
        stx_nlink: stat.st_nlink,
        stx_uid: stat.st_uid,
        stx_gid: stat.st_gid,
        stx_mode: stat.st_mode as u16,
        stx_ino: stat.st_ino,
        stx_size: stat.st_size as u64,
        stx_blocks: stat.st_blocks as u64,
        stx_atime: time(stat.st_atime, stat.st_atime_nsec),
        stx_mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        stx_ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        stx_attributes: 0,
        __spare0: [0],
        stx_attributes_mask: 0,
        stx_btime: never,
        stx_rdev_major: major,
        stx_rdev_minor: minor,
        stx_dev_major: dev_major,
        stx_dev_minor: dev_minor,
        stx_mnt_id: 0,
        stx_dio_mem_align: 0,
        stx_dio_offset_align: 0,
        stx_subvol: 0,
        stx_atomic_write_unit_min: 0,
        stx_atomic_write_unit_max: 0,
        stx_atomic_write_segments_max: 0,
        stx_dio_read_offset_align: 0,
        stx_atomic_write_unit_max_opt: 0,
        __spare2: [0],
        __spare3: [0; 8],
    }
}

/// statx. What is asked for beyond what stat(2) tells is left out of the mask.
pub fn statx(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let [number, name, flags, mask, to, ..] = frame.x;
    let flags = flags as u32;
    let sync = flags & raw::AT_STATX_SYNC_TYPE;
    if mask as u32 & raw::STATX__RESERVED != 0 || sync == raw::AT_STATX_SYNC_TYPE {
        return Err(Errno::EINVAL);
    }
    let stat = stat_at(task, number, name, flags & !sync)?;
    user::put(to, extended(&stat))?;
    Ok(0)
}

/// faccessat
pub fn faccessat(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    access(task, frame, 0)
}

/// faccessat2
pub fn faccessat2(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let flags = frame.x[3] as u32;
    access(task, frame, flags)
}

fn access(task: &Task, frame: &Frame, flags: u32) -> Result<u64, Errno> {
    let [number, name, mode, ..] = frame.x;
    let wanted = Access::from_bits(mode as u32).ok_or(Errno::EINVAL)?;
    if flags & !(raw::AT_EACCESS | raw::AT_SYMLINK_NOFOLLOW | raw::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let last = last_link(flags & raw::AT_SYMLINK_NOFOLLOW == 0);
    found(task, number, &path(name)?, last, flags & raw::AT_EMPTY_PATH != 0)?.permit(wanted, &caller())?;
    Ok(0)
}

/// statfs
pub fn statfs(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let at = raw::AT_FDCWD as u64;
    let found = found(task, at, &path(frame.x[0])?, last_link(true), false)?;
    user::put(frame.x[1], of_tree(&found))?;
    Ok(0)
}

/// fstatfs
pub fn fstatfs(task: &Task, frame: &mut Frame) -> Result<u64, Errno> {
    let found = file(task, frame.x[0])?.found();
    user::put(frame.x[1], of_tree(&found))?;
    Ok(0)
}

/// What statfs(2) shows of the tree that has a file.
fn of_tree(found: &Found) -> raw::statfs64 {
    let stat = fs::tree().statfs();
    if let Found::Node(node) = found {
        let (magic, device) = (node.mount.0.magic(), node.mount.0.device());
        return raw::statfs64 {
            f_type: magic.into(),
            f_bsize: files::PAGE_SIZE as i64,
            f_blocks: 0,
            f_bfree: 0,
            f_bavail: 0,
            f_files: 0,
            f_ffree: 0,
            f_fsid: raw::__kernel_fsid_t { val: [device as i32, 0] },
            f_namelen: stat.name_max.into(),
            f_frsize: files::PAGE_SIZE as i64,
            f_flags: 0,
            f_spare: [0; 4],
        };
    }
    raw::statfs64 {
        f_type: raw::TMPFS_MAGIC.into(),
        f_bsize: files::PAGE_SIZE as i64,
        f_blocks: stat.blocks,
        f_bfree: stat.blocks_free,
        f_bavail: stat.blocks_free,
        f_files: stat.files,
        f_ffree: stat.files_free,
        f_fsid: raw::__kernel_fsid_t { val: [TREE as i32, 0] },
        f_namelen: stat.name_max.into(),
        f_frsize: files::PAGE_SIZE as i64,
        f_flags: 0,
        f_spare: [0; 4],
    }
}
