//! Listings while the directory changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{CREATE, Calls, ROOT, tree};
use crate::Rename;

#[derive(Clone, Debug)]
enum Op {
    Next,
    Add(u8),
    Remove(u8),
    Rename(u8, u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Next),
        3 => (0..20u8).prop_map(Op::Add),
        2 => (0..20u8).prop_map(Op::Remove),
        1 => (0..20u8, 0..20u8).prop_map(|(old, new)| Op::Rename(old, new)),
    ]
}

proptest! {
    /// An inode that is there from the beginning of a listing to its end is listed once, under whatever name it has then. An inode
    /// that comes or goes meanwhile is listed at most once.
    #[test]
    fn what_stays_is_listed_once(before in 0..20u8, ops in prop::collection::vec(op(), 1..80)) {
        let mut tree = tree();
        for name in 0..before {
            tree.put(&name.to_string(), b"");
        }
        let inode = |tree: &super::TestTree, name: u8| tree.find(&name.to_string()).ok();
        let mut stays: BTreeSet<_> = (0..before).filter_map(|name| inode(&tree, name)).collect();
        let mut listed = BTreeMap::new();
        let mut cookie = 2;
        let mut list = |tree: &super::TestTree| {
            let entry = tree.next_entry(tree.root(), cookie).unwrap()?;
            assert!(entry.next > cookie);
            cookie = entry.next;
            *listed.entry(entry.inode).or_insert(0) += 1;
            Some(())
        };
        for op in ops {
            match op {
                Op::Next => drop(list(&tree)),
                Op::Add(name) => drop(tree.open_at(&name.to_string(), CREATE, &ROOT)),
                Op::Remove(name) => {
                    if let Some(inode) = inode(&tree, name) {
                        stays.remove(&inode);
                        tree.unlink_at(&name.to_string()).unwrap();
                    }
                }
                Op::Rename(old, new) => {
                    // Replacing another inode moves the renamed one into the other's place.
                    if inode(&tree, new).is_some() {
                        continue;
                    }
                    let _ = tree.rename_at(&old.to_string(), &new.to_string(), Rename::Replace, &ROOT);
                }
            }
        }
        while list(&tree).is_some() {}
        tree.check_unheld();
        for inode in stays {
            prop_assert_eq!(listed.get(&inode), Some(&1), "{:?}", inode);
        }
        prop_assert!(listed.values().all(|&count| count == 1));
    }
}

#[test]
fn a_listing_starts_with_the_two_dots() {
    let mut tree = tree();
    let directory = tree.mkdir_at("d").unwrap();
    tree.put("d/file", b"");
    assert_eq!(tree.names("d"), [".", "..", "file"]);
    assert_eq!(tree.names("/"), [".", "..", "d"]);
    let entry = |cookie| tree.next_entry(directory, cookie).unwrap();
    assert_eq!(entry(0).unwrap().inode, directory);
    assert_eq!(entry(1).unwrap().inode, tree.root());
    assert_eq!(entry(2).unwrap().kind, crate::Kind::Regular);
    for end in [entry(2).unwrap().next, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(entry(end), None);
    }
    let file = tree.find("d/file").unwrap();
    assert_eq!(tree.next_entry(file, 0), Err(crate::FileError::NotDirectory));
}
