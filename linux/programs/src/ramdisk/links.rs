//! Which entries of an archive are the same file.

use alloc::vec::Vec;

use linux_raw_sys::general::S_IFMT;

use super::header::Header;
use crate::NoMemory;

/// What is equal for all hard links of a file: the device it was packed from, the inode's number there, and the type.
type Key = (u32, u32, u32, u32);

/// The files of an archive that have more than one link, each with the path of its first entry, in ascending order of the key.
#[derive(Clone, Default, Debug)]
pub(super) struct Links<'a> {
    first: Vec<(Key, &'a [u8])>,
}

impl<'a> Links<'a> {
    /// The path of the first entry of the file that `header` is of, if `path` is not the first.
    pub(super) fn find_or_insert(
        &mut self,
        header: &Header,
        path: &'a [u8],
    ) -> Result<Option<&'a [u8]>, NoMemory> {
        let (major, minor) = header.device;
        let key = (major, minor, header.ino, header.mode & S_IFMT);
        match self.first.binary_search_by_key(&key, |&(key, _)| key) {
            Ok(found) => Ok(Some(self.first[found].1)),
            Err(place) => {
                self.first.try_reserve(1).map_err(|_| NoMemory)?;
                self.first.insert(place, (key, path));
                Ok(None)
            }
        }
    }

    /// Forgets all files: inode numbers of another archive say nothing about those of this one.
    pub(super) fn clear(&mut self) {
        self.first.clear();
    }
}
