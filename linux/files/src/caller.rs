//! Who asks for an operation, and whether the permission bits allow it.

use linux_raw_sys::general::{S_ISGID, S_ISUID, S_ISVTX};

use crate::{FileError, Result, Time};

bitflags::bitflags! {
    /// The kinds of access that permission bits speak of, with the values of `R_OK`, `W_OK` and `X_OK` in access(2).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Access: u32 {
        /// Read the contents or list the directory.
        const READ = 4;
        /// Change the contents or the directory's entries.
        const WRITE = 2;
        /// Run the program or search the directory.
        const EXECUTE = 1;
    }
}

/// Who asks for an operation, and when. User 0 has the capabilities that Linux gives to root.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The user: Linux's fsuid, which is the effective user unless a program changed it. For access(2) the real user.
    pub uid: u32,
    /// The group: Linux's fsgid, or the real group for access(2).
    pub gid: u32,
    /// The supplementary groups.
    pub groups: &'a [u32],
    /// The time of the operation, for the times of the inodes that the operation changes.
    pub now: Time,
    /// RLIMIT_FSIZE in bytes. `u64::MAX` is no limit.
    pub file_size: u64,
}

impl Caller<'static> {
    /// Root, without limits: for what the kernel does for itself.
    pub const fn root(now: Time) -> Self {
        Self { uid: 0, gid: 0, groups: &[], now, file_size: u64::MAX }
    }
}

/// What permission checks read of an inode.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Permission bits with S_ISUID, S_ISGID and S_ISVTX, without the type.
    pub(crate) mode: u32,
    pub(crate) directory: bool,
}

impl Caller<'_> {
    pub(crate) fn is_root(&self) -> bool {
        self.uid == 0
    }

    pub(crate) fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    /// Root passes, but for running a file that nobody may run.
    ///
    /// # Errors
    /// `Denied`.
    pub(crate) fn may(&self, want: Access, owner: &Owner) -> Result<()> {
        let granted = if self.is_root() {
            if owner.directory || owner.mode & 0o111 != 0 {
                Access::all()
            } else {
                Access::READ | Access::WRITE
            }
        } else {
            let shift = match () {
                () if self.uid == owner.uid => 6,
                () if self.in_group(owner.gid) => 3,
                () => 0,
            };
            Access::from_bits_truncate(owner.mode >> shift)
        };
        if granted.contains(want) { Ok(()) } else { Err(FileError::Denied) }
    }

    /// Changes of mode and times are the owner's and root's.
    ///
    /// # Errors
    /// `NotPermitted`.
    pub(crate) fn owns(&self, owner: &Owner) -> Result<()> {
        if self.is_root() || self.uid == owner.uid { Ok(()) } else { Err(FileError::NotPermitted) }
    }

    /// In a directory with the sticky bit, entries are removed by root and by the owners of the entry and of the directory.
    ///
    /// # Errors
    /// `NotPermitted`.
    pub(crate) fn passes_sticky(&self, directory: &Owner, victim: &Owner) -> Result<()> {
        if directory.mode & S_ISVTX == 0 || self.uid == directory.uid { Ok(()) } else { self.owns(victim) }
    }

    /// The mode of a file after a write by this caller: programs that run with their owner's or group's rights lose them, unless
    /// root wrote.
    pub(crate) fn mode_after_write(&self, owner: &Owner) -> u32 {
        if self.is_root() { owner.mode } else { without_set_id(owner.mode) }
    }
}

/// The mode without S_ISUID, and without S_ISGID where it means the rights of the group and not mandatory locking.
pub(crate) fn without_set_id(mode: u32) -> u32 {
    let group = if mode & 0o010 != 0 { S_ISGID } else { 0 };
    mode & !(S_ISUID | group)
}
