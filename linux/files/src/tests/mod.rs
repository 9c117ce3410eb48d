//! What the tests share: pages that count themselves, and calls by path.

mod contents;
mod listing;
mod model;
mod operations;
mod pages;
mod paths;
mod permissions;
mod pipe;
mod rename;
mod unpack;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::{
    Caller, FileError, InodeId, LastLink, Limits, NewNode, Open, PAGE_SIZE, Page, Parent, Rename, Resolved,
    Result, Time, Tree, Walk,
};

thread_local! {
    /// How many pages exist, clones not counted.
    static LIVE: Cell<usize> = const { Cell::new(0) };
    /// How many more pages `zeroed` gives.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

#[derive(Clone)]
pub(super) struct TestPage(Rc<Memory>);

struct Memory(RefCell<[u8; PAGE_SIZE]>);

impl Drop for Memory {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}

impl Page for TestPage {
    fn zeroed() -> Option<Self> {
        LEFT.set(LEFT.get().checked_sub(1)?);
        LIVE.set(LIVE.get() + 1);
        Some(Self(Rc::new(Memory(RefCell::new([0; PAGE_SIZE])))))
    }

    fn read(&self, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.0.0.borrow()[offset..offset + to.len()]);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.0.0.borrow_mut()[offset..offset + from.len()].copy_from_slice(from);
    }
}

pub(super) type TestTree = Tree<TestPage, &'static str>;

pub(super) const LIMITS: Limits = Limits { pages: 1000, inodes: 1000, file_size: u64::MAX };
pub(super) const NOW: Time = Time { sec: 1000, nsec: 5 };
pub(super) const LATER: Time = Time { sec: 2000, nsec: 6 };
pub(super) const ROOT: Caller = Caller::root(LATER);
pub(super) const USER: Caller =
    Caller { uid: 1000, gid: 100, groups: &[101, 102], now: LATER, file_size: u64::MAX };

pub(super) fn tree() -> TestTree {
    Tree::new(LIMITS, 0o755, NOW).unwrap()
}

/// The calls of a process with the root as its current directory.
pub(super) trait Calls {
    fn find_as(&self, path: &str, last: LastLink, caller: &Caller) -> Result<InodeId>;
    fn find(&self, path: &str) -> Result<InodeId> {
        self.find_as(path, LastLink::Follow, &ROOT)
    }
    fn lfind(&self, path: &str) -> Result<InodeId> {
        self.find_as(path, LastLink::Keep, &ROOT)
    }
    fn split(&self, path: &str, caller: &Caller) -> Result<(InodeId, Walk)>;
    fn open_at(&mut self, path: &str, how: Open, caller: &Caller) -> Result<InodeId>;
    fn put(&mut self, path: &str, contents: &[u8]) -> InodeId;
    fn get(&self, inode: InodeId) -> Vec<u8>;
    fn mkdir_at(&mut self, path: &str) -> Result<InodeId>;
    fn rmdir_at(&mut self, path: &str) -> Result<()>;
    fn unlink_at(&mut self, path: &str) -> Result<()>;
    fn symlink_at(&mut self, target: &str, path: &str) -> Result<InodeId>;
    fn link_at(&mut self, old: &str, new: &str) -> Result<()>;
    fn mknod_at(&mut self, path: &str, node: NewNode, caller: &Caller) -> Result<InodeId>;
    fn rename_at(&mut self, old: &str, new: &str, how: Rename, caller: &Caller) -> Result<()>;
    fn names(&self, path: &str) -> Vec<String>;
    fn check_unheld(&self);
}

pub(super) const CREATE: Open = Open {
    read: true,
    write: true,
    create: true,
    exclusive: false,
    truncate: false,
    directory: false,
    mode: 0o644,
};
pub(super) const READ: Open = Open { write: false, create: false, ..CREATE };
pub(super) const WRITE: Open = Open { read: false, create: false, ..CREATE };

impl Calls for TestTree {
    fn find_as(&self, path: &str, last: LastLink, caller: &Caller) -> Result<InodeId> {
        match self.resolve(&mut Walk::new(self.root(), path.as_bytes(), last)?, caller)? {
            Resolved::Inode(inode) => Ok(inode),
            Resolved::Mount { .. } => panic!("{path} leads into a mount"),
        }
    }

    fn split(&self, path: &str, caller: &Caller) -> Result<(InodeId, Walk)> {
        let mut walk = Walk::new(self.root(), path.as_bytes(), LastLink::Keep)?;
        match self.resolve_parent(&mut walk, caller)? {
            Parent::Directory(directory) => Ok((directory, walk)),
            Parent::Mount { .. } => panic!("{path} leads into a mount"),
        }
    }

    fn open_at(&mut self, path: &str, how: Open, caller: &Caller) -> Result<InodeId> {
        let mut walk = Walk::new(self.root(), path.as_bytes(), LastLink::Follow)?;
        match self.open(&mut walk, &how, caller)? {
            Resolved::Inode(inode) => Ok(inode),
            Resolved::Mount { .. } => panic!("{path} leads into a mount"),
        }
    }

    fn put(&mut self, path: &str, contents: &[u8]) -> InodeId {
        let inode = self.open_at(path, Open { truncate: true, ..CREATE }, &ROOT).unwrap();
        assert_eq!(self.write(inode, 0, contents, &ROOT), Ok(contents.len()));
        inode
    }

    fn get(&self, inode: InodeId) -> Vec<u8> {
        let mut contents = vec![0xee; self.stat(inode).unwrap().size as usize];
        assert_eq!(self.read(inode, 0, &mut contents), Ok(contents.len()));
        contents
    }

    fn mkdir_at(&mut self, path: &str) -> Result<InodeId> {
        let (directory, walk) = self.split(path, &ROOT)?;
        self.mkdir(directory, walk.last()?, 0o755, &ROOT)
    }

    fn rmdir_at(&mut self, path: &str) -> Result<()> {
        let (directory, walk) = self.split(path, &ROOT)?;
        self.rmdir(directory, walk.last()?, &ROOT)
    }

    fn unlink_at(&mut self, path: &str) -> Result<()> {
        let (directory, walk) = self.split(path, &ROOT)?;
        self.unlink(directory, walk.last()?, &ROOT)
    }

    fn symlink_at(&mut self, target: &str, path: &str) -> Result<InodeId> {
        let (directory, walk) = self.split(path, &ROOT)?;
        self.symlink(directory, walk.last()?, target.as_bytes(), &ROOT)
    }

    fn link_at(&mut self, old: &str, new: &str) -> Result<()> {
        let inode = self.lfind(old)?;
        let (directory, walk) = self.split(new, &ROOT)?;
        self.link(inode, directory, walk.last()?, &ROOT)
    }

    fn mknod_at(&mut self, path: &str, node: NewNode, caller: &Caller) -> Result<InodeId> {
        let (directory, walk) = self.split(path, caller)?;
        self.mknod(directory, walk.last()?, node, 0o644, caller)
    }

    fn rename_at(&mut self, old: &str, new: &str, how: Rename, caller: &Caller) -> Result<()> {
        let (from, old) = self.split(old, caller)?;
        let (to, new) = self.split(new, caller)?;
        self.rename((from, old.last()?), (to, new.last()?), how, caller)
    }

    fn names(&self, path: &str) -> Vec<String> {
        let (directory, mut cookie, mut names) = (self.find(path).unwrap(), 0, Vec::new());
        while let Some(entry) = self.next_entry(directory, cookie).unwrap() {
            names.push(String::from_utf8(entry.name.to_vec()).unwrap());
            cookie = entry.next;
        }
        names
    }

    fn check_unheld(&self) {
        self.check(&BTreeMap::new());
    }
}

/// Errors have to be Linux's numbers, whatever their names.
#[test]
fn errors_are_linux_numbers() {
    let numbers = [
        (FileError::NotPermitted, 1),
        (FileError::NotFound, 2),
        (FileError::NoSuchAddress, 6),
        (FileError::NoMemory, 12),
        (FileError::Denied, 13),
        (FileError::Busy, 16),
        (FileError::Exists, 17),
        (FileError::NoDevice, 19),
        (FileError::NotDirectory, 20),
        (FileError::IsDirectory, 21),
        (FileError::Invalid, 22),
        (FileError::FileLimit, 27),
        (FileError::TooBig, 27),
        (FileError::NoSpace, 28),
        (FileError::NameTooLong, 36),
        (FileError::NotEmpty, 39),
        (FileError::Loop, 40),
        (FileError::NotSupported, 95),
        (FileError::Stale, 116),
    ];
    for (error, number) in numbers {
        assert_eq!(error.errno(), number, "{error:?}");
    }
}
