//! Cases of rename whose outcome programs depend on.

use super::{Calls, LATER, NOW, ROOT, USER, tree};
use crate::{FileError, Rename};

#[test]
fn a_directory_moves_with_its_link_counts_and_its_parent() {
    let mut tree = tree();
    let (from, to) = (tree.mkdir_at("from").unwrap(), tree.mkdir_at("to").unwrap());
    let moved = tree.mkdir_at("from/d").unwrap();
    tree.rename_at("from/d", "to/e", Rename::Replace, &ROOT).unwrap();
    assert_eq!((tree.stat(from).unwrap().links, tree.stat(to).unwrap().links), (2, 3));
    assert_eq!(tree.parent(moved), Ok(to));
    assert_eq!(tree.path_of(moved).unwrap().path, b"/to/e");
    tree.check_unheld();
}

#[test]
fn a_directory_replaces_an_empty_one_only() {
    let mut tree = tree();
    tree.mkdir_at("d").unwrap();
    let empty = tree.mkdir_at("empty").unwrap();
    tree.mkdir_at("full").unwrap();
    tree.put("full/file", b"");
    tree.put("file", b"");
    assert_eq!(tree.rename_at("d", "full", Rename::Replace, &ROOT), Err(FileError::NotEmpty));
    assert_eq!(tree.rename_at("d", "file", Rename::Replace, &ROOT), Err(FileError::NotDirectory));
    assert_eq!(tree.rename_at("file", "d", Rename::Replace, &ROOT), Err(FileError::IsDirectory));
    tree.hold(empty).unwrap();
    tree.rename_at("d/", "empty/", Rename::Replace, &ROOT).unwrap();
    assert_eq!(tree.path_of(empty).unwrap().shown().concat(), b"/empty (deleted)");
    tree.release(empty).unwrap();
    assert_eq!(tree.stat(tree.root()).unwrap().links, 4);
    tree.check_unheld();
}

#[test]
fn a_directory_cannot_move_into_itself() {
    let mut tree = tree();
    tree.mkdir_at("a").unwrap();
    tree.mkdir_at("a/b").unwrap();
    for how in [Rename::Replace, Rename::NoReplace] {
        assert_eq!(tree.rename_at("a", "a/b/c", how, &ROOT), Err(FileError::Invalid));
        assert_eq!(tree.rename_at("a", "a/c", how, &ROOT), Err(FileError::Invalid));
    }
    assert_eq!(tree.rename_at("a/b", "a", Rename::Replace, &ROOT), Err(FileError::NotEmpty));
    assert_eq!(tree.rename_at("a/b", "a", Rename::Exchange, &ROOT), Err(FileError::Invalid));
    tree.rename_at("a", "a", Rename::Replace, &ROOT).unwrap();
}

#[test]
fn two_names_of_one_inode_stay() {
    let mut tree = tree();
    let inode = tree.put("one", b"");
    tree.link_at("one", "two").unwrap();
    tree.rename_at("one", "two", Rename::Replace, &USER).unwrap();
    assert_eq!((tree.find("one"), tree.find("two")), (Ok(inode), Ok(inode)));
}

#[test]
fn a_replaced_file_lives_as_long_as_it_is_held() {
    let mut tree = tree();
    let old = tree.put("old", b"old");
    let new = tree.put("new", b"new");
    tree.hold(old).unwrap();
    tree.rename_at("new", "old", Rename::Replace, &ROOT).unwrap();
    assert_eq!((tree.find("old"), tree.find("new")), (Ok(new), Err(FileError::NotFound)));
    assert_eq!((tree.get(old), tree.stat(old).unwrap().links), (b"old".to_vec(), 0));
    assert_eq!(tree.path_of(old).unwrap().shown().concat(), b"/old (deleted)");
    tree.release(old).unwrap();
    assert_eq!(tree.stat(old), Err(FileError::Stale));
    assert_eq!(tree.statfs().blocks_free, super::LIMITS.pages - 1);
}

#[test]
fn exchange_takes_a_file_for_a_directory() {
    let mut tree = tree();
    let (file, above) = (tree.put("file", b""), tree.mkdir_at("above").unwrap());
    let directory = tree.mkdir_at("above/d").unwrap();
    tree.put("above/d/inside", b"");
    tree.rename_at("file", "above/d", Rename::Exchange, &ROOT).unwrap();
    assert_eq!((tree.find("above/d"), tree.find("file")), (Ok(file), Ok(directory)));
    assert_eq!(tree.stat(above).unwrap().links, 2);
    assert!(tree.find("file/inside").is_ok());
    tree.check_unheld();
}

#[test]
fn times_tell_what_changed() {
    let mut tree = tree();
    let (from, to) = (tree.mkdir_at("from").unwrap(), tree.mkdir_at("to").unwrap());
    let file = tree.put("from/file", b"");
    let early = crate::Caller::root(NOW);
    for inode in [from, to, file] {
        tree.set_times(inode, crate::SetTime::Now, crate::SetTime::Now, &early).unwrap();
    }
    tree.rename_at("from/file", "to/file", Rename::Replace, &ROOT).unwrap();
    for directory in [from, to] {
        assert_eq!(tree.stat(directory).unwrap().modified, LATER);
    }
    let stat = tree.stat(file).unwrap();
    assert_eq!((stat.modified, stat.changed), (NOW, LATER));
}
