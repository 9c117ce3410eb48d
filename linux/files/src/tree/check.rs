//! What must hold between any two operations.

use std::collections::BTreeMap;

use super::Tree;
use super::contents::PAGE;
use crate::inode::Body;
use crate::{InodeId, Page};

impl<P: Page, N: Copy> Tree<P, N> {
    /// Panics if something does not hold. `held` is how often the test holds each inode.
    pub(crate) fn check(&self, held: &BTreeMap<InodeId, u64>) {
        self.inodes.check();
        let mut nodes = BTreeMap::new();
        let mut from = 0;
        while let Some((slot, node)) = self.inodes.next(from) {
            nodes.insert(InodeId { slot, number: node.number }, node);
            from = slot + 1;
        }
        let mut holds = held.clone();
        let (mut pages, mut counted) = (0, 0);
        for (&id, node) in &nodes {
            assert!(id == self.root || node.holds > 0 || !node.links.is_empty(), "{id:?} leaked");
            counted += node.links.len().max(1) as u64;
            for link in &node.links {
                assert_eq!(self.directory(link.directory).unwrap().entry(link.slot).unwrap().inode, id);
            }
            if let Some(last) = &node.last_name {
                assert!(node.links.is_empty(), "a name and a last name");
                *holds.entry(last.directory).or_default() += 1;
            }
            match &node.body {
                Body::Directory { entries, .. } => {
                    assert!(id == self.root || node.links.len() <= 1);
                    assert!(!self.is_removed(id).unwrap() || entries.len() == 0, "entries in a removed one");
                    let subdirectories = entries.check(|slot, inode| {
                        assert!(nodes[&inode].links.iter().any(|l| l.directory == id && l.slot == slot));
                        nodes[&inode].is_directory()
                    });
                    assert_eq!(subdirectories, entries.subdirectories);
                    let mut at = id;
                    for _ in 0..nodes.len() {
                        at = self.parent(at).unwrap();
                    }
                    assert_eq!(at, self.root, "{id:?} hangs on nothing");
                }
                Body::File(file) => {
                    pages += file.pages.count();
                    assert_eq!(file.pages.next_page(file.size.div_ceil(PAGE)), None, "pages behind the end");
                    assert_eq!(file.pages.count_between(0, u64::MAX / PAGE), file.pages.count());
                }
                _ => {}
            }
        }
        for (id, node) in &nodes {
            assert_eq!(node.holds, holds.get(id).copied().unwrap_or(0), "holds of {id:?}");
        }
        assert_eq!((pages, counted), (self.pages, self.counted));
        assert!(pages <= self.limits.pages && counted <= self.limits.inodes);
    }
}
