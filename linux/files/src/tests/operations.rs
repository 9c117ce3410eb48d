//! Single operations: flags of open, nodes, links, limits, times.

use super::{CREATE, Calls, LATER, LIMITS, LIVE, NOW, READ, ROOT, TestTree, USER, WRITE, tree};
use crate::{Caller, Device, FileError, Kind, Limits, NewNode, Open, SetTime, Time, Tree};

#[test]
fn open_has_the_flags_of_linux() {
    let mut tree = tree();
    let file = tree.put("file", b"contents");
    tree.mkdir_at("d").unwrap();
    tree.symlink_at("file", "link").unwrap();
    tree.symlink_at("nothing", "dangling").unwrap();
    let exclusive = Open { exclusive: true, ..CREATE };
    let directory = Open { directory: true, ..READ };
    let truncate = Open { truncate: true, ..READ };
    for (path, how, result) in [
        ("link", CREATE, Ok(file)),
        ("file", exclusive, Err(FileError::Exists)),
        ("dangling", exclusive, Err(FileError::Exists)),
        ("nothing", READ, Err(FileError::NotFound)),
        ("nothing/", CREATE, Err(FileError::IsDirectory)),
        ("file/", CREATE, Err(FileError::IsDirectory)),
        ("file/", READ, Err(FileError::NotDirectory)),
        ("file/x", CREATE, Err(FileError::NotDirectory)),
        ("nothing/x", CREATE, Err(FileError::NotFound)),
        ("d", CREATE, Err(FileError::IsDirectory)),
        ("d", WRITE, Err(FileError::IsDirectory)),
        ("d", truncate, Err(FileError::IsDirectory)),
        (".", CREATE, Err(FileError::IsDirectory)),
        ("file", directory, Err(FileError::NotDirectory)),
        ("d", Open { directory: true, ..CREATE }, Err(FileError::Invalid)),
    ] {
        assert_eq!(tree.open_at(path, how, &ROOT), result, "{path} {how:?}");
    }
    assert_eq!(tree.open_at("d/", directory, &ROOT), tree.find("d"));
    assert_eq!(tree.get(file), b"contents");
    tree.open_at("link", truncate, &ROOT).unwrap();
    assert_eq!(tree.get(file), b"");
    let link = tree.lfind("link").unwrap();
    assert_eq!(tree.may_open(link, &READ, &ROOT), Err(FileError::Loop));
    assert_eq!(tree.may_open(link, &directory, &ROOT), Err(FileError::NotDirectory));
}

#[test]
fn nodes_have_their_kinds_and_numbers() {
    let mut tree = tree();
    let device = Device { major: 4, minor: 64 };
    for (name, node, kind, letter) in [
        ("regular", NewNode::Regular, Kind::Regular, 0o100_000),
        ("fifo", NewNode::Fifo, Kind::Fifo, 0o010_000),
        ("socket", NewNode::Socket, Kind::Socket, 0o140_000),
        ("tty", NewNode::Character(device), Kind::Character(device), 0o020_000),
        ("disk", NewNode::Block(device), Kind::Block(device), 0o060_000),
    ] {
        let inode = tree.mknod_at(name, node, &ROOT).unwrap();
        let stat = tree.stat(inode).unwrap();
        assert_eq!((stat.kind, stat.mode, stat.links), (kind, letter | 0o644, 1));
        assert_eq!(u32::from(kind.dirent_type()), letter >> 12);
        let shown =
            if matches!(kind, Kind::Character(_) | Kind::Block(_)) { device } else { Device::default() };
        assert_eq!(stat.device, shown);
    }
    assert_eq!(tree.open_at("socket", READ, &ROOT), Err(FileError::NoSuchAddress));
    assert_eq!(tree.open_at("fifo", READ, &ROOT), tree.find("fifo"));
    assert_eq!(tree.mknod_at("fifo", NewNode::Fifo, &ROOT), Err(FileError::Exists));
    assert_eq!(tree.mknod_at("new/", NewNode::Regular, &ROOT), Err(FileError::NotFound));
    tree.chmod(tree.root(), 0o777, &ROOT).unwrap();
    assert_eq!(tree.mknod_at("null", NewNode::Character(device), &USER), Err(FileError::NotPermitted));
    assert!(tree.mknod_at("mine", NewNode::Fifo, &USER).is_ok());
    let fifo = tree.find("fifo").unwrap();
    assert_eq!(tree.read(fifo, 0, &mut [0]), Err(FileError::Invalid));
    assert_eq!(tree.allocate(fifo, 0, 1, &ROOT), Err(FileError::NoDevice));
    assert_eq!(tree.truncate(tree.root(), 0, &ROOT), Err(FileError::IsDirectory));
}

#[test]
fn hard_links_count_and_outlive_each_other() {
    let mut tree = tree();
    let inode = tree.put("one", b"x");
    tree.link_at("one", "two").unwrap();
    assert_eq!(tree.stat(inode).unwrap().links, 2);
    tree.unlink_at("one").unwrap();
    assert_eq!((tree.get(inode), tree.path_of(inode).unwrap().path), (b"x".to_vec(), b"/two".to_vec()));
    tree.mkdir_at("d").unwrap();
    assert_eq!(tree.link_at("d", "e"), Err(FileError::NotPermitted));
    assert_eq!(tree.link_at("d", "two"), Err(FileError::Exists));
    tree.hold(inode).unwrap();
    tree.unlink_at("two").unwrap();
    let root = tree.root();
    let last = crate::Last::Name { name: b"three", slash: false };
    assert_eq!(tree.link(inode, root, last, &ROOT), Err(FileError::NotFound), "no way back");
    tree.release(inode).unwrap();
    assert_eq!(tree.release(inode), Err(FileError::Stale));
    assert_eq!(tree.release(root), Err(FileError::Invalid));
    tree.check_unheld();
}

#[test]
fn inode_numbers_and_names_of_inodes_are_not_used_again() {
    let mut tree = tree();
    let first = tree.put("file", b"");
    tree.unlink_at("file").unwrap();
    let second = tree.put("file", b"");
    assert_ne!(first.number(), second.number());
    assert_eq!(tree.stat(first), Err(FileError::Stale));
}

#[test]
fn the_limit_of_inodes_counts_names() {
    let mut tree: TestTree = Tree::new(Limits { inodes: 3, ..LIMITS }, 0o755, NOW).unwrap();
    tree.put("file", b"");
    tree.link_at("file", "link").unwrap();
    assert_eq!(tree.statfs().files_free, 0);
    assert_eq!(tree.link_at("file", "more"), Err(FileError::NoSpace));
    assert_eq!(tree.mkdir_at("more"), Err(FileError::NoSpace));
    assert_eq!(tree.open_at("more", CREATE, &ROOT), Err(FileError::NoSpace));
    tree.unlink_at("file").unwrap();
    tree.mkdir_at("more").unwrap();
    tree.check_unheld();
}

#[test]
fn a_tree_that_is_dropped_keeps_no_page() {
    let before = LIVE.get();
    let mut tree = tree();
    let inode = tree.put("file", &[1; 10_000]);
    assert_eq!((LIVE.get() - before, tree.stat(inode).unwrap().blocks), (3, 24));
    // A mapping keeps its page over the file's end.
    let mapped = tree.page(inode, 1, false).unwrap().unwrap();
    tree.unlink_at("file").unwrap();
    assert_eq!((LIVE.get() - before, tree.statfs().blocks_free), (1, LIMITS.pages));
    drop(mapped);
    assert_eq!(LIVE.get(), before);
}

#[test]
fn times_are_those_of_the_callers() {
    let mut tree = tree();
    let early = Caller::root(NOW);
    let inode = tree.open_at("file", CREATE, &early).unwrap();
    let times = |tree: &TestTree| {
        let stat = tree.stat(inode).unwrap();
        (stat.accessed, stat.modified, stat.changed)
    };
    assert_eq!(times(&tree), (NOW, NOW, NOW));
    assert_eq!(tree.stat(tree.root()).unwrap().modified, NOW);
    tree.accessed(inode, LATER).unwrap();
    assert_eq!(times(&tree), (LATER, NOW, NOW), "not read since the last change");
    let after = Time { sec: LATER.sec + 100, nsec: 0 };
    tree.accessed(inode, after).unwrap();
    assert_eq!(times(&tree).0, LATER, "read since the last change, and less than a day ago");
    let day = Time { sec: LATER.sec + 24 * 60 * 60, nsec: 0 };
    tree.accessed(inode, day).unwrap();
    assert_eq!(times(&tree).0, day);
    tree.write(inode, 0, b"x", &ROOT).unwrap();
    assert_eq!(times(&tree), (day, LATER, LATER));
    tree.set_times(inode, SetTime::To(NOW), SetTime::Keep, &ROOT).unwrap();
    assert_eq!(times(&tree), (NOW, LATER, LATER));
    tree.set_times(inode, SetTime::Keep, SetTime::Now, &early).unwrap();
    assert_eq!(times(&tree), (NOW, NOW, NOW));
    tree.modified(inode, LATER).unwrap();
    assert_eq!(times(&tree), (NOW, LATER, LATER));
}
