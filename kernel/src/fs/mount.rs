//! Mounting.

use super::node::Mount;
use super::tree;
use files::{Caller, FileError, Last, LastLink, Resolved, Walk};

/// Makes a directory of the root, if it is missing, and mounts a tree there. Called before the first program starts.
///
/// # Errors
/// As [`files::Tree::mkdir`] and [`files::Tree::mount`].
pub fn mount(name: &[u8], which: Mount) -> Result<(), FileError> {
    let (mut tree, caller) = (tree(), Caller::root(super::now()));
    let root = tree.root();
    let directory = match tree.mkdir(root, Last::Name { name, slash: false }, 0o555, &caller) {
        Ok(made) => made,
        Err(FileError::Exists) => {
            let mut walk = Walk::new(root, name, LastLink::Follow)?;
            match tree.resolve(&mut walk, &caller)? {
                Resolved::Inode(found) => found,
                Resolved::Mount { .. } => return Err(FileError::Busy),
            }
        }
        Err(error) => return Err(error),
    };
    tree.mount(directory, which)
}
