//! From a path to a file, through the tree and what is mounted there.
//!
//! The tree's lock is held while a walk is in the tree, and not while it is in a mounted tree, which asks processes for what it has.

use super::node::{Found, Mount, Mounted, Target};
use super::pipe::Pipe;
use super::{FileObject, Files, Start, now, tree};
use crate::errno::Errno;
use alloc::sync::Arc;
use files::{Caller, Component, InodeId, Last, LastLink, Parent, Resolved, Walk};

/// What a walk is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// A file that exists.
    File,
    /// The directory that has, or gets, the last component.
    Parent,
}

/// How far a walk has come in the tree.
pub(super) enum Step<R> {
    Done(R),
    Mount(Mount, Arc<FileObject>),
}

impl<R> Step<R> {
    /// The walk has come to a mount point, which is held from here on.
    pub(super) fn into_mount(tree: &mut Files, which: Mount, point: InodeId) -> Result<Self, Errno> {
        tree.hold(point)?;
        Ok(Self::Mount(which, FileObject::of_held(point)))
    }
}

/// Where a walk has ended.
pub(super) enum End<R> {
    Tree(R),
    Node(Mounted),
    Pipe(Arc<Pipe>),
}

/// Where a walk goes on that was in a mounted tree.
enum Next {
    /// Nowhere: this is the end.
    Here(Mounted),
    /// In the tree, from an inode that is held, or from the root.
    Tree(Option<Arc<FileObject>>),
    Pipe(Arc<Pipe>),
}

/// Walks to the end of a path. `in_tree` goes as far as it can in the tree, whose lock it is given. Thread context; may sleep.
pub(super) fn through<R>(
    walk: &mut Walk,
    start: &Start,
    goal: Goal,
    mut in_tree: impl FnMut(&mut Files, &mut Walk) -> Result<Step<R>, Errno>,
) -> Result<End<R>, Errno> {
    let mut at = if walk.is_absolute() { None } else { start.mounted() };
    // What a walk has jumped to exists until the walk has left it.
    let mut _held = None;
    loop {
        let node = match at.take() {
            Some(node) => node,
            None => {
                let step = in_tree(&mut tree(), walk)?;
                match step {
                    Step::Done(result) => return Ok(End::Tree(result)),
                    Step::Mount(which, point) => Mounted::root(point, which),
                }
            }
        };
        match in_mount(node, walk, goal)? {
            Next::Here(node) => return Ok(End::Node(node)),
            Next::Tree(object) => _held = object,
            Next::Pipe(pipe) => return Ok(End::Pipe(pipe)),
        }
    }
}

fn in_mount(mut at: Mounted, walk: &mut Walk, goal: Goal) -> Result<Next, Errno> {
    loop {
        let directory = at.is_directory();
        if goal == Goal::Parent && walk.is_last() && directory {
            return Ok(Next::Here(at));
        }
        if walk.is_done() && (directory || !walk.slash()) {
            return Ok(Next::Here(at));
        }
        if !directory {
            return Err(Errno::ENOTDIR);
        }
        let next = match walk.take()? {
            None | Some(Component::Dot) => continue,
            Some(Component::DotDot) => {
                let Some(parent) = at.node.parent() else { return leave(&at, walk) };
                at = at.with(parent);
                continue;
            }
            Some(Component::Name(name)) => at.with(at.node.child(name)?),
        };
        if !next.is_link() || !walk.follows() {
            at = next;
            continue;
        }
        match next.node.follow()? {
            Target::Path(path) => {
                walk.enter_link(&path)?;
                if walk.is_absolute() {
                    return Ok(Next::Tree(None));
                }
            }
            Target::File(Found::Object(object)) => {
                walk.enter_magic_link(object.inode())?;
                return Ok(Next::Tree(Some(object)));
            }
            Target::File(Found::Node(node)) => {
                walk.enter_magic_link(node.point.inode())?;
                at = node;
            }
            Target::File(Found::Pipe(pipe)) if walk.is_done() && !walk.slash() => {
                return Ok(Next::Pipe(pipe));
            }
            Target::File(Found::Pipe(_) | Found::Nameless) => return Err(Errno::ENOTDIR),
        }
    }
}

/// Leaves a mounted tree by ".." at its root.
fn leave(root: &Mounted, walk: &mut Walk) -> Result<Next, Errno> {
    let mut tree = tree();
    let above = tree.parent(root.point.inode())?;
    tree.hold(above)?;
    walk.jump(above);
    Ok(Next::Tree(Some(FileObject::of_held(above))))
}

/// Finds what a path leads to. Thread context; may sleep.
///
/// # Errors
/// As [`files::Tree::resolve`].
pub fn find(start: &Start, path: &[u8], last: LastLink) -> Result<Found, Errno> {
    let mut walk = Walk::new(start.inode(), path, last)?;
    let caller = Caller::root(now());
    let end = through(&mut walk, start, Goal::File, |tree, walk| match tree.resolve(walk, &caller)? {
        Resolved::Inode(inode) => {
            tree.hold(inode)?;
            Ok(Step::Done(FileObject::of_held(inode)))
        }
        Resolved::Mount { which, point } => Step::into_mount(tree, which, point),
    })?;
    Ok(match end {
        End::Tree(object) => Found::Object(object),
        End::Node(node) => Found::Node(node),
        End::Pipe(pipe) => Found::Pipe(pipe),
    })
}

/// Finds the directory of the tree in which the last component of a path is to be made, removed or renamed. The component is [`Walk::last`].
/// Nothing is made or removed in a mounted tree: `refused` is the error for a component that exists there. Thread context; may sleep.
///
/// # Errors
/// As [`files::Tree::resolve_parent`].
pub fn parent(start: &Start, path: &[u8], refused: Errno) -> Result<(Arc<FileObject>, Walk), Errno> {
    let mut walk = Walk::new(start.inode(), path, LastLink::Keep)?;
    let caller = Caller::root(now());
    let end =
        through(&mut walk, start, Goal::Parent, |tree, walk| match tree.resolve_parent(walk, &caller)? {
            Parent::Directory(directory) => {
                tree.hold(directory)?;
                Ok(Step::Done(FileObject::of_held(directory)))
            }
            // The mount point itself is the last component.
            Parent::Mount { which, point } => Step::into_mount(tree, which, point),
        })?;
    match end {
        End::Tree(directory) => Ok((directory, walk)),
        End::Node(node) => {
            if let Last::Name { name, .. } = walk.last()? {
                node.node.child(name)?;
            }
            Err(refused)
        }
        End::Pipe(_) => Err(Errno::ENOTDIR),
    }
}
