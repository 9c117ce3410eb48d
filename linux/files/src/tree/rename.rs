//! renameat2(2).

use super::Tree;
use crate::inode::Link;
use crate::{Access, Caller, FileError, InodeId, Last, Page, Result, bytes};

/// What renameat2(2) does if the new name exists. RENAME_NOREPLACE and RENAME_EXCHANGE together are EINVAL, which is the
/// kernel's to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rename {
    /// Replace what has it: flags 0.
    Replace,
    /// Fail: RENAME_NOREPLACE.
    NoReplace,
    /// Exchange the two, both of which must exist: RENAME_EXCHANGE.
    Exchange,
}

/// One side of a renaming.
#[derive(Clone, Copy)]
struct Side {
    directory: InodeId,
    slot: u32,
    inode: InodeId,
    is_directory: bool,
}

impl Side {
    fn link(&self) -> Link {
        Link { directory: self.directory, slot: self.slot }
    }
}

impl<P: Page, N: Copy> Tree<P, N> {
    /// renameat2(2): gives what is called `from` in one directory the name `to` in another one, or in the same.
    ///
    /// # Errors
    /// `NotFound`; `Exists` (`NoReplace`); `Busy` for mount points, "/", "." and ".."; `NotDirectory`, `IsDirectory` if one is a directory
    /// and the other is not, or slashes follow the name of what is no directory; `NotEmpty`; `Invalid` if a directory would be moved into
    /// itself; `Denied`, `NotPermitted`; `NoSpace`, `NoMemory`.
    pub fn rename(
        &mut self,
        from: (InodeId, Last),
        to: (InodeId, Last),
        how: Rename,
        caller: &Caller,
    ) -> Result<()> {
        let (Last::Name { name: old_name, slash: old_slash }, old_directory) = (from.1, from.0) else {
            return Err(FileError::Busy);
        };
        let (Last::Name { name: new_name, slash: new_slash }, new_directory) = (to.1, to.0) else {
            return Err(if how == Rename::NoReplace { FileError::Exists } else { FileError::Busy });
        };
        let source = self.side(old_directory, old_name)?.ok_or(FileError::NotFound)?;
        let target = self.side(new_directory, new_name)?;
        match (how, target) {
            (Rename::NoReplace, Some(_)) => return Err(FileError::Exists),
            (Rename::Exchange, None) => return Err(FileError::NotFound),
            (Rename::Exchange, Some(target)) if new_slash && !target.is_directory => {
                return Err(FileError::NotDirectory);
            }
            _ => {}
        }
        if !source.is_directory && (old_slash || (new_slash && how != Rename::Exchange)) {
            return Err(FileError::NotDirectory);
        }
        if self.is_within(new_directory, source.inode)? {
            return Err(FileError::Invalid);
        }
        if let Some(target) = target
            && self.is_within(old_directory, target.inode)?
        {
            return Err(if how == Rename::Exchange { FileError::Invalid } else { FileError::NotEmpty });
        }
        if target.is_some_and(|target| target.inode == source.inode) {
            return Ok(());
        }
        self.may_rename(&source, target.as_ref(), new_directory, how, caller)?;
        match target {
            Some(target) if how == Rename::Exchange => {
                self.exchange(source, target)?;
                self.node_mut(target.inode)?.changed = caller.now;
            }
            Some(target) => self.replace(source, target, new_name, caller)?,
            None => self.move_to(source, new_directory, new_name)?,
        }
        self.node_mut(source.inode)?.changed = caller.now;
        self.contents_changed(old_directory, caller.now)?;
        self.contents_changed(new_directory, caller.now)
    }

    fn side(&self, directory: InodeId, name: &[u8]) -> Result<Option<Side>> {
        let Some((slot, inode)) = self.lookup(directory, name)? else { return Ok(None) };
        Ok(Some(Side { directory, slot, inode, is_directory: self.node(inode)?.is_directory() }))
    }

    /// Whether `inode` is `ancestor` or lies below it.
    fn is_within(&self, inode: InodeId, ancestor: InodeId) -> Result<bool> {
        let mut at = inode;
        while at != ancestor {
            if at == self.root {
                return Ok(false);
            }
            at = self.parent(at)?;
        }
        Ok(true)
    }

    /// Linux's checks in Linux's order.
    fn may_rename(
        &self,
        source: &Side,
        target: Option<&Side>,
        new_directory: InodeId,
        how: Rename,
        caller: &Caller,
    ) -> Result<()> {
        self.may_remove(source.directory, source.inode, source.is_directory, caller)?;
        match target {
            None => self.may_change_entries(new_directory, caller)?,
            Some(target) => {
                let as_directory =
                    if how == Rename::Exchange { target.is_directory } else { source.is_directory };
                self.may_remove(new_directory, target.inode, as_directory, caller)?;
            }
        }
        // A directory that gets another parent is written: its ".." changes.
        let exchanged = target.filter(|_| how == Rename::Exchange);
        for side in [Some(source), exchanged].into_iter().flatten() {
            if side.is_directory && source.directory != new_directory {
                caller.may(Access::WRITE, &self.node(side.inode)?.owner())?;
            }
        }
        for side in [Some(source), target].into_iter().flatten() {
            if self.node(side.inode)?.is_mount() {
                return Err(FileError::Busy);
            }
        }
        if let Some(target) = target
            && how != Rename::Exchange
            && target.is_directory
            && self.directory(target.inode)?.len() > 0
        {
            return Err(FileError::NotEmpty);
        }
        Ok(())
    }

    /// The new name is free. Within one directory the entry stays where it is, so that a listing neither repeats nor misses it.
    fn move_to(&mut self, source: Side, directory: InodeId, name: &[u8]) -> Result<()> {
        let name = bytes::copy(name)?;
        if source.directory == directory {
            self.directory_mut(directory)?.rename(source.slot, name);
            return Ok(());
        }
        let slot = self.directory_mut(directory)?.add(name, source.inode)?;
        self.directory_mut(source.directory)?.remove(source.slot);
        self.relink(&source, Link { directory, slot })
    }

    /// The entry of the new name leads to the source from now on.
    fn replace(&mut self, source: Side, target: Side, name: &[u8], caller: &Caller) -> Result<()> {
        // The target may live on without a name and is then asked for its last one.
        let name = bytes::copy(name)?;
        self.directory_mut(target.directory)?.redirect(target.slot, source.inode);
        self.directory_mut(source.directory)?.remove(source.slot);
        self.relink(&source, target.link())?;
        self.node_mut(target.inode)?.changed = caller.now;
        self.lose_name(target.inode, target.link(), name)
    }

    fn exchange(&mut self, source: Side, target: Side) -> Result<()> {
        self.directory_mut(source.directory)?.redirect(source.slot, target.inode);
        self.directory_mut(target.directory)?.redirect(target.slot, source.inode);
        self.relink(&source, target.link())?;
        self.relink(&target, source.link())
    }

    /// Notes at an inode that one of its names moved.
    fn relink(&mut self, side: &Side, to: Link) -> Result<()> {
        let from = side.link();
        for link in &mut self.node_mut(side.inode)?.links {
            if *link == from {
                *link = to;
            }
        }
        if side.is_directory {
            self.directory_mut(from.directory)?.subdirectories -= 1;
            self.directory_mut(to.directory)?.subdirectories += 1;
        }
        Ok(())
    }
}
