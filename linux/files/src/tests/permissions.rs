//! Who may do what.

use super::{CREATE, Calls, READ, ROOT, TestTree, USER, WRITE, tree};
use crate::{Access, Caller, FileError, LastLink, Open, Rename, SetTime};

const OTHER: Caller = Caller { uid: 2000, gid: 200, groups: &[], ..USER };

/// A file of user 1000 and group 101 with this mode.
fn file(tree: &mut TestTree, mode: u32) -> crate::InodeId {
    let inode = tree.put("file", b"x");
    tree.chown(inode, Some(1000), Some(101), &ROOT).unwrap();
    tree.chmod(inode, mode, &ROOT).unwrap();
    inode
}

#[test]
fn the_first_class_that_fits_decides() {
    let mut tree = tree();
    let member = Caller { uid: 3000, gid: 101, ..OTHER };
    let supplementary = Caller { uid: 3000, groups: &[7, 101], ..OTHER };
    let classes = [(USER, 6), (member, 3), (supplementary, 3), (OTHER, 0)];
    for bits in 0..8 {
        let access = Access::from_bits_truncate(bits);
        for (caller, shift) in classes {
            let inode = file(&mut tree, bits << shift);
            assert_eq!(tree.permit(inode, access, &caller), Ok(()));
            let inode = file(&mut tree, 0o777 & !(bits << shift));
            let expected = if bits == 0 { Ok(()) } else { Err(FileError::Denied) };
            assert_eq!(tree.permit(inode, access, &caller), expected, "{bits} {caller:?}");
        }
    }
    let inode = file(&mut tree, 0);
    assert_eq!(tree.permit(inode, Access::READ | Access::WRITE, &ROOT), Ok(()));
    assert_eq!(tree.permit(inode, Access::EXECUTE, &ROOT), Err(FileError::Denied));
    let inode = file(&mut tree, 0o001);
    assert_eq!(tree.permit(inode, Access::EXECUTE, &ROOT), Ok(()));
}

#[test]
fn open_asks_for_what_it_will_do() {
    let mut tree = tree();
    file(&mut tree, 0o400);
    let truncate = Open { truncate: true, ..READ };
    assert!(tree.open_at("file", READ, &USER).is_ok());
    assert_eq!(tree.open_at("file", WRITE, &USER), Err(FileError::Denied));
    assert_eq!(tree.open_at("file", truncate, &USER), Err(FileError::Denied));
    assert_eq!(tree.open_at("file", READ, &OTHER), Err(FileError::Denied));
    assert_eq!(tree.open_at("new", CREATE, &USER), Err(FileError::Denied), "the root is not theirs");
    tree.chmod(tree.root(), 0o777, &ROOT).unwrap();
    // A file that is made can be written whatever its mode.
    let inode = tree.open_at("new", Open { mode: 0o400, ..CREATE }, &USER).unwrap();
    let stat = tree.stat(inode).unwrap();
    assert_eq!((stat.uid, stat.gid, stat.mode), (1000, 100, 0o100_400));
}

#[test]
fn directories_are_searched_with_permission_only() {
    let mut tree = tree();
    let directory = tree.mkdir_at("d").unwrap();
    tree.put("d/file", b"");
    tree.symlink_at("d/file", "link").unwrap();
    tree.chmod(directory, 0o666, &ROOT).unwrap();
    for path in ["d/file", "link", "d/nothing", "d/..", "d/.", "d/file/"] {
        assert_eq!(tree.find_as(path, LastLink::Follow, &USER), Err(FileError::Denied), "{path}");
    }
    assert_eq!(tree.find_as("d/", LastLink::Follow, &USER), Ok(directory));
    assert_eq!(tree.split("d/file", &USER).err(), Some(FileError::Denied));
    tree.chmod(directory, 0o111, &ROOT).unwrap();
    assert!(tree.find_as("d/file", LastLink::Follow, &USER).is_ok());
}

#[test]
fn names_are_changed_with_write_and_search_permission() {
    let mut tree = tree();
    let directory = tree.mkdir_at("d").unwrap();
    tree.put("d/file", b"");
    for mode in [0o755, 0o777] {
        tree.chmod(directory, mode, &ROOT).unwrap();
        let allowed = mode == 0o777;
        let expected = |ok: bool| if ok { Ok(()) } else { Err(FileError::Denied) };
        let rename = tree.rename_at("d/file", "d/renamed", Rename::Replace, &USER);
        assert_eq!(rename, expected(allowed));
        let (at, walk) = tree.split("d/new", &USER).unwrap();
        let made = tree.mkdir(at, walk.last().unwrap(), 0o755, &USER).map(drop);
        assert_eq!(made, expected(allowed));
        let removed = tree.rmdir(at, walk.last().unwrap(), &USER);
        assert_eq!(removed, if allowed { Ok(()) } else { Err(FileError::NotFound) });
    }
    // A directory that moves to another parent must be writable itself.
    tree.chmod(tree.root(), 0o777, &ROOT).unwrap();
    tree.mkdir_at("d/inner").unwrap();
    assert_eq!(tree.rename_at("d/inner", "inner", Rename::Replace, &USER), Err(FileError::Denied));
    tree.rename_at("d/inner", "d/other", Rename::Replace, &USER).unwrap();
}

#[test]
fn a_sticky_directory_protects_what_others_made() {
    let mut tree = tree();
    tree.chmod(tree.root(), 0o1777, &ROOT).unwrap();
    tree.open_at("theirs", CREATE, &OTHER).unwrap();
    tree.open_at("mine", CREATE, &USER).unwrap();
    let unlink = |tree: &mut TestTree, path, caller: &Caller| {
        let (at, walk) = tree.split(path, caller)?;
        tree.unlink(at, walk.last()?, caller)
    };
    assert_eq!(unlink(&mut tree, "theirs", &USER), Err(FileError::NotPermitted));
    assert_eq!(tree.rename_at("theirs", "x", Rename::Replace, &USER), Err(FileError::NotPermitted));
    assert_eq!(tree.rename_at("mine", "theirs", Rename::Replace, &USER), Err(FileError::NotPermitted));
    assert_eq!(unlink(&mut tree, "mine", &USER), Ok(()));
    // The owner of the directory may.
    tree.chown(tree.root(), Some(1000), None, &ROOT).unwrap();
    assert_eq!(unlink(&mut tree, "theirs", &USER), Ok(()));
}

#[test]
fn attributes_are_the_owners() {
    let mut tree = tree();
    let inode = file(&mut tree, 0o6755);
    let mode = |tree: &TestTree| tree.stat(inode).unwrap().mode & 0o7777;
    assert_eq!(tree.chmod(inode, 0o777, &OTHER), Err(FileError::NotPermitted));
    assert_eq!(tree.chown(inode, Some(2000), None, &USER), Err(FileError::NotPermitted));
    assert_eq!(tree.chown(inode, None, Some(200), &USER), Err(FileError::NotPermitted));
    assert_eq!(tree.chown(inode, None, Some(101), &OTHER), Err(FileError::NotPermitted));
    assert_eq!(mode(&tree), 0o6755);
    assert_eq!(tree.chown(inode, Some(1000), Some(102), &USER), Ok(()));
    assert_eq!(mode(&tree), 0o755, "set-id bits go with the owner");
    // Group 300 is not the owner's, so its rights cannot be given away.
    tree.chown(inode, None, Some(300), &ROOT).unwrap();
    tree.chmod(inode, 0o2755, &USER).unwrap();
    assert_eq!(mode(&tree), 0o755);
    // A write by another one takes them away.
    tree.chmod(inode, 0o6777, &ROOT).unwrap();
    tree.write(inode, 0, b"x", &ROOT).unwrap();
    assert_eq!(mode(&tree), 0o6777);
    tree.write(inode, 0, b"x", &OTHER).unwrap();
    assert_eq!(mode(&tree), 0o777);
    tree.chmod(inode, 0o622, &ROOT).unwrap();
    let set = |tree: &mut TestTree, one, other| tree.set_times(inode, one, other, &OTHER);
    assert_eq!(set(&mut tree, SetTime::Now, SetTime::Now), Ok(()), "who may write may touch");
    assert_eq!(set(&mut tree, SetTime::Now, SetTime::Keep), Err(FileError::NotPermitted));
    assert_eq!(set(&mut tree, SetTime::Keep, SetTime::Keep), Ok(()));
    tree.chmod(inode, 0o644, &ROOT).unwrap();
    assert_eq!(set(&mut tree, SetTime::Now, SetTime::Now), Err(FileError::Denied));
    let link = tree.symlink_at("file", "link").unwrap();
    assert_eq!(tree.chmod(link, 0o600, &ROOT), Err(FileError::NotSupported));
}

#[test]
fn a_directory_with_set_group_id_hands_its_group_down() {
    let mut tree = tree();
    let directory = tree.mkdir_at("d").unwrap();
    tree.chown(directory, None, Some(500), &ROOT).unwrap();
    tree.chmod(directory, 0o2777, &ROOT).unwrap();
    let inode = tree.open_at("d/file", Open { mode: 0o2755, ..CREATE }, &USER).unwrap();
    let stat = tree.stat(inode).unwrap();
    assert_eq!((stat.gid, stat.mode), (500, 0o100_755), "not a member: no rights of the group");
    let inode = tree.mkdir_at("d/inner").unwrap();
    let stat = tree.stat(inode).unwrap();
    assert_eq!((stat.gid, stat.mode), (500, 0o042_755));
}
