//! Files in memory with Linux's behaviour: what a tmpfs is without the rest of a kernel.
//!
//! [`Tree`] is the tree of inodes. It starts as a root directory, is filled from the initial ramdisk ([`Tree::unpack`]) and is
//! changed by the system calls. The kernel holds it under one lock: every operation is a method that decides, changes and
//! returns at once. [`Pipe`] is the buffer of a pipe. Nothing here blocks, sleeps or knows about processes.
//!
//! # From a path to an inode
//! 1. [`Walk::new`] takes the path. [`Tree::resolve`] yields the inode it leads to, [`Tree::open`] does so for open(2) with its
//!    flags, [`Tree::resolve_parent`] yields the directory for calls that add or remove a name, which is then [`Walk::last`].
//! 2. A directory can be a mount point ([`Tree::mount`]) for a tree of the kernel's own (`/proc`, `/dev/pts`). There the three
//!    stop with [`Resolved::Mount`] or [`Parent::Mount`], and the kernel goes on with the same [`Walk`]. A path that leaves the
//!    mount comes back by [`Walk::jump`] and another call.
//! 3. An open file, a mapping, a current directory holds its inode ([`Tree::hold`], [`Tree::release`]): an inode without a name
//!    is freed at the last release.
//!
//! # Contents
//! The contents of files are pages ([`Page`]) that mappings share ([`Tree::page`]). Files are sparse; holes read as zeros. The
//! tree counts the pages it has itself, against [`Limits`]: a page that only a mapping still has is not counted.
//!
//! # Memory
//! All memory whose amount a program controls (names, entries, inodes, pages and their index, paths, pipes) is allocated
//! fallibly. A failure is [`FileError::NoMemory`] with nothing changed ([`Tree::unpack`] says what remains of its entry).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod bytes;
mod caller;
mod directory;
mod error;
mod id;
mod inode;
mod page;
mod pages;
mod pipe;
mod slab;
mod time;
mod tree;
mod walk;

pub use caller::{Access, Caller};
pub use error::{FileError, PipeError, Result};
pub use id::InodeId;
pub use inode::{Device, Kind};
pub use page::{PAGE_SIZE, Page};
pub use pipe::{Pipe, Read, Readiness, Write};
pub use time::Time;
pub use tree::{
    DirectoryEntry, Limits, NewNode, Open, Parent, PathOf, Rename, Resolved, SetTime, Stat, StatFs, Tree,
    Unpacked, UnpackedBody,
};
pub use walk::{Component, Last, LastLink, MAX_LINKS, Walk};

#[cfg(test)]
mod tests;
