//! From a path to an inode: components, symbolic links, permissions on the way, mount points.

use alloc::vec::Vec;

use super::Tree;
use crate::caller::Owner;
use crate::inode::Body;
use crate::{Access, Caller, Component, FileError, InodeId, Page, Result, Time, Walk, bytes};

/// Where a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resolved<N> {
    /// An inode of the tree.
    Inode(InodeId),
    /// Into a mount. What is left of the path is [`Walk::rest`], which can be empty: then the root of the mount is meant.
    Mount {
        /// What is mounted.
        which: N,
        /// Where: to hold, and to go on from at ".." ([`Tree::parent`]).
        point: InodeId,
    },
}

/// Where the last component of a path is to be looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parent<N> {
    /// In this directory of the tree. The last component is [`Walk::last`].
    Directory(InodeId),
    /// In a mount. What is left of the path is [`Walk::rest`].
    Mount {
        /// What is mounted.
        which: N,
        /// Where.
        point: InodeId,
    },
}

/// What one resolution is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An inode that exists.
    Find,
    /// A file that may have to be created.
    Create,
}

/// Where a resolution ended.
pub(super) enum Outcome<N> {
    Found(InodeId),
    /// Everything but the last component exists.
    Missing(Missing),
    Mount {
        which: N,
        point: InodeId,
    },
}

/// A component that does not exist. The walk has taken it off.
pub(super) struct Missing {
    pub(super) directory: InodeId,
    pub(super) name: Vec<u8>,
}

impl<P: Page, N: Copy> Tree<P, N> {
    /// Finds the inode a path leads to. The caller has to be allowed to search each directory on the way. The call has neither
    /// checked permissions of the inode itself nor held it.
    ///
    /// # Errors
    /// `NotFound`, `NotDirectory`, `Denied`, `Loop`, `NameTooLong`, `NoMemory`; `Stale` if the start of the walk was freed.
    pub fn resolve(&self, walk: &mut Walk, caller: &Caller) -> Result<Resolved<N>> {
        match self.run(walk, Purpose::Find, caller)? {
            Outcome::Found(inode) => Ok(Resolved::Inode(inode)),
            Outcome::Missing(_) => Err(FileError::NotFound),
            Outcome::Mount { which, point } => Ok(Resolved::Mount { which, point }),
        }
    }

    /// Finds the directory in which the last component of a path is to be added or removed. The component itself is not looked
    /// up. The caller has to be allowed to search each directory, the last one included.
    ///
    /// # Errors
    /// As [`Tree::resolve`].
    pub fn resolve_parent(&self, walk: &mut Walk, caller: &Caller) -> Result<Parent<N>> {
        walk.start_at_root(self.root);
        loop {
            if let Some(which) = self.mounted(walk.directory)? {
                return Ok(Parent::Mount { which, point: walk.directory });
            }
            if !walk.is_done() {
                self.may_search(walk.directory, caller)?;
            }
            if walk.is_last() {
                return Ok(Parent::Directory(walk.directory));
            }
            if self.advance(walk, Purpose::Find)?.is_some() {
                return Err(FileError::NotFound);
            }
        }
    }

    /// As `resolve_parent`, for root, but makes the directories that are missing.
    pub(super) fn make_parents(&mut self, walk: &mut Walk, now: Time) -> Result<InodeId> {
        walk.start_at_root(self.root);
        loop {
            if self.mounted(walk.directory)?.is_some() {
                return Err(FileError::Busy);
            }
            self.directory(walk.directory)?;
            if walk.is_last() {
                return Ok(walk.directory);
            }
            if let Some(Missing { directory, name }) = self.advance(walk, Purpose::Find)? {
                let owner = Owner { uid: 0, gid: 0, mode: 0o755, directory: true };
                walk.directory = self.add_named(directory, &name, Self::empty_directory(), &owner, now)?;
            }
        }
    }

    pub(super) fn run(&self, walk: &mut Walk, purpose: Purpose, caller: &Caller) -> Result<Outcome<N>> {
        walk.start_at_root(self.root);
        loop {
            if let Some(which) = self.mounted(walk.directory)? {
                return Ok(Outcome::Mount { which, point: walk.directory });
            }
            if walk.is_done() {
                if walk.slash() && !self.node(walk.directory)?.is_directory() {
                    return Err(FileError::NotDirectory);
                }
                return Ok(Outcome::Found(walk.directory));
            }
            self.may_search(walk.directory, caller)?;
            match self.advance(walk, purpose)? {
                Some(missing) if walk.is_done() => return Ok(Outcome::Missing(missing)),
                Some(_) => return Err(FileError::NotFound),
                None => {}
            }
        }
    }

    fn may_search(&self, directory: InodeId, caller: &Caller) -> Result<()> {
        let node = self.node(directory)?;
        if !node.is_directory() {
            return Err(FileError::NotDirectory);
        }
        caller.may(Access::EXECUTE, &node.owner())
    }

    /// Takes one component. The walk then stands at the inode of that name, or has the target of the symbolic link of that name in
    /// front. If nothing has the name, this returns it and the walk stands still.
    fn advance(&self, walk: &mut Walk, purpose: Purpose) -> Result<Option<Missing>> {
        let directory = walk.directory;
        let found = match walk.take()? {
            None | Some(Component::Dot) => return Ok(None),
            Some(Component::DotDot) => {
                walk.directory = self.parent(directory)?;
                return Ok(None);
            }
            Some(Component::Name(name)) => match self.lookup(directory, name)? {
                Some((_, inode)) => Ok(inode),
                // The walk is borrowed by the name: what is to be done is decided below.
                None => Err(bytes::copy(name)?),
            },
        };
        // Linux refuses this before it looks at the inode.
        if purpose == Purpose::Create && walk.is_done() && walk.slash() {
            return Err(FileError::IsDirectory);
        }
        let inode = match found {
            Ok(inode) => inode,
            Err(name) => return Ok(Some(Missing { directory, name })),
        };
        match &self.node(inode)?.body {
            Body::Symlink(target) if walk.follows() => {
                walk.enter_link(target)?;
                walk.start_at_root(self.root);
            }
            _ => walk.directory = inode,
        }
        Ok(None)
    }

    /// Looks a name up in a directory, which may be a removed one: nothing is found there. Permissions are not checked.
    pub(super) fn lookup(&self, directory: InodeId, name: &[u8]) -> Result<Option<(u32, InodeId)>> {
        let entries = self.directory(directory)?;
        if self.is_removed(directory)? {
            return Err(FileError::NotFound);
        }
        Ok(entries.find(name))
    }
}
