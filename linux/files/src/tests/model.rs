//! Random operations on a tree and on a naive model, which must agree on every result and on what the tree then is.
//!
//! The model finds names by recursion over path strings, never frees anything, and computes link counts by looking everywhere.

mod naive;

use std::collections::BTreeMap;

use naive::{Model, Node};
use proptest::prelude::*;

use super::{Calls, LIMITS, LIVE, NOW, ROOT, TestTree};
use crate::{FileError, InodeId, Kind, LastLink, Open, Parent, Rename, Resolved, Result, Tree, Walk};

#[derive(Clone, Debug)]
enum Op {
    Open { path: String, create: bool, exclusive: bool, truncate: bool, keep: bool, contents: Vec<u8> },
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    Link(String, String),
    Symlink(String, String),
    Rename(String, String, Rename),
    Chdir(String),
    Find(String, bool),
    Hold(String),
    Release(usize),
}

/// Mostly short, so that most operations find what they ask for.
fn path() -> impl Strategy<Value = String> {
    let component = prop_oneof![12 => "[abcd]", 1 => Just(".".to_string()), 1 => Just("..".to_string())];
    let length = prop_oneof![1 => Just(0usize), 20 => Just(1), 16 => Just(2), 4 => Just(3)];
    let components = length.prop_flat_map(move |length| prop::collection::vec(component.clone(), length));
    (prop::bool::weighted(0.3), components, prop::bool::weighted(0.08)).prop_map(
        |(absolute, components, slash)| {
            let path = components.join("/");
            let tail = if slash && !path.is_empty() { "/" } else { "" };
            format!("{}{path}{tail}", if absolute { "/" } else { "" })
        },
    )
}

fn open() -> impl Strategy<Value = Op> {
    let flags = (prop::bool::weighted(0.7), prop::bool::weighted(0.2), any::<bool>(), any::<bool>());
    (path(), flags, prop::collection::vec(any::<u8>(), 0..4)).prop_map(|(path, flags, contents)| {
        let (create, exclusive, truncate, keep) = flags;
        Op::Open { path, create, exclusive, truncate, keep, contents }
    })
}

fn op() -> impl Strategy<Value = Op> {
    let how =
        prop_oneof![3 => Just(Rename::Replace), 1 => Just(Rename::NoReplace), 2 => Just(Rename::Exchange)];
    prop_oneof![
        6 => open(),
        6 => path().prop_map(Op::Mkdir),
        2 => path().prop_map(Op::Rmdir),
        2 => path().prop_map(Op::Unlink),
        4 => (path(), path()).prop_map(|(old, new)| Op::Link(old, new)),
        2 => (path(), path()).prop_map(|(target, path)| Op::Symlink(target, path)),
        8 => (path(), path(), how).prop_map(|(old, new, how)| Op::Rename(old, new, how)),
        1 => path().prop_map(Op::Chdir),
        1 => (path(), any::<bool>()).prop_map(|(path, follow)| Op::Find(path, follow)),
        1 => path().prop_map(Op::Hold),
        1 => any::<usize>().prop_map(Op::Release),
    ]
}

/// The tree and the model with what a process has: a current directory, open files.
struct Both {
    tree: TestTree,
    model: Model,
    cwd: (InodeId, usize),
    held: Vec<(InodeId, usize)>,
}

impl Both {
    fn walk(&self, path: &str, last: LastLink) -> Result<Walk> {
        Walk::new(self.cwd.0, path.as_bytes(), last)
    }

    fn find(&self, path: &str, last: LastLink) -> Result<InodeId> {
        match self.tree.resolve(&mut self.walk(path, last)?, &ROOT)? {
            Resolved::Inode(inode) => Ok(inode),
            Resolved::Mount { .. } => unreachable!(),
        }
    }

    fn parent(&self, path: &str) -> Result<(InodeId, Walk)> {
        let mut walk = self.walk(path, LastLink::Keep)?;
        match self.tree.resolve_parent(&mut walk, &ROOT)? {
            Parent::Directory(directory) => Ok((directory, walk)),
            Parent::Mount { .. } => unreachable!(),
        }
    }

    /// Runs an operation on both. Returns the two results.
    fn run(&mut self, op: &Op) -> (Result<()>, Result<()>) {
        let (tree, model) = (self.run_tree(op), self.run_model(op));
        // What both found is then held or entered on both.
        if let (Op::Chdir(_), Ok(Some(inode)), Ok(Some(node))) = (op, &tree, &model) {
            self.tree.hold(*inode).unwrap();
            let old = std::mem::replace(&mut self.cwd, (*inode, *node));
            self.tree.release(old.0).unwrap();
        }
        if let (Op::Hold(_), Ok(Some(inode)), Ok(Some(node))) = (op, &tree, &model) {
            self.tree.hold(*inode).unwrap();
            self.held.push((*inode, *node));
        }
        if let Op::Release(which) = op
            && !self.held.is_empty()
        {
            let (inode, _) = self.held.swap_remove(which % self.held.len());
            self.tree.release(inode).unwrap();
        }
        (tree.map(drop), model.map(drop))
    }

    fn run_tree(&mut self, op: &Op) -> Result<Option<InodeId>> {
        match op {
            Op::Open { path, create, exclusive, truncate, keep, contents } => {
                let mut walk = self.walk(path, if *keep { LastLink::Keep } else { LastLink::Follow })?;
                let how = Open {
                    read: true,
                    write: !contents.is_empty(),
                    create: *create,
                    exclusive: *exclusive,
                    truncate: *truncate,
                    directory: false,
                    mode: 0o644,
                };
                let Resolved::Inode(inode) = self.tree.open(&mut walk, &how, &ROOT)? else { unreachable!() };
                if !contents.is_empty() {
                    self.tree.append(inode, contents, &ROOT)?;
                }
                Ok(Some(inode))
            }
            Op::Mkdir(path) => {
                let (directory, walk) = self.parent(path)?;
                self.tree.mkdir(directory, walk.last()?, 0o755, &ROOT).map(Some)
            }
            Op::Rmdir(path) => {
                let (directory, walk) = self.parent(path)?;
                self.tree.rmdir(directory, walk.last()?, &ROOT).map(|()| None)
            }
            Op::Unlink(path) => {
                let (directory, walk) = self.parent(path)?;
                self.tree.unlink(directory, walk.last()?, &ROOT).map(|()| None)
            }
            Op::Link(old, new) => {
                let inode = self.find(old, LastLink::Keep)?;
                let (directory, walk) = self.parent(new)?;
                self.tree.link(inode, directory, walk.last()?, &ROOT).map(|()| None)
            }
            Op::Symlink(target, path) => {
                if target.is_empty() {
                    return Err(FileError::NotFound);
                }
                let (directory, walk) = self.parent(path)?;
                self.tree.symlink(directory, walk.last()?, target.as_bytes(), &ROOT).map(Some)
            }
            Op::Rename(old, new, how) => {
                let (from, old) = self.parent(old)?;
                let (to, new) = self.parent(new)?;
                self.tree.rename((from, old.last()?), (to, new.last()?), *how, &ROOT).map(|()| None)
            }
            Op::Chdir(path) => {
                let inode = self.find(path, LastLink::Follow)?;
                let is_directory = self.tree.kind(inode)? == Kind::Directory;
                if is_directory { Ok(Some(inode)) } else { Err(FileError::NotDirectory) }
            }
            Op::Find(path, follow) => {
                self.find(path, if *follow { LastLink::Follow } else { LastLink::Keep }).map(Some)
            }
            Op::Hold(path) => self.find(path, LastLink::Keep).map(Some),
            Op::Release(_) => Ok(None),
        }
    }

    fn run_model(&mut self, op: &Op) -> Result<Option<usize>> {
        let (model, cwd) = (&mut self.model, self.cwd.1);
        match op {
            Op::Open { path, create, exclusive, truncate, keep, contents } => {
                let node =
                    model.open(cwd, path, *create, *exclusive, *truncate, *keep, !contents.is_empty())?;
                if let Node::File(bytes) = &mut model.nodes[node] {
                    bytes.extend(contents);
                }
                Ok(Some(node))
            }
            Op::Mkdir(path) => model.add(cwd, path, true, Node::directory).map(Some),
            Op::Rmdir(path) => model.rmdir(cwd, path).map(|()| None),
            Op::Unlink(path) => model.unlink(cwd, path).map(|()| None),
            Op::Link(old, new) => model.link(cwd, old, new).map(|()| None),
            Op::Symlink(target, path) => {
                if target.is_empty() {
                    return Err(FileError::NotFound);
                }
                model.add(cwd, path, false, |_| Node::Link(target.clone())).map(Some)
            }
            Op::Rename(old, new, how) => model.rename(cwd, old, new, *how).map(|()| None),
            Op::Chdir(path) => {
                let node = model.find(cwd, path, true)?;
                if model.is_directory(node) { Ok(Some(node)) } else { Err(FileError::NotDirectory) }
            }
            Op::Find(path, follow) => model.find(cwd, path, *follow).map(Some),
            Op::Hold(path) => model.find(cwd, path, false).map(Some),
            Op::Release(_) => Ok(None),
        }
    }

    fn holds(&self) -> BTreeMap<InodeId, u64> {
        let mut holds = BTreeMap::new();
        for (inode, _) in self.held.iter().chain([&self.cwd]) {
            *holds.entry(*inode).or_default() += 1;
        }
        holds
    }

    /// Compares everything that has a name, and everything that is held.
    fn compare(&self) {
        self.tree.check(&self.holds());
        let mut same = BTreeMap::new();
        let mut todo = vec![(self.tree.root(), naive::ROOT, "/".to_string())];
        while let Some((inode, node, path)) = todo.pop() {
            assert_eq!(*same.entry(inode).or_insert(node), node, "two inodes in one model node at {path}");
            self.compare_node(inode, node);
            let Node::Directory { entries, .. } = &self.model.nodes[node] else { continue };
            assert_eq!(self.tree.path_of(inode).unwrap().shown().concat(), path.as_bytes());
            let mut listed = BTreeMap::new();
            let mut cookie = 2;
            while let Some(entry) = self.tree.next_entry(inode, cookie).unwrap() {
                let name = String::from_utf8(entry.name.to_vec()).unwrap();
                assert!(listed.insert(name, entry.inode).is_none(), "listed twice");
                cookie = entry.next;
            }
            assert!(listed.keys().eq(entries.keys()), "{path}: {listed:?} {entries:?}");
            for (name, &child) in entries {
                todo.push((listed[name], child, format!("{}/{name}", path.trim_end_matches('/'))));
            }
        }
        for &(inode, node) in self.held.iter().chain([&self.cwd]) {
            self.compare_node(inode, node);
            assert_eq!(self.tree.path_of(inode).unwrap().deleted, self.model.links(node) == 0);
        }
    }

    fn compare_node(&self, inode: InodeId, node: usize) {
        let stat = self.tree.stat(inode).unwrap();
        assert_eq!(stat.links as usize, self.model.links(node));
        match &self.model.nodes[node] {
            Node::Directory { entries, parent } => {
                assert_eq!((stat.kind, stat.size), (Kind::Directory, 20 * (entries.len() as u64 + 2)));
                let above = self.tree.stat(self.tree.parent(inode).unwrap()).unwrap();
                assert_eq!(above.links as usize, self.model.links(*parent));
            }
            Node::File(contents) => {
                assert_eq!(stat.kind, Kind::Regular);
                assert_eq!(self.tree.get(inode), *contents);
            }
            Node::Link(target) => assert_eq!(self.tree.read_link(inode).unwrap(), target.as_bytes()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_is_what_the_naive_model_is(ops in prop::collection::vec(op(), 1..120)) {
        let pages = LIVE.get();
        let mut tree: TestTree = Tree::new(LIMITS, 0o755, NOW).unwrap();
        let root = tree.root();
        tree.hold(root).unwrap();
        let mut both = Both { tree, model: Model::new(), cwd: (root, naive::ROOT), held: Vec::new() };
        for op in &ops {
            let (tree, model) = both.run(op);
            prop_assert_eq!(tree, model, "{:?}", op);
            both.compare();
        }
        drop(both);
        prop_assert_eq!(LIVE.get(), pages);
    }
}
