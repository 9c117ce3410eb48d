//! Each operation, with each of its allocations failing in turn: `NoMemory`, and the tree is as it was.
//!
//! An allocation that is not fallible ends the test program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use files::{
    Caller, FileError, InodeId, Last, LastLink, Limits, Open, PAGE_SIZE, Page, Pipe, PipeError, Rename,
    Result, Stat, Time, Tree, Unpacked, UnpackedBody, Walk, Write,
};

thread_local! {
    /// How many more allocations of this thread succeed.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Failing;

#[global_allocator]
static ALLOCATOR: Failing = Failing;

fn take_one() -> bool {
    let left = LEFT.get();
    LEFT.set(if left == usize::MAX { left } else { left.saturating_sub(1) });
    left > 0
}

// SAFETY: System's allocations and null pointers, both of which the contract of GlobalAlloc allows.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller of alloc guarantees what System needs.
        if take_one() { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: every pointer comes from System.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[derive(Clone)]
struct TestPage(Rc<RefCell<[u8; PAGE_SIZE]>>);

impl Page for TestPage {
    /// Counts as one allocation. The memory itself is the test's.
    fn zeroed() -> Option<Self> {
        if !take_one() {
            return None;
        }
        let left = LEFT.replace(usize::MAX);
        let page = Self(Rc::new(RefCell::new([0; PAGE_SIZE])));
        LEFT.set(left);
        Some(page)
    }

    fn read(&self, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.0.borrow()[offset..offset + to.len()]);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.0.borrow_mut()[offset..offset + from.len()].copy_from_slice(from);
    }
}

type TestTree = Tree<TestPage, ()>;

const ROOT: Caller = Caller::root(Time { sec: 2, nsec: 0 });
const LIMITS: Limits = Limits { pages: 100, inodes: 100, file_size: u64::MAX };

const fn name(name: &[u8]) -> Last<'_> {
    Last::Name { name, slash: false }
}

fn find(tree: &TestTree, path: &str) -> Result<InodeId> {
    match tree.resolve(&mut Walk::new(tree.root(), path.as_bytes(), LastLink::Follow)?, &ROOT)? {
        files::Resolved::Inode(inode) => Ok(inode),
        files::Resolved::Mount { .. } => unreachable!(),
    }
}

fn unpack(tree: &mut TestTree, path: &str, body: UnpackedBody) -> Result<()> {
    let time = Time { sec: 1, nsec: 0 };
    tree.unpack(&Unpacked { path: path.as_bytes(), mode: 0o755, uid: 0, gid: 0, time, body }).map(drop)
}

/// A tree with a bit of everything. Its vectors are full, so that most operations have to allocate.
fn tree() -> TestTree {
    let mut tree = Tree::new(LIMITS, 0o755, Time::default()).unwrap();
    unpack(&mut tree, "d/sub/deep", UnpackedBody::Regular(b"deep")).unwrap();
    unpack(&mut tree, "file", UnpackedBody::Regular(b"contents")).unwrap();
    unpack(&mut tree, "link", UnpackedBody::Symlink(b"d/sub/../sub/deep")).unwrap();
    unpack(&mut tree, "empty", UnpackedBody::Directory).unwrap();
    tree
}

/// Everything that a program can see of the tree.
fn shown(tree: &TestTree) -> Vec<(Vec<u8>, Stat, Vec<u8>)> {
    let mut shown = Vec::new();
    let mut todo = vec![tree.root()];
    while let Some(directory) = todo.pop() {
        let mut cookie = 2;
        while let Some(entry) = tree.next_entry(directory, cookie).unwrap() {
            cookie = entry.next;
            let stat = tree.stat(entry.inode).unwrap();
            let mut contents = vec![0; stat.size as usize];
            match entry.kind {
                files::Kind::Directory => todo.push(entry.inode),
                files::Kind::Regular => drop(tree.read(entry.inode, 0, &mut contents).unwrap()),
                _ => {}
            }
            shown.push((entry.name.to_vec(), stat, contents));
        }
    }
    shown
}

type Operation = (&'static str, fn(&mut TestTree) -> Result<()>);

const OPERATIONS: &[Operation] = &[
    ("resolve", |tree| find(tree, "link").map(drop)),
    ("open", |tree| {
        let how = Open { write: true, create: true, ..Open::default() };
        tree.open(&mut Walk::new(tree.root(), b"d/new", LastLink::Follow)?, &how, &ROOT).map(drop)
    }),
    ("mkdir", |tree| tree.mkdir(find(tree, "empty")?, name(b"new"), 0o755, &ROOT).map(drop)),
    ("symlink", |tree| tree.symlink(tree.root(), name(b"new"), b"target", &ROOT).map(drop)),
    ("link", |tree| tree.link(find(tree, "file")?, find(tree, "empty")?, name(b"new"), &ROOT)),
    ("rename", |tree| {
        let (from, to) = (tree.root(), find(tree, "empty")?);
        tree.rename((from, name(b"file")), (to, name(b"new")), Rename::Replace, &ROOT)
    }),
    ("rename within", |tree| {
        let root = tree.root();
        tree.rename((root, name(b"file")), (root, name(b"new")), Rename::Replace, &ROOT)
    }),
    ("rename over", |tree| {
        let (from, to) = (tree.root(), find(tree, "d/sub")?);
        tree.rename((from, name(b"file")), (to, name(b"deep")), Rename::Replace, &ROOT)
    }),
    ("exchange and path", |tree| {
        let root = tree.root();
        let path = tree.path_of(find(tree, "d/sub/deep")?)?;
        assert_eq!(path.path, b"/d/sub/deep");
        tree.rename((root, name(b"file")), (root, name(b"d")), Rename::Exchange, &ROOT)
    }),
    ("write", |tree| {
        let file = find(tree, "file")?;
        tree.write(file, 100 * PAGE_SIZE as u64, b"far away", &ROOT).map(drop)
    }),
    ("allocate", |tree| {
        let file = find(tree, "file")?;
        tree.allocate(file, 0, 90 * PAGE_SIZE as u64, &ROOT)
    }),
    ("unlink, held", |tree| {
        let (file, root) = (find(tree, "file")?, tree.root());
        tree.hold(file)?;
        tree.unlink(root, name(b"file"), &ROOT)?;
        tree.release(file)
    }),
    ("rmdir", |tree| tree.rmdir(tree.root(), name(b"empty"), &ROOT)),
];

#[test]
fn no_operation_is_half_done() {
    for &(what, operation) in OPERATIONS {
        for allocations in 0.. {
            let mut tree = tree();
            let before = (shown(&tree), tree.statfs());
            LEFT.set(allocations);
            let result = operation(&mut tree);
            LEFT.set(usize::MAX);
            match result {
                Err(FileError::NoMemory) => {
                    assert!((shown(&tree), tree.statfs()) == before, "{what} with {allocations} allocations");
                }
                Err(error) => panic!("{what} with {allocations} allocations: {error}"),
                Ok(()) => {
                    assert!(allocations > 0 || what == "rmdir", "{what} allocates nothing");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_tree_and_entries_of_archives_can_run_out_of_memory() {
    for allocations in 0.. {
        LEFT.set(allocations);
        let tree: Result<TestTree> = Tree::new(LIMITS, 0o755, Time::default()).and_then(|mut tree| {
            unpack(&mut tree, "a/b/file", UnpackedBody::Regular(b"contents"))?;
            unpack(&mut tree, "link", UnpackedBody::Symlink(b"a/b/file"))?;
            unpack(&mut tree, "c/hard", UnpackedBody::HardLink { of: b"a/b/file", contents: b"new" })?;
            unpack(&mut tree, "link", UnpackedBody::Directory)?;
            Ok(tree)
        });
        LEFT.set(usize::MAX);
        match tree {
            Err(error) => assert_eq!(error, FileError::NoMemory),
            Ok(_) => {
                assert!(allocations > 10);
                break;
            }
        }
    }
}

#[test]
fn a_pipe_can_run_out_of_memory() {
    let mut pipe = Pipe::new();
    pipe.add_reader();
    LEFT.set(0);
    let result = pipe.write(b"bytes");
    LEFT.set(usize::MAX);
    assert_eq!((result, pipe.len()), (Err(PipeError::NoMemory), 0));
    assert_eq!(pipe.write(b"bytes"), Ok(Write::Bytes(5)));
}
