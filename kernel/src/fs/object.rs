//! A file behind a mapping, and as a program that is started.

use super::grow::grown;
use super::{Content, asks, path_of, tree};
use crate::errno::Errno;
use crate::mm::pages::Page;
use crate::space::{NoMemory, Object};
use alloc::string::String;
use alloc::sync::Arc;
use files::{Caller, FileError, InodeId};
use programs::{ReadAt, ReadError};

/// A reference to a regular file of the tree. The file exists as long as the value does.
pub struct FileObject {
    inode: InodeId,
}

impl FileObject {
    /// Takes over a hold of the inode.
    pub fn of_held(inode: InodeId) -> Arc<Self> {
        Arc::new(Self { inode })
    }

    /// The inode.
    pub fn inode(&self) -> InodeId {
        self.inode
    }

    /// ftruncate(2), by a [`grower`](super::grower). Programs that have mapped what is behind the new end get SIGBUS there from now on. Thread context; may sleep.
    ///
    /// # Errors
    /// As [`files::Tree::truncate`].
    pub fn truncate(&self, size: u64, caller: &Caller<'_>) -> Result<(), Errno> {
        grown(tree().truncate(self.inode, size, caller))?;
        asks::drop_pages(self.inode, size.div_ceil(files::PAGE_SIZE as u64));
        Ok(())
    }
}

impl Drop for FileObject {
    fn drop(&mut self) {
        let released = tree().release(self.inode);
        debug_assert!(released.is_ok());
    }
}

impl Object for FileObject {
    fn page(&self, index: u64) -> Result<Option<Page>, NoMemory> {
        match tree().page(self.inode, index, true) {
            Ok(page) => Ok(page.map(|Content(page)| page)),
            Err(FileError::NoMemory | FileError::NoSpace) => Err(NoMemory),
            Err(_) => Ok(None),
        }
    }

    fn content(&self, offset: u64, to: &mut [u8]) -> usize {
        // Without the pages of holes, which a mapping would fill.
        self.read_at(offset, to).unwrap_or(0)
    }

    fn path(&self) -> String {
        String::from_utf8_lossy(&path_of(self.inode)).into_owned()
    }

    fn identity(&self) -> (u64, u64) {
        (1, self.inode.number())
    }

    fn inode(&self) -> Option<InodeId> {
        Some(self.inode)
    }
}

impl ReadAt for FileObject {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        tree().read(self.inode, offset, to).map_err(|error| ReadError(error.errno() as u32))
    }

    fn size(&self) -> u64 {
        tree().stat(self.inode).map_or(0, |stat| stat.size)
    }
}
