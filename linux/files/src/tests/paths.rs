//! Paths: limits, symbolic links, mount points, removed directories.

use super::{CREATE, Calls, ROOT, TestTree, tree};
use crate::{Component, FileError, Last, LastLink, Parent, Rename, Resolved, Walk};

fn resolve(tree: &TestTree, walk: &mut Walk) -> Resolved<&'static str> {
    tree.resolve(walk, &ROOT).unwrap()
}

#[test]
fn components_and_paths_have_linux_limits() {
    let mut tree = tree();
    let name = "n".repeat(255);
    let inode = tree.put(&name, b"");
    assert_eq!(tree.find(&name), Ok(inode));
    assert_eq!(tree.find(&"n".repeat(256)), Err(FileError::NameTooLong));
    assert_eq!(tree.open_at(&"n".repeat(256), CREATE, &ROOT), Err(FileError::NameTooLong));
    assert_eq!(tree.mkdir_at(&"n".repeat(256)), Err(FileError::NameTooLong));
    // 4095 bytes and the NUL that the tree does not see.
    assert_eq!(tree.find(&"/".repeat(4095)), Ok(tree.root()));
    assert_eq!(tree.find(&"/".repeat(4096)), Err(FileError::NameTooLong));
    assert_eq!(tree.find(""), Err(FileError::NotFound));
    assert_eq!(tree.find("a\0b"), Err(FileError::Invalid));
    assert_eq!(tree.symlink_at("", "l"), Err(FileError::NotFound));
    assert!(tree.symlink_at(&"x".repeat(4095), "l").is_ok());
    assert_eq!(tree.symlink_at(&"x".repeat(4096), "m"), Err(FileError::NameTooLong));
}

#[test]
fn forty_links_are_followed_and_not_one_more() {
    let mut tree = tree();
    let file = tree.put("0", b"");
    for number in 1..=41 {
        tree.symlink_at(&format!("{}", number - 1), &format!("{number}")).unwrap();
    }
    assert_eq!(tree.find("40"), Ok(file));
    assert_eq!(tree.find("41"), Err(FileError::Loop));
    tree.symlink_at("loop", "loop").unwrap();
    assert_eq!(tree.find("loop"), Err(FileError::Loop));
    assert_eq!(tree.find("loop/a"), Err(FileError::Loop));
    assert!(tree.lfind("loop").is_ok());
    assert_eq!(tree.lfind("loop/"), Err(FileError::Loop));
}

/// Each of 40 links leaves something behind itself: what is left of the path grows and nothing overflows.
#[test]
fn links_with_long_targets_add_up() {
    let mut tree = tree();
    let dots = "./".repeat(2000);
    tree.mkdir_at("0").unwrap();
    for number in 1..=40 {
        tree.symlink_at(&format!("{}/{dots}", number - 1), &format!("{number}")).unwrap();
    }
    assert_eq!(tree.find("40"), tree.find("0"));
}

#[test]
fn a_dangling_link_is_created_through() {
    let mut tree = tree();
    tree.mkdir_at("d").unwrap();
    tree.symlink_at("d/new", "l").unwrap();
    let made = tree.open_at("l", CREATE, &ROOT).unwrap();
    assert_eq!(tree.find("/d/new"), Ok(made));
    tree.symlink_at("d/other/", "m").unwrap();
    assert_eq!(tree.open_at("m", CREATE, &ROOT), Err(FileError::IsDirectory));
    assert_eq!(tree.mkdir_at("m"), Err(FileError::Exists));
}

#[test]
fn a_mount_takes_the_rest_of_the_path() {
    let mut tree = tree();
    let proc = tree.mkdir_at("proc").unwrap();
    tree.put("proc/hidden", b"");
    tree.mkdir_at("d").unwrap();
    tree.symlink_at("/proc/self/exe", "d/link").unwrap();
    tree.mount(proc, "proc").unwrap();
    let start = tree.root();
    for (path, rest) in [
        ("/proc", ""),
        ("proc/", ""),
        ("d/../proc/./1/stat", "./1/stat"),
        ("d/link", "self/exe"),
        ("d/link/x/", "self/exe/x/"),
        ("proc/hidden", "hidden"),
    ] {
        let mut walk = Walk::new(start, path.as_bytes(), LastLink::Follow).unwrap();
        assert_eq!(resolve(&tree, &mut walk), Resolved::Mount { which: "proc", point: proc }, "{path}");
        assert_eq!(walk.rest(), rest.as_bytes(), "{path}");
    }
    // The name itself is in the tree.
    let mut walk = Walk::new(start, b"/proc", LastLink::Keep).unwrap();
    assert_eq!(tree.resolve_parent(&mut walk, &ROOT), Ok(Parent::Directory(start)));
    assert_eq!(walk.last(), Ok(Last::Name { name: b"proc", slash: false }));
    assert_eq!(tree.rmdir_at("proc"), Err(FileError::Busy));
    assert_eq!(tree.rename_at("proc", "x", Rename::Replace, &ROOT), Err(FileError::Busy));
    let mut walk = Walk::new(start, b"/proc/x", LastLink::Keep).unwrap();
    assert_eq!(tree.resolve_parent(&mut walk, &ROOT), Ok(Parent::Mount { which: "proc", point: proc }));
    assert_eq!(tree.mount(proc, "again"), Err(FileError::Busy));
    assert_eq!(tree.mount(start, "root"), Err(FileError::Busy));
    assert_eq!((tree.mounted(proc), tree.mounted(start)), (Ok(Some("proc")), Ok(None)));
    assert_eq!(tree.unmount(proc), Ok("proc"));
    assert_eq!(tree.unmount(proc), Err(FileError::Invalid));
    assert!(tree.find("proc/hidden").is_ok());
}

/// What a kernel does with a walk in a mount of its own.
#[test]
fn a_path_leaves_a_mount_and_comes_back() {
    let mut tree = tree();
    let proc = tree.mkdir_at("proc").unwrap();
    let program = tree.put("program", b"");
    tree.mount(proc, "proc").unwrap();
    // ".." at the root of the mount.
    let mut walk = Walk::new(proc, b"../program", LastLink::Follow).unwrap();
    assert!(matches!(resolve(&tree, &mut walk), Resolved::Mount { .. }));
    assert_eq!(walk.take(), Ok(Some(Component::DotDot)));
    walk.jump(tree.parent(proc).unwrap());
    assert_eq!(resolve(&tree, &mut walk), Resolved::Inode(program));
    // An ordinary link in the mount, to a path in the tree.
    let mut walk = Walk::new(tree.root(), b"proc/link/", LastLink::Keep).unwrap();
    assert!(matches!(resolve(&tree, &mut walk), Resolved::Mount { .. }));
    assert_eq!(walk.take(), Ok(Some(Component::Name(b"link"))));
    assert!(walk.follows() && walk.is_done());
    walk.enter_link(b"/program").unwrap();
    assert_eq!(tree.resolve(&mut walk, &ROOT), Err(FileError::NotDirectory), "the slash is still there");
    // A link that leads to an inode.
    let mut walk = Walk::new(tree.root(), b"proc/exe", LastLink::Follow).unwrap();
    assert!(matches!(resolve(&tree, &mut walk), Resolved::Mount { .. }));
    assert_eq!(walk.take(), Ok(Some(Component::Name(b"exe"))));
    walk.enter_magic_link(program).unwrap();
    assert_eq!(resolve(&tree, &mut walk), Resolved::Inode(program));
    // Links on both sides are counted together.
    let mut walk = Walk::new(tree.root(), b"proc/a", LastLink::Follow).unwrap();
    for _ in 0..40 {
        assert!(matches!(resolve(&tree, &mut walk), Resolved::Mount { .. }));
        walk.take().unwrap();
        walk.enter_link(b"/proc/a").unwrap();
    }
    assert_eq!(walk.enter_link(b"/program"), Err(FileError::Loop));
}

#[test]
fn a_removed_current_directory_is_empty_and_has_its_parent() {
    let mut tree = tree();
    let above = tree.mkdir_at("above").unwrap();
    let cwd = tree.mkdir_at("above/cwd").unwrap();
    tree.hold(cwd).unwrap();
    tree.rmdir_at("above/cwd").unwrap();
    tree.rmdir_at("above").unwrap();
    let from = |tree: &mut TestTree, path: &str| {
        let mut walk = Walk::new(cwd, path.as_bytes(), LastLink::Follow)?;
        tree.open(&mut walk, &CREATE, &ROOT)
    };
    assert_eq!(from(&mut tree, "new"), Err(FileError::NotFound));
    let mut walk = Walk::new(cwd, b"../..", LastLink::Follow).unwrap();
    assert_eq!(resolve(&tree, &mut walk), Resolved::Inode(tree.root()));
    let mut walk = Walk::new(cwd, b"..", LastLink::Follow).unwrap();
    assert_eq!(resolve(&tree, &mut walk), Resolved::Inode(above));
    assert_eq!(
        tree.mkdir(cwd, Last::Name { name: b"d", slash: false }, 0o755, &ROOT),
        Err(FileError::NotFound)
    );
    assert_eq!(tree.next_entry(cwd, 0), Err(FileError::NotFound));
    assert_eq!(tree.mount(cwd, "x"), Err(FileError::NotFound));
    assert_eq!(tree.stat(cwd).unwrap().links, 0);
    assert_eq!(tree.path_of(cwd).unwrap().shown().concat(), b"/above/cwd (deleted)");
    tree.release(cwd).unwrap();
    assert_eq!(tree.stat(cwd), Err(FileError::Stale));
    assert_eq!(tree.stat(above), Err(FileError::Stale));
    tree.check_unheld();
}

/// A removed directory still lies below the directories it was in. Linux looks the name up first.
#[test]
fn nothing_moves_into_a_removed_directory() {
    let mut tree = tree();
    tree.mkdir_at("a").unwrap();
    let removed = tree.mkdir_at("a/removed").unwrap();
    tree.hold(removed).unwrap();
    tree.rmdir_at("a/removed").unwrap();
    let name = |name| Last::Name { name, slash: false };
    for how in [Rename::Replace, Rename::Exchange] {
        let (from, to) = ((tree.root(), name(b"a")), (removed, name(b"b")));
        assert_eq!(tree.rename(from, to, how, &ROOT), Err(FileError::NotFound));
        assert_eq!(tree.rename(to, from, how, &ROOT), Err(FileError::NotFound));
    }
}

/// Freeing a chain of removed directories is a loop: a recursion would use up the stack here.
#[test]
fn a_deep_chain_of_removed_directories_is_freed() {
    const DEPTH: usize = 100_000;
    let limits = crate::Limits { inodes: 200_000, ..super::LIMITS };
    let mut tree: TestTree = crate::Tree::new(limits, 0o755, super::NOW).unwrap();
    let name = Last::Name { name: b"d", slash: false };
    let mut chain = vec![tree.root()];
    for depth in 0..DEPTH {
        chain.push(tree.mkdir(chain[depth], name, 0o755, &ROOT).unwrap());
    }
    let last = chain[DEPTH];
    assert_eq!(tree.path_of(last), Err(FileError::NameTooLong));
    tree.hold(last).unwrap();
    for depth in (0..DEPTH).rev() {
        tree.rmdir(chain[depth], name, &ROOT).unwrap();
    }
    assert_eq!(tree.statfs().files_free, 200_000 - DEPTH as u64 - 1);
    tree.release(last).unwrap();
    assert_eq!(tree.statfs().files_free, 200_000 - 1);
}
