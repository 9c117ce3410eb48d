//! What calls do with what a path leads to.

use super::node::Found;
use super::{FileObject, tree};
use crate::errno::Errno;
use alloc::sync::Arc;
use alloc::vec::Vec;
use files::{Access, Caller, Kind};

impl Found {
    /// The inode of the tree, for what can only be done with one: changes of files and names.
    ///
    /// # Errors
    /// EPERM.
    pub fn object(self) -> Result<Arc<FileObject>, Errno> {
        match self {
            Self::Object(object) => Ok(object),
            Self::Node(_) | Self::Pipe(_) | Self::Nameless => Err(Errno::EPERM),
        }
    }

    /// Whether it is a directory. Thread context; may sleep.
    pub fn is_directory(&self) -> bool {
        match self {
            Self::Object(object) => tree().kind(object.inode()) == Ok(Kind::Directory),
            Self::Node(node) => node.is_directory(),
            Self::Pipe(_) | Self::Nameless => false,
        }
    }

    /// Whether the caller may do this. Thread context; may sleep.
    ///
    /// # Errors
    /// EACCES.
    pub fn permit(&self, want: Access, caller: &Caller<'_>) -> Result<(), Errno> {
        match self {
            Self::Object(object) => Ok(tree().permit(object.inode(), want, caller)?),
            Self::Node(node) => node.permit(want),
            Self::Pipe(_) | Self::Nameless if want.contains(Access::EXECUTE) => Err(Errno::EACCES),
            Self::Pipe(_) | Self::Nameless => Ok(()),
        }
    }

    /// What a symbolic link says. Thread context; may sleep.
    ///
    /// # Errors
    /// EINVAL if it is no link, ENOENT, ENOMEM.
    pub fn read_link(&self) -> Result<Vec<u8>, Errno> {
        match self {
            Self::Object(object) => {
                let tree = tree();
                let says = tree.read_link(object.inode())?;
                let mut copy = Vec::new();
                copy.try_reserve_exact(says.len()).map_err(|_| Errno::ENOMEM)?;
                copy.extend_from_slice(says);
                Ok(copy)
            }
            Self::Node(node) if node.is_link() => node.node.read_link(),
            Self::Node(_) | Self::Pipe(_) | Self::Nameless => Err(Errno::EINVAL),
        }
    }

    /// The path as the links in `/proc` show it. Thread context; may sleep.
    pub fn shown(&self) -> Vec<u8> {
        match self {
            Self::Object(object) => super::path_of(object.inode()),
            Self::Node(node) => node.path(),
            Self::Pipe(pipe) => alloc::format!("pipe:[{}]", pipe.number()).into_bytes(),
            Self::Nameless => b"anon_inode:[event]".to_vec(),
        }
    }
}
