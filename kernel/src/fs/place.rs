//! Where a process is in the tree, and what it takes away from the modes of new files.

use super::{FileObject, tree};
use alloc::sync::Arc;
use files::InodeId;

/// The current directory of a process, and its umask. The default is the root directory and Linux's default umask.
///
/// Dropping the value may sleep, because it releases the directory: a process that ends gives the value up before its last thread does.
#[derive(Clone)]
pub struct Place {
    /// The current directory; None is the root, which need not be held.
    pub directory: Option<Arc<FileObject>>,
    /// The permission bits that new files do not get.
    pub umask: u32,
}

impl Default for Place {
    fn default() -> Self {
        Self { directory: None, umask: 0o022 }
    }
}

/// Where a relative path begins: a directory that is held, or the root.
pub struct Start(Option<Arc<FileObject>>);

impl Start {
    /// At the root.
    pub const ROOT: Self = Self(None);

    /// At the current directory.
    pub fn of(place: &Place) -> Self {
        Self(place.directory.clone())
    }

    /// At an inode that is open.
    pub fn at(object: &Arc<FileObject>) -> Self {
        Self(Some(object.clone()))
    }

    /// The inode. It exists as long as the value does. Thread context; may sleep: it takes the tree's lock.
    pub fn inode(&self) -> InodeId {
        self.0.as_ref().map_or_else(|| tree().root(), |object| object.inode())
    }
}
