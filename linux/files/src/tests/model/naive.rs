//! The naive model of a tree.

use std::collections::{BTreeMap, BTreeSet};

use crate::{FileError, Rename, Result};

pub(super) const ROOT: usize = 0;

pub(super) enum Node {
    Directory { entries: BTreeMap<String, usize>, parent: usize },
    File(Vec<u8>),
    Link(String),
}

impl Node {
    pub(super) fn directory(parent: usize) -> Self {
        Node::Directory { entries: BTreeMap::new(), parent }
    }
}

pub(super) struct Model {
    pub(super) nodes: Vec<Node>,
}

enum Spot {
    Found(usize),
    Missing(usize, String),
}

/// A last component.
struct LastName {
    directory: usize,
    name: String,
    slash: bool,
}

impl Model {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::directory(ROOT)] }
    }

    pub(super) fn is_directory(&self, node: usize) -> bool {
        matches!(self.nodes[node], Node::Directory { .. })
    }

    fn entries(&mut self, node: usize) -> &mut BTreeMap<String, usize> {
        match &mut self.nodes[node] {
            Node::Directory { entries, .. } => entries,
            _ => unreachable!(),
        }
    }

    fn reachable(&self) -> BTreeSet<usize> {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![ROOT]);
        while let Some(node) = todo.pop() {
            if seen.insert(node)
                && let Node::Directory { entries, .. } = &self.nodes[node]
            {
                todo.extend(entries.values());
            }
        }
        seen
    }

    pub(super) fn links(&self, node: usize) -> usize {
        let reachable = self.reachable();
        if let Node::Directory { entries, .. } = &self.nodes[node] {
            let directories = entries.values().filter(|&&child| self.is_directory(child)).count();
            return if reachable.contains(&node) { directories + 2 } else { 0 };
        }
        let names = reachable.iter().map(|&directory| match &self.nodes[directory] {
            Node::Directory { entries, .. } => entries.values().filter(|&&child| child == node).count(),
            _ => 0,
        });
        names.sum()
    }

    fn child(&self, directory: usize, name: &str) -> Result<Option<usize>> {
        match &self.nodes[directory] {
            Node::Directory { .. } if !self.reachable().contains(&directory) => Err(FileError::NotFound),
            Node::Directory { entries, .. } => Ok(entries.get(name).copied()),
            _ => Err(FileError::NotDirectory),
        }
    }

    fn resolve(&self, from: usize, path: &str, follow: bool, create: bool, links: &mut u32) -> Result<Spot> {
        if path.is_empty() {
            return Err(FileError::NotFound);
        }
        let mut at = if path.starts_with('/') { ROOT } else { from };
        let components: Vec<_> = path.split('/').filter(|component| !component.is_empty()).collect();
        let slash = path.ends_with('/');
        for (number, &name) in components.iter().enumerate() {
            let last = number + 1 == components.len();
            let Node::Directory { parent, .. } = &self.nodes[at] else { return Err(FileError::NotDirectory) };
            match name {
                "." => continue,
                ".." => {
                    at = *parent;
                    continue;
                }
                _ => {}
            }
            let child = self.child(at, name)?;
            if last && slash && create {
                return Err(FileError::IsDirectory);
            }
            match child {
                None if last => return Ok(Spot::Missing(at, name.to_string())),
                None => return Err(FileError::NotFound),
                Some(child) => match &self.nodes[child] {
                    Node::Link(target) if !last || follow || slash => {
                        *links += 1;
                        if *links > 40 {
                            return Err(FileError::Loop);
                        }
                        let tail = if last && slash { "/" } else { "" };
                        let target = format!("{target}{tail}");
                        match self.resolve(at, &target, !last || follow, create && last, links)? {
                            Spot::Found(node) => at = node,
                            missing if last => return Ok(missing),
                            Spot::Missing(..) => return Err(FileError::NotFound),
                        }
                    }
                    _ => at = child,
                },
            }
        }
        if slash && !self.is_directory(at) { Err(FileError::NotDirectory) } else { Ok(Spot::Found(at)) }
    }

    pub(super) fn find(&self, from: usize, path: &str, follow: bool) -> Result<usize> {
        match self.resolve(from, path, follow, false, &mut 0)? {
            Spot::Found(node) => Ok(node),
            Spot::Missing(..) => Err(FileError::NotFound),
        }
    }

    /// The directory of the last component. `special` is for "/", "." and "..".
    fn parent(&self, from: usize, path: &str) -> Result<(usize, String, bool)> {
        if path.is_empty() {
            return Err(FileError::NotFound);
        }
        let whole = path.trim_end_matches('/');
        let (above, name) = whole.rsplit_once('/').unwrap_or(("", whole));
        let directory = match (above, path.starts_with('/')) {
            ("", true) => ROOT,
            ("", false) => from,
            _ => self.find(from, above, true)?,
        };
        if !self.is_directory(directory) {
            return Err(FileError::NotDirectory);
        }
        Ok((directory, name.to_string(), path.len() > whole.len()))
    }

    fn last(&self, from: usize, path: &str, special: impl Fn(&str) -> FileError) -> Result<LastName> {
        let (directory, name, slash) = self.parent(from, path)?;
        match name.as_str() {
            "" | "." | ".." => Err(special(&name)),
            _ => Ok(LastName { directory, name, slash }),
        }
    }

    pub(super) fn add(
        &mut self,
        from: usize,
        path: &str,
        directory: bool,
        node: impl Fn(usize) -> Node,
    ) -> Result<usize> {
        let last = self.last(from, path, |_| FileError::Exists)?;
        if self.child(last.directory, &last.name)?.is_some() {
            return Err(FileError::Exists);
        }
        if last.slash && !directory {
            return Err(FileError::NotFound);
        }
        Ok(self.put(last.directory, last.name, node(last.directory)))
    }

    fn put(&mut self, directory: usize, name: String, node: Node) -> usize {
        self.nodes.push(node);
        let number = self.nodes.len() - 1;
        self.entries(directory).insert(name, number);
        number
    }

    #[expect(clippy::too_many_arguments, reason = "the flags of open(2)")]
    pub(super) fn open(
        &mut self,
        from: usize,
        path: &str,
        create: bool,
        exclusive: bool,
        truncate: bool,
        keep: bool,
        write: bool,
    ) -> Result<usize> {
        let follow = !(keep || create && exclusive);
        let node = match self.resolve(from, path, follow, create, &mut 0)? {
            Spot::Missing(directory, name) if create => {
                return Ok(self.put(directory, name, Node::File(Vec::new())));
            }
            Spot::Missing(..) => return Err(FileError::NotFound),
            Spot::Found(_) if create && exclusive => return Err(FileError::Exists),
            Spot::Found(node) => node,
        };
        match &mut self.nodes[node] {
            Node::Directory { .. } if create || write || truncate => Err(FileError::IsDirectory),
            Node::Link(_) => Err(FileError::Loop),
            Node::File(contents) => {
                if truncate {
                    contents.clear();
                }
                Ok(node)
            }
            Node::Directory { .. } => Ok(node),
        }
    }

    pub(super) fn rmdir(&mut self, from: usize, path: &str) -> Result<()> {
        let last = self.last(from, path, |name| match name {
            "" => FileError::Busy,
            "." => FileError::Invalid,
            _ => FileError::NotEmpty,
        })?;
        let node = self.child(last.directory, &last.name)?.ok_or(FileError::NotFound)?;
        match &self.nodes[node] {
            Node::Directory { entries, .. } if entries.is_empty() => {}
            Node::Directory { .. } => return Err(FileError::NotEmpty),
            _ => return Err(FileError::NotDirectory),
        }
        self.entries(last.directory).remove(&last.name);
        Ok(())
    }

    pub(super) fn unlink(&mut self, from: usize, path: &str) -> Result<()> {
        let last = self.last(from, path, |_| FileError::IsDirectory)?;
        let node = self.child(last.directory, &last.name)?.ok_or(FileError::NotFound)?;
        match self.is_directory(node) {
            true => return Err(FileError::IsDirectory),
            false if last.slash => return Err(FileError::NotDirectory),
            false => {}
        }
        self.entries(last.directory).remove(&last.name);
        Ok(())
    }

    pub(super) fn link(&mut self, from: usize, old: &str, new: &str) -> Result<()> {
        let node = self.find(from, old, false)?;
        let last = self.last(from, new, |_| FileError::Exists)?;
        if self.child(last.directory, &last.name)?.is_some() {
            return Err(FileError::Exists);
        }
        if last.slash {
            return Err(FileError::NotFound);
        }
        if self.is_directory(node) {
            return Err(FileError::NotPermitted);
        }
        self.entries(last.directory).insert(last.name, node);
        Ok(())
    }

    /// Whether `node` is `above` or lies below it.
    fn is_below(&self, node: usize, above: usize) -> bool {
        node == above
            || match &self.nodes[above] {
                Node::Directory { entries, .. } => entries.values().any(|&child| self.is_below(node, child)),
                _ => false,
            }
    }

    pub(super) fn rename(&mut self, from: usize, old: &str, new: &str, how: Rename) -> Result<()> {
        // Both directories are found before either last component is looked at.
        self.parent(from, old)?;
        self.parent(from, new)?;
        let old = self.last(from, old, |_| FileError::Busy)?;
        let special = if how == Rename::NoReplace { FileError::Exists } else { FileError::Busy };
        let new = self.last(from, new, |_| special)?;
        let source = self.child(old.directory, &old.name)?.ok_or(FileError::NotFound)?;
        let target = self.child(new.directory, &new.name)?;
        let exchange = how == Rename::Exchange;
        let target_directory = target.is_some_and(|target| self.is_directory(target));
        if how == Rename::NoReplace && target.is_some() {
            return Err(FileError::Exists);
        }
        if exchange && target.is_none() {
            return Err(FileError::NotFound);
        }
        if exchange && new.slash && !target_directory {
            return Err(FileError::NotDirectory);
        }
        let source_directory = self.is_directory(source);
        if !source_directory && (old.slash || (!exchange && new.slash)) {
            return Err(FileError::NotDirectory);
        }
        if self.is_below(new.directory, source) {
            return Err(FileError::Invalid);
        }
        if let Some(target) = target {
            if self.is_below(old.directory, target) {
                return Err(if exchange { FileError::Invalid } else { FileError::NotEmpty });
            }
            if target == source {
                return Ok(());
            }
            if !exchange {
                match &self.nodes[target] {
                    Node::Directory { .. } if !source_directory => return Err(FileError::IsDirectory),
                    Node::Directory { entries, .. } if !entries.is_empty() => {
                        return Err(FileError::NotEmpty);
                    }
                    Node::Directory { .. } => {}
                    _ if source_directory => return Err(FileError::NotDirectory),
                    _ => {}
                }
            }
        }
        self.entries(old.directory).remove(&old.name);
        self.entries(new.directory).insert(new.name.clone(), source);
        self.set_parent(source, new.directory);
        if let Some(target) = target.filter(|_| exchange) {
            self.entries(old.directory).insert(old.name, target);
            self.set_parent(target, old.directory);
        }
        Ok(())
    }

    fn set_parent(&mut self, node: usize, to: usize) {
        if let Node::Directory { parent, .. } = &mut self.nodes[node] {
            *parent = to;
        }
    }
}
