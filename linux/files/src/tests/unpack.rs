//! Entries of archives.

use super::{Calls, LATER, LIMITS, NOW, ROOT, TestTree, tree};
use crate::{Device, FileError, InodeId, Kind, Limits, Result, Time, Tree, Unpacked, UnpackedBody};

const TIME: Time = Time { sec: 500, nsec: 0 };

fn entry<'a>(path: &'a str, mode: u32, body: UnpackedBody<'a>) -> Unpacked<'a> {
    Unpacked { path: path.as_bytes(), mode, uid: 1, gid: 2, time: TIME, body }
}

fn unpack(tree: &mut TestTree, path: &str, body: UnpackedBody) -> Result<InodeId> {
    let unpacked = tree.unpack(&entry(path, 0o640, body));
    tree.check_unheld();
    unpacked
}

#[test]
fn entries_become_inodes_with_their_attributes() {
    let mut tree = tree();
    let device = Device { major: 5, minor: 1 };
    for (path, body, kind, mode) in [
        ("./dev", UnpackedBody::Directory, Kind::Directory, 0o640),
        ("dev/console", UnpackedBody::Character(device), Kind::Character(device), 0o640),
        ("/dev/disk", UnpackedBody::Block(device), Kind::Block(device), 0o640),
        ("dev/log", UnpackedBody::Socket, Kind::Socket, 0o640),
        ("dev/fifo", UnpackedBody::Fifo, Kind::Fifo, 0o640),
        ("init", UnpackedBody::Regular(b"#!/bin/sh"), Kind::Regular, 0o640),
        ("dev/link", UnpackedBody::Symlink(b"/init"), Kind::Symlink, 0o777),
    ] {
        let inode = unpack(&mut tree, path, body).unwrap();
        let stat = tree.stat(inode).unwrap();
        assert_eq!(tree.lfind(path), Ok(inode));
        assert_eq!((stat.kind, stat.mode & 0o7777, stat.uid, stat.gid), (kind, mode, 1, 2), "{path}");
        assert_eq!((stat.accessed, stat.modified, stat.changed), (TIME, TIME, TIME));
    }
    assert_eq!(tree.get(tree.find("dev/link").unwrap()), b"#!/bin/sh");
    assert_eq!(tree.stat(tree.find("dev").unwrap()).unwrap().modified, TIME);
    assert_eq!(tree.stat(tree.root()).unwrap().modified, NOW, "no entry of its own yet");
    let root = unpack(&mut tree, ".", UnpackedBody::Directory).unwrap();
    assert_eq!((root, tree.stat(root).unwrap().uid), (tree.root(), 1));
}

#[test]
fn missing_directories_are_made_and_links_followed() {
    let mut tree = tree();
    unpack(&mut tree, "usr/lib/a/file", UnpackedBody::Regular(b"x")).unwrap();
    let made = tree.stat(tree.find("usr/lib").unwrap()).unwrap();
    assert_eq!((made.mode & 0o7777, made.uid), (0o755, 0));
    unpack(&mut tree, "lib", UnpackedBody::Symlink(b"usr/lib")).unwrap();
    let inode = unpack(&mut tree, "lib/b/other", UnpackedBody::Regular(b"y")).unwrap();
    assert_eq!(tree.find("usr/lib/b/other"), Ok(inode));
    assert_eq!(unpack(&mut tree, "usr/lib/a/file/x", UnpackedBody::Fifo), Err(FileError::NotDirectory));
    assert_eq!(unpack(&mut tree, "", UnpackedBody::Fifo), Err(FileError::NotFound));
    assert_eq!(unpack(&mut tree, "lib/..", UnpackedBody::Fifo), Err(FileError::IsDirectory));
    assert_eq!(unpack(&mut tree, "empty", UnpackedBody::Symlink(b"")), Err(FileError::NotFound));
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let mut tree = tree();
    let file = unpack(&mut tree, "file", UnpackedBody::Regular(&[1; 5000])).unwrap();
    assert_eq!(unpack(&mut tree, "file", UnpackedBody::Regular(b"new")), Ok(file));
    assert_eq!(tree.get(file), b"new");
    let directory = unpack(&mut tree, "file", UnpackedBody::Directory).unwrap();
    assert_eq!(tree.stat(file), Err(FileError::Stale));
    tree.put("file/inside", b"");
    assert_eq!(unpack(&mut tree, "file", UnpackedBody::Directory), Ok(directory));
    assert_eq!(unpack(&mut tree, "file", UnpackedBody::Fifo), Err(FileError::NotEmpty));
    tree.unlink_at("file/inside").unwrap();
    unpack(&mut tree, "file", UnpackedBody::Symlink(b"away")).unwrap();
    // The link itself is replaced, and nothing is written through it.
    unpack(&mut tree, "file", UnpackedBody::Regular(b"")).unwrap();
    assert_eq!(tree.find("away"), Err(FileError::NotFound));
    let mount = tree.mkdir_at("proc").unwrap();
    tree.mount(mount, "proc").unwrap();
    for path in ["proc", "proc/x", "proc/."] {
        assert_eq!(unpack(&mut tree, path, UnpackedBody::Directory), Err(FileError::Busy), "{path}");
    }
    assert_eq!(unpack(&mut tree, "proc", UnpackedBody::Fifo), Err(FileError::Busy));
}

#[test]
fn hard_links_share_what_any_of_them_has() {
    let mut tree = tree();
    let first = unpack(&mut tree, "bin/one", UnpackedBody::Regular(b"")).unwrap();
    unpack(&mut tree, "two", UnpackedBody::Fifo).unwrap();
    let of = "/bin/one".as_bytes();
    assert_eq!(unpack(&mut tree, "two", UnpackedBody::HardLink { of, contents: b"program" }), Ok(first));
    assert_eq!(unpack(&mut tree, "three", UnpackedBody::HardLink { of, contents: b"" }), Ok(first));
    assert_eq!(unpack(&mut tree, "three", UnpackedBody::HardLink { of, contents: b"" }), Ok(first));
    assert_eq!((tree.get(first), tree.stat(first).unwrap().links), (b"program".to_vec(), 3));
    // An archive may call a name a link to itself: the file must not be removed to make room for the link.
    let alone = unpack(&mut tree, "alone", UnpackedBody::Regular(b"x")).unwrap();
    let of = "alone".as_bytes();
    assert_eq!(unpack(&mut tree, "alone", UnpackedBody::HardLink { of, contents: b"" }), Ok(alone));
    let of = "/bin".as_bytes();
    assert_eq!(unpack(&mut tree, "x", UnpackedBody::HardLink { of, contents: b"" }), Err(FileError::Invalid));
    let of = "/none".as_bytes();
    assert_eq!(
        unpack(&mut tree, "x", UnpackedBody::HardLink { of, contents: b"" }),
        Err(FileError::NotFound)
    );
}

#[test]
fn what_does_not_fit_is_an_error() {
    let mut tree: TestTree = Tree::new(Limits { pages: 2, ..LIMITS }, 0o755, NOW).unwrap();
    assert_eq!(unpack(&mut tree, "file", UnpackedBody::Regular(&[1; 10_000])), Err(FileError::NoSpace));
    let inode = tree.find("file").unwrap();
    tree.truncate(inode, 0, &ROOT).unwrap();
    assert_eq!(tree.stat(inode).unwrap().modified, LATER);
    assert_eq!(tree.statfs().blocks_free, 2);
}
