//! What stat(2) and statfs(2) show, and what chmod(2), chown(2) and utimensat(2) change.

use linux_raw_sys::general::{NAME_MAX, S_ISGID};

use super::Tree;
use crate::caller::without_set_id;
use crate::inode::Body;
use crate::{Access, Caller, Device, FileError, InodeId, Kind, PAGE_SIZE, Page, Result, Time};

/// What stat(2) shows of an inode. The block size is [`PAGE_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// The inode's number.
    pub number: u64,
    /// What it is.
    pub kind: Kind,
    /// Type and permission bits: `st_mode`.
    pub mode: u32,
    /// How many names the inode has; for a directory 2 and one for each directory in it, 0 after its removal.
    pub links: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The size in bytes. For a symbolic link the length of its target, for a directory 20 for each entry, "." and ".." included.
    pub size: u64,
    /// The memory of the contents in units of 512 bytes.
    pub blocks: u64,
    /// The numbers of a device, else 0.
    pub device: Device,
    /// When the contents were last read, as far as `accessed` was called.
    pub accessed: Time,
    /// When the contents last changed.
    pub modified: Time,
    /// When the contents or attributes last changed.
    pub changed: Time,
}

/// What statfs(2) shows of a tree. The block size is [`PAGE_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatFs {
    /// The limit of pages.
    pub blocks: u64,
    /// Pages that are left.
    pub blocks_free: u64,
    /// The limit of inodes.
    pub files: u64,
    /// Inodes that are left.
    pub files_free: u64,
    /// The longest name in bytes.
    pub name_max: u32,
}

/// What utimensat(2) does with one of the two times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// Leave it: UTIME_OMIT.
    Keep,
    /// Set it to the time of the call: UTIME_NOW.
    Now,
    /// Set it to this time.
    To(Time),
}

/// What Linux's tmpfs says a directory's entry takes.
const ENTRY_SIZE: u64 = 20;

/// After this many seconds a time of access is renewed even if the contents did not change.
const DAY: i64 = 24 * 60 * 60;

impl<P: Page, N: Copy> Tree<P, N> {
    /// What stat(2) shows.
    ///
    /// # Errors
    /// `Stale`.
    pub fn stat(&self, inode: InodeId) -> Result<Stat> {
        let node = self.node(inode)?;
        let named = inode == self.root || !node.links.is_empty();
        let (mut links, mut size, mut blocks) = (node.links.len() as u32, 0, 0);
        match &node.body {
            Body::File(file) => {
                size = file.size;
                blocks = file.pages.count() * (PAGE_SIZE as u64 / 512);
            }
            Body::Directory { entries, .. } => {
                size = (u64::from(entries.len()) + 2) * ENTRY_SIZE;
                links = if named { entries.subdirectories.saturating_add(2) } else { 0 };
            }
            Body::Symlink(target) => size = target.len() as u64,
            _ => {}
        }
        let kind = node.kind();
        let device = match kind {
            Kind::Character(device) | Kind::Block(device) => device,
            _ => Device::default(),
        };
        Ok(Stat {
            number: node.number,
            kind,
            mode: kind.type_bits() | node.mode,
            links,
            uid: node.uid,
            gid: node.gid,
            size,
            blocks,
            device,
            accessed: node.accessed,
            modified: node.modified,
            changed: node.changed,
        })
    }

    /// What statfs(2) shows.
    pub fn statfs(&self) -> StatFs {
        StatFs {
            blocks: self.limits.pages,
            blocks_free: self.limits.pages.saturating_sub(self.pages),
            files: self.limits.inodes,
            files_free: self.limits.inodes.saturating_sub(self.counted),
            name_max: NAME_MAX,
        }
    }

    /// What kind of inode it is.
    ///
    /// # Errors
    /// `Stale`.
    pub fn kind(&self, inode: InodeId) -> Result<Kind> {
        Ok(self.node(inode)?.kind())
    }

    /// Whether the caller may access the inode: access(2), execve(2), chdir(2), truncate(2). No access at all is always allowed.
    ///
    /// # Errors
    /// `Denied`, `Stale`.
    pub fn permit(&self, inode: InodeId, want: Access, caller: &Caller) -> Result<()> {
        caller.may(want, &self.node(inode)?.owner())
    }

    /// chmod(2). Bits other than the lower twelve are ignored.
    ///
    /// # Errors
    /// `NotPermitted`; `NotSupported` for a symbolic link; `Stale`.
    pub fn chmod(&mut self, inode: InodeId, mode: u32, caller: &Caller) -> Result<()> {
        let node = self.node_mut(inode)?;
        if node.kind() == Kind::Symlink {
            return Err(FileError::NotSupported);
        }
        caller.owns(&node.owner())?;
        let lost = if caller.is_root() || caller.in_group(node.gid) { 0 } else { S_ISGID };
        node.mode = mode & 0o7777 & !lost;
        node.changed = caller.now;
        Ok(())
    }

    /// chown(2). `None` leaves the owner, or the group, as it is. A file loses the bits that make it run with its owner's or group's
    /// rights.
    ///
    /// # Errors
    /// `NotPermitted`: only root gives files away, and an owner chooses among the groups that the owner is in; `Stale`.
    pub fn chown(
        &mut self,
        inode: InodeId,
        uid: Option<u32>,
        gid: Option<u32>,
        caller: &Caller,
    ) -> Result<()> {
        let node = self.node_mut(inode)?;
        if !caller.is_root() {
            let owns = caller.uid == node.uid;
            let uid_allowed = uid.is_none_or(|uid| owns && uid == node.uid);
            let gid_allowed = gid.is_none_or(|gid| owns && (gid == node.gid || caller.in_group(gid)));
            if !uid_allowed || !gid_allowed {
                return Err(FileError::NotPermitted);
            }
        }
        if !node.is_directory() {
            node.mode = without_set_id(node.mode);
        }
        node.uid = uid.unwrap_or(node.uid);
        node.gid = gid.unwrap_or(node.gid);
        node.changed = caller.now;
        Ok(())
    }

    /// utimensat(2). The kernel has checked that nanoseconds are below 1,000,000,000.
    ///
    /// # Errors
    /// `Denied` if both times are set to now by one who neither owns the inode nor may write it; `NotPermitted` for other times by one
    /// who does not own it; `Stale`.
    pub fn set_times(
        &mut self,
        inode: InodeId,
        accessed: SetTime,
        modified: SetTime,
        caller: &Caller,
    ) -> Result<()> {
        let node = self.node_mut(inode)?;
        match (accessed, modified) {
            (SetTime::Keep, SetTime::Keep) => return Ok(()),
            (SetTime::Now, SetTime::Now) if caller.owns(&node.owner()).is_err() => {
                caller.may(Access::WRITE, &node.owner())?;
            }
            _ => caller.owns(&node.owner())?,
        }
        for (time, set) in [(&mut node.accessed, accessed), (&mut node.modified, modified)] {
            match set {
                SetTime::Keep => {}
                SetTime::Now => *time = caller.now,
                SetTime::To(to) => *time = to,
            }
        }
        node.changed = caller.now;
        Ok(())
    }

    /// Notes that the contents were read, as Linux does by default (relatime): only if the time of access is not behind the other
    /// two, or is a day old.
    ///
    /// # Errors
    /// `Stale`.
    pub fn accessed(&mut self, inode: InodeId, now: Time) -> Result<()> {
        let node = self.node_mut(inode)?;
        let old = now.sec.saturating_sub(node.accessed.sec) >= DAY;
        if old || node.accessed <= node.modified || node.accessed <= node.changed {
            node.accessed = now;
        }
        Ok(())
    }

    /// Notes that the contents were changed through a mapping.
    ///
    /// # Errors
    /// `Stale`.
    pub fn modified(&mut self, inode: InodeId, now: Time) -> Result<()> {
        self.contents_changed(inode, now)
    }
}
