//! The state of one resolution of a path, which the tree and the kernel's own trees hand to each other.

use alloc::vec::Vec;

use linux_raw_sys::general::{NAME_MAX, PATH_MAX};

use crate::{FileError, InodeId, Result, bytes};

/// How many symbolic links one resolution follows, as on Linux.
pub const MAX_LINKS: u32 = 40;

/// What to do with a symbolic link that is the last component of a path. A slash behind it makes it followed in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LastLink {
    /// Go where it leads to.
    Follow,
    /// Stay at the link itself: O_NOFOLLOW, AT_SYMLINK_NOFOLLOW, lstat.
    Keep,
}

/// One component of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Component<'a> {
    /// "."
    Dot,
    /// ".."
    DotDot,
    /// Anything else: 1 to 255 bytes without slashes.
    Name(&'a [u8]),
}

/// The last component of a path, for the operations that add or remove a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last<'a> {
    /// A name.
    Name {
        /// The name: 1 to 255 bytes without slashes.
        name: &'a [u8],
        /// Whether slashes follow, so that only a directory can be meant.
        slash: bool,
    },
    /// "."
    Dot,
    /// ".."
    DotDot,
    /// Nothing is left: the path was "/".
    Root,
}

/// One resolution of a path: what is left of the path, where it goes on from, and how many symbolic links were followed.
///
/// [`Tree::resolve`](crate::Tree::resolve), [`Tree::open`](crate::Tree::open) and
/// [`Tree::resolve_parent`](crate::Tree::resolve_parent) take components off until they are done or reach a mount point. From a
/// mount point on the kernel takes components off ([`Walk::take`]). Its symbolic links go through [`Walk::enter_link`], so that
/// the limit of 40 holds for the whole path; [`Walk::jump`] leads back into the tree.
///
/// The path is copied, once at the beginning and once per symbolic link: at most about 170 KiB.
pub struct Walk {
    path: Vec<u8>,
    /// Where in `path` the next component begins. Never at a slash.
    at: usize,
    /// Whether slashes followed the component that was taken last.
    slash: bool,
    absolute: bool,
    links: u32,
    last_link: LastLink,
    pub(crate) directory: InodeId,
}

impl Walk {
    /// Begins with a path from a program, without the NUL at its end. A relative path starts at `directory`: the current
    /// directory or the `dirfd` of the call, a mount point if that lies in a mount.
    ///
    /// # Errors
    /// `NotFound` for an empty path (a call with AT_EMPTY_PATH does not resolve), `NameTooLong` for more than 4095 bytes,
    /// `Invalid` for a NUL in the path, `NoMemory`.
    pub fn new(directory: InodeId, path: &[u8], last_link: LastLink) -> Result<Self> {
        if path.is_empty() {
            return Err(FileError::NotFound);
        }
        if path.len() >= PATH_MAX as usize {
            return Err(FileError::NameTooLong);
        }
        if path.contains(&0) {
            return Err(FileError::Invalid);
        }
        let path = bytes::copy(path)?;
        let mut walk = Self { path, at: 0, slash: false, absolute: false, links: 0, last_link, directory };
        walk.absolute = walk.skip_slashes();
        Ok(walk)
    }

    fn skip_slashes(&mut self) -> bool {
        let slashes = self.rest().iter().take_while(|&&byte| byte == b'/').count();
        self.at += slashes;
        slashes > 0
    }

    /// What is left of the path: no slash at its front, nothing if all components were taken.
    pub fn rest(&self) -> &[u8] {
        self.path.get(self.at..).unwrap_or(&[])
    }

    /// Whether the walk starts at the root before it takes the next component. The tree takes note of that by itself; the kernel
    /// asks when the walk begins in a mount.
    pub fn is_absolute(&self) -> bool {
        self.absolute
    }

    /// Whether nothing is left to take.
    pub fn is_done(&self) -> bool {
        self.at >= self.path.len()
    }

    /// Whether slashes followed the component that was taken last. If so at the end, only a directory can be meant.
    pub fn slash(&self) -> bool {
        self.slash
    }

    /// Whether a symbolic link that was just taken has to be followed.
    pub fn follows(&self) -> bool {
        !self.is_done() || self.slash || self.last_link == LastLink::Follow
    }

    pub(crate) fn keep_last_link(&mut self) {
        self.last_link = LastLink::Keep;
    }

    pub(crate) fn start_at_root(&mut self, root: InodeId) {
        if core::mem::take(&mut self.absolute) {
            self.directory = root;
        }
    }

    fn component(&self) -> Result<Option<Component<'_>>> {
        let rest = self.rest();
        let length = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        Ok(match &rest[..length] {
            [] => None,
            b"." => Some(Component::Dot),
            b".." => Some(Component::DotDot),
            name if name.len() > NAME_MAX as usize => return Err(FileError::NameTooLong),
            name => Some(Component::Name(name)),
        })
    }

    /// Takes the next component off. `None` if nothing is left.
    ///
    /// # Errors
    /// `NameTooLong` for more than 255 bytes.
    pub fn take(&mut self) -> Result<Option<Component<'_>>> {
        let length = match self.component()? {
            None => return Ok(None),
            Some(Component::Dot) => 1,
            Some(Component::DotDot) => 2,
            Some(Component::Name(name)) => name.len(),
        };
        let start = self.at;
        self.at += length;
        self.slash = self.skip_slashes();
        Ok(Some(match &self.path[start..start + length] {
            b"." => Component::Dot,
            b".." => Component::DotDot,
            name => Component::Name(name),
        }))
    }

    /// What is left if that is at most one component.
    ///
    /// # Errors
    /// `NameTooLong` for more than 255 bytes, `Invalid` if more than one component is left.
    pub fn last(&self) -> Result<Last<'_>> {
        let (component, slash) = (self.component()?, self.rest().contains(&b'/'));
        if !self.is_last() {
            return Err(FileError::Invalid);
        }
        Ok(match component {
            None => Last::Root,
            Some(Component::Dot) => Last::Dot,
            Some(Component::DotDot) => Last::DotDot,
            Some(Component::Name(name)) => Last::Name { name, slash },
        })
    }

    /// Whether at most one component is left.
    pub fn is_last(&self) -> bool {
        let mut behind = self.rest().iter().skip_while(|&&byte| byte != b'/');
        behind.all(|&byte| byte == b'/')
    }

    /// Puts the target of a symbolic link, which was taken last, in front of what is left.
    ///
    /// # Errors
    /// `Loop` for the 41st symbolic link, `NotFound` for an empty target, `NameTooLong` for more than 4095 bytes, `NoMemory`.
    pub fn enter_link(&mut self, target: &[u8]) -> Result<()> {
        if self.links >= MAX_LINKS {
            return Err(FileError::Loop);
        }
        if target.is_empty() {
            return Err(FileError::NotFound);
        }
        if target.len() >= PATH_MAX as usize {
            return Err(FileError::NameTooLong);
        }
        self.links += 1;
        let mut path = Vec::new();
        path.try_reserve_exact(target.len() + 1 + self.rest().len()).map_err(|_| FileError::NoMemory)?;
        path.extend_from_slice(target);
        if self.slash {
            path.push(b'/');
        }
        path.extend_from_slice(self.rest());
        (self.path, self.at, self.slash) = (path, 0, false);
        self.absolute = self.skip_slashes();
        Ok(())
    }

    /// Counts a link of the kernel's that leads to an inode and not to a path (`/proc/PID/exe`), and goes on from that inode.
    ///
    /// # Errors
    /// `Loop` for the 41st link.
    pub fn enter_magic_link(&mut self, inode: InodeId) -> Result<()> {
        if self.links >= MAX_LINKS {
            return Err(FileError::Loop);
        }
        self.links += 1;
        self.jump(inode);
        Ok(())
    }

    /// Goes on in the tree from this inode: for ".." at the root of a mount, with the parent of the mount point
    /// ([`Tree::parent`](crate::Tree::parent)).
    pub fn jump(&mut self, inode: InodeId) {
        self.directory = inode;
    }
}
