//! What a directory has, what a symbolic link says, and what an inode is called.

use alloc::vec::Vec;

use linux_raw_sys::general::PATH_MAX;

use super::Tree;
use crate::inode::Body;
use crate::{FileError, InodeId, Kind, Page, Result};

/// One entry of a directory, as getdents64(2) shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirectoryEntry<'a> {
    /// "." and ".." included.
    pub name: &'a [u8],
    /// The inode.
    pub inode: InodeId,
    /// The inode's kind.
    pub kind: Kind,
    /// The cookie of the next entry: `d_off`, and the new offset of the open directory.
    pub next: u64,
}

/// What an inode is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathOf {
    /// The absolute path. If the inode was removed, the path it had.
    pub path: Vec<u8>,
    /// Whether the inode has no name any more. getcwd(2) is then ENOENT; the links in `/proc` show the path with
    /// [`PathOf::DELETED`].
    pub deleted: bool,
}

impl PathOf {
    /// What the links in `/proc` append to the path of a removed inode.
    pub const DELETED: &'static [u8] = b" (deleted)";

    /// The path as the links in `/proc` show it, in two parts.
    pub fn shown(&self) -> [&[u8]; 2] {
        [&self.path, if self.deleted { Self::DELETED } else { &[] }]
    }
}

impl<P: Page, N: Copy> Tree<P, N> {
    /// The first entry of a directory at `cookie` or behind, or `None` at the end. A listing starts with cookie 0 and goes on with
    /// [`DirectoryEntry::next`]. An entry that exists all the time is listed exactly once, whatever happens to others.
    ///
    /// # Errors
    /// `NotDirectory`; `NotFound` for a removed directory; `Stale`.
    pub fn next_entry(&self, directory: InodeId, cookie: u64) -> Result<Option<DirectoryEntry<'_>>> {
        let entries = self.directory(directory)?;
        if self.is_removed(directory)? {
            return Err(FileError::NotFound);
        }
        let (name, inode, next): (&[u8], _, _) = match cookie {
            0 => (b".", directory, 1),
            1 => (b"..", self.parent(directory)?, 2),
            _ => {
                let Ok(from) = u32::try_from(cookie - 2) else { return Ok(None) };
                let Some((slot, entry)) = entries.next(from) else { return Ok(None) };
                (&entry.name, entry.inode, u64::from(slot) + 3)
            }
        };
        Ok(Some(DirectoryEntry { name, inode, kind: self.node(inode)?.kind(), next }))
    }

    /// readlink(2).
    ///
    /// # Errors
    /// `Invalid` for what is no symbolic link, `Stale`.
    pub fn read_link(&self, inode: InodeId) -> Result<&[u8]> {
        match &self.node(inode)?.body {
            Body::Symlink(target) => Ok(target),
            _ => Err(FileError::Invalid),
        }
    }

    /// What an inode is called, for getcwd(2), `/proc/PID/exe`, `/proc/PID/fd` and `/proc/PID/maps`. Of several names it is the oldest
    /// that is left. (Linux shows the one by which the file was opened.)
    ///
    /// # Errors
    /// `NameTooLong` for a path of more than 4095 bytes, `NoMemory`, `Stale`.
    pub fn path_of(&self, inode: InodeId) -> Result<PathOf> {
        let deleted = self.is_removed(inode)?;
        // From the end to the front, each name backwards; at the end all is turned round.
        let mut path = Vec::new();
        let mut at = inode;
        while at != self.root {
            let node = self.node(at)?;
            let (directory, name) = match (node.links.first(), &node.last_name) {
                (Some(link), _) => {
                    let entry = self.directory(link.directory)?.entry(link.slot);
                    (link.directory, &entry.ok_or(FileError::Stale)?.name)
                }
                (None, Some(last)) => (last.directory, &last.name),
                // Held only after its removal: nobody knows its name.
                (None, None) => return Err(FileError::Stale),
            };
            if path.len() + name.len() + 1 >= PATH_MAX as usize {
                return Err(FileError::NameTooLong);
            }
            path.try_reserve(name.len() + 1).map_err(|_| FileError::NoMemory)?;
            path.extend(name.iter().rev());
            path.push(b'/');
            at = directory;
        }
        if path.is_empty() {
            path.try_reserve_exact(1).map_err(|_| FileError::NoMemory)?;
            path.push(b'/');
        }
        path.reverse();
        Ok(PathOf { path, deleted })
    }
}
