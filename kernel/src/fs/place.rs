//! Where a process is in the tree, and what it takes away from the modes of new files.

use super::node::{Found, Mounted};
use super::tree;
use files::InodeId;

/// The current directory of a process, and its umask. The default is the root directory and Linux's default umask.
///
/// Dropping the value may sleep, because it releases the directory: a process that ends gives the value up before its last thread does.
#[derive(Clone)]
pub struct Place {
    /// The current directory; None is the root, which need not be held.
    pub directory: Option<Found>,
    /// The permission bits that new files do not get.
    pub umask: u32,
}

impl Default for Place {
    fn default() -> Self {
        Self { directory: None, umask: 0o022 }
    }
}

/// Where a relative path begins: a directory that is held, or the root.
pub struct Start(Option<Found>);

impl Start {
    /// At the root.
    pub const ROOT: Self = Self(None);

    /// At the current directory.
    pub fn of(place: &Place) -> Self {
        Self(place.directory.clone())
    }

    /// At a file that is open.
    pub fn at(found: Found) -> Self {
        Self(Some(found))
    }

    /// The inode, or the mount point of a mounted tree that the start lies in. It exists as long as the value does. Thread context; may sleep:
    /// it takes the tree's lock.
    pub fn inode(&self) -> InodeId {
        match &self.0 {
            Some(Found::Object(object)) => object.inode(),
            Some(Found::Node(node)) => node.point.inode(),
            Some(Found::Pipe(_) | Found::Nameless) | None => tree().root(),
        }
    }

    /// The directory of a mounted tree, if the start lies in one.
    pub(super) fn mounted(&self) -> Option<Mounted> {
        match &self.0 {
            Some(Found::Node(node)) => Some(node.clone()),
            _ => None,
        }
    }
}
