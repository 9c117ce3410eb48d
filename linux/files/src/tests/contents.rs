//! Contents of files against a vector of bytes, and what limits and mappings do to them.

use proptest::prelude::*;

use super::{Calls, LEFT, LIMITS, NOW, ROOT, TestTree, tree};
use crate::{Caller, FileError, InodeId, Limits, PAGE_SIZE, Page, Result, Tree};

const PAGES: u64 = 20;
const PAGE: u64 = PAGE_SIZE as u64;

#[derive(Clone, Debug)]
enum Op {
    Write(u64, Vec<u8>),
    Append(Vec<u8>),
    Truncate(u64),
    Read(u64, usize),
    Allocate(u64, u64),
    /// What a program does with a mapping of a page: it can also write behind the end of the file.
    Map(u64, usize, Vec<u8>),
    Seek(u64),
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    (0..9000usize, 1..=255u8)
        .prop_map(|(length, first)| (0..length).map(|at| first.wrapping_add(at as u8)).collect())
}

/// Offsets around the ends of pages, and any others; pages 62 to 66 are in two groups of the index.
fn offset() -> impl Strategy<Value = u64> {
    let page = prop_oneof![0..4u64, 62..67u64];
    (page, prop_oneof![Just(0), Just(1), Just(PAGE - 1), 0..PAGE])
        .prop_map(|(page, within)| page * PAGE + within)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (offset(), bytes()).prop_map(|(offset, bytes)| Op::Write(offset, bytes)),
        1 => bytes().prop_map(Op::Append),
        2 => offset().prop_map(Op::Truncate),
        2 => (offset(), 0..20_000usize).prop_map(|(offset, length)| Op::Read(offset, length)),
        1 => (offset(), 0..20_000u64).prop_map(|(offset, length)| Op::Allocate(offset, length)),
        2 => (0..67u64, 0..PAGE_SIZE, bytes()).prop_map(|(index, within, bytes)| Op::Map(index, within, bytes)),
        2 => offset().prop_map(Op::Seek),
    ]
}

/// A file as a vector of bytes, and which of its pages are no holes.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    filled: std::collections::BTreeSet<u64>,
}

impl Model {
    /// Fills pages as far as the limit allows. Returns the first page that could not be filled.
    fn fill(&mut self, first: u64, end: u64) -> Option<u64> {
        (first..end).find(|&index| {
            let full = self.filled.len() as u64 >= PAGES && !self.filled.contains(&index);
            if !full {
                self.filled.insert(index);
            }
            full
        })
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<usize> {
        if from.is_empty() {
            return Ok(0);
        }
        let end = offset + from.len() as u64;
        let end = self.fill(offset / PAGE, end.div_ceil(PAGE)).map_or(end, |full| end.min(full * PAGE));
        if end <= offset {
            return Err(FileError::NoSpace);
        }
        let (from, offset) = (&from[..(end - offset) as usize], offset as usize);
        self.bytes.resize(self.bytes.len().max(end as usize), 0);
        self.bytes[offset..end as usize].copy_from_slice(from);
        Ok(from.len())
    }

    fn truncate(&mut self, size: u64) {
        self.bytes.resize(size as usize, 0);
        self.filled.retain(|&index| index < size.div_ceil(PAGE));
    }

    fn allocate(&mut self, offset: u64, length: u64) -> Result<()> {
        let end = offset + length;
        if length == 0 {
            return Err(FileError::Invalid);
        }
        let before = self.filled.clone();
        if self.fill(offset / PAGE, end.div_ceil(PAGE)).is_some() {
            self.filled = before;
            return Err(FileError::NoSpace);
        }
        self.bytes.resize(self.bytes.len().max(end as usize), 0);
        Ok(())
    }

    /// SEEK_DATA or SEEK_HOLE: the first offset in a page that is filled, or not.
    fn seek(&self, offset: u64, data: bool) -> Result<u64> {
        let size = self.bytes.len() as u64;
        if offset >= size {
            return Err(FileError::NoSuchAddress);
        }
        match (offset..size).find(|at| self.filled.contains(&(at / PAGE)) == data) {
            None if data => Err(FileError::NoSuchAddress),
            None => Ok(size),
            Some(at) => Ok(at),
        }
    }
}

fn small() -> TestTree {
    Tree::new(Limits { pages: PAGES, ..LIMITS }, 0o755, NOW).unwrap()
}

fn run(tree: &mut TestTree, inode: InodeId, model: &mut Model, op: &Op) {
    match op {
        Op::Write(offset, bytes) => {
            assert_eq!(tree.write(inode, *offset, bytes, &ROOT), model.write(*offset, bytes));
        }
        Op::Append(bytes) => {
            let size = model.bytes.len() as u64;
            let expected = model.write(size, bytes).map(|count| (size, count));
            assert_eq!(tree.append(inode, bytes, &ROOT), expected);
        }
        Op::Truncate(size) => {
            assert_eq!(tree.truncate(inode, *size, &ROOT), Ok(()));
            model.truncate(*size);
        }
        Op::Read(offset, length) => {
            let mut read = vec![0xee; *length];
            let count = tree.read(inode, *offset, &mut read).unwrap();
            let from = (*offset as usize).min(model.bytes.len());
            let expected = &model.bytes[from..(from + length).min(model.bytes.len())];
            assert_eq!(&read[..count], expected);
            assert!(read[count..].iter().all(|&byte| byte == 0xee), "written behind the end");
        }
        Op::Allocate(offset, length) => {
            assert_eq!(tree.allocate(inode, *offset, *length, &ROOT), model.allocate(*offset, *length));
        }
        Op::Map(index, within, bytes) => {
            let exists = index * PAGE < model.bytes.len() as u64;
            let hole = !model.filled.contains(index);
            let page = tree.page(inode, *index, false);
            match page {
                Err(error) => assert_eq!((error, exists), (FileError::NoSuchAddress, false)),
                Ok(None) => assert!(exists && hole),
                Ok(Some(page)) => {
                    assert!(exists && !hole);
                    let part = &bytes[..bytes.len().min(PAGE_SIZE - within)];
                    page.write(*within, part);
                    for (at, &byte) in part.iter().enumerate() {
                        if let Some(place) = model.bytes.get_mut(*index as usize * PAGE_SIZE + within + at) {
                            *place = byte;
                        }
                    }
                }
            }
        }
        Op::Seek(offset) => {
            assert_eq!(tree.seek_data(inode, *offset), model.seek(*offset, true));
            assert_eq!(tree.seek_hole(inode, *offset), model.seek(*offset, false));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_file_is_a_vector_of_bytes(ops in prop::collection::vec(op(), 1..40)) {
        let (mut tree, mut model) = (small(), Model::default());
        let inode = tree.put("file", b"");
        for op in &ops {
            run(&mut tree, inode, &mut model, op);
            let stat = tree.stat(inode).unwrap();
            prop_assert_eq!((stat.size, stat.blocks), (model.bytes.len() as u64, model.filled.len() as u64 * 8));
            tree.check_unheld();
        }
        prop_assert!(tree.get(inode) == model.bytes);
    }
}

#[test]
fn sizes_have_limits() {
    let mut tree: TestTree = Tree::new(Limits { file_size: 10_000, ..LIMITS }, 0o755, NOW).unwrap();
    let inode = tree.put("file", b"");
    let limited = Caller { file_size: 5000, ..ROOT };
    assert_eq!(tree.write(inode, 4990, &[1; 100], &limited), Ok(10), "as much as fits");
    assert_eq!(tree.write(inode, 5000, &[1], &limited), Err(FileError::FileLimit));
    assert_eq!(tree.write(inode, 5000, &[], &limited), Ok(0));
    assert_eq!(tree.append(inode, &[1], &limited), Err(FileError::FileLimit));
    assert_eq!(tree.truncate(inode, 5001, &limited), Err(FileError::FileLimit));
    assert_eq!(tree.allocate(inode, 0, 5001, &limited), Err(FileError::FileLimit));
    assert_eq!(tree.write(inode, 9990, &[1; 100], &ROOT), Ok(10));
    assert_eq!(tree.write(inode, 10_000, &[1], &ROOT), Err(FileError::TooBig));
    assert_eq!(tree.truncate(inode, 10_001, &ROOT), Err(FileError::TooBig));
    assert_eq!(tree.allocate(inode, 10_000, 1, &ROOT), Err(FileError::TooBig));
    // What is larger already may stay as it is and shrink.
    assert_eq!(tree.truncate(inode, 6000, &limited), Ok(()));
    assert_eq!(tree.allocate(inode, 0, 6000, &limited), Ok(()));
}

#[test]
fn offsets_at_the_end_of_the_numbers_do_no_harm() {
    let mut tree = tree();
    let inode = tree.put("file", b"x");
    let largest = i64::MAX as u64;
    assert_eq!(tree.read(inode, u64::MAX, &mut [0; 10]), Ok(0));
    assert_eq!(tree.write(inode, u64::MAX, &[1; 10], &ROOT), Err(FileError::FileLimit));
    assert_eq!(tree.write(inode, u64::MAX - 1, &[1; 10], &ROOT), Err(FileError::TooBig));
    assert_eq!(tree.allocate(inode, u64::MAX, 10, &ROOT), Err(FileError::TooBig));
    assert_eq!(tree.allocate(inode, 0, largest, &ROOT), Err(FileError::NoSpace));
    assert_eq!(tree.write(inode, largest - 1, &[7; 10], &ROOT), Ok(1));
    assert_eq!(tree.stat(inode).unwrap().size, largest);
    assert_eq!(tree.seek_data(inode, PAGE), Ok(largest / PAGE * PAGE));
    assert_eq!(tree.seek_hole(inode, largest - 1), Ok(largest));
    assert!(matches!(tree.page(inode, u64::MAX, true), Err(FileError::NoSuchAddress)));
    let mut last = [0; 10];
    assert_eq!((tree.read(inode, largest - 2, &mut last), &last[..2]), (Ok(2), &[0, 7][..]));
    tree.truncate(inode, 0, &ROOT).unwrap();
    tree.check_unheld();
}

#[test]
fn pages_are_shared_with_mappings() {
    let mut tree = tree();
    let inode = tree.put("file", b"");
    tree.truncate(inode, 10_000, &ROOT).unwrap();
    assert!(tree.page(inode, 1, false).unwrap().is_none(), "a hole");
    tree.page(inode, 1, true).unwrap().unwrap().write(0, b"mapped");
    let mut read = [0; 6];
    tree.read(inode, PAGE, &mut read).unwrap();
    assert_eq!(&read, b"mapped");
    let again = tree.page(inode, 1, false).unwrap().unwrap();
    tree.write(inode, PAGE, b"MAP", &ROOT).unwrap();
    again.read(0, &mut read);
    assert_eq!(&read, b"MAPped");
    assert!(matches!(tree.page(inode, 3, true), Err(FileError::NoSuchAddress)));
}

#[test]
fn out_of_pages_is_an_error_and_changes_nothing() {
    let mut tree = tree();
    let inode = tree.put("file", b"abc");
    LEFT.set(2);
    assert_eq!(tree.allocate(inode, PAGE, 10 * PAGE, &ROOT), Err(FileError::NoMemory));
    tree.check_unheld();
    assert_eq!((tree.get(inode), tree.stat(inode).unwrap().blocks), (b"abc".to_vec(), 8));
    LEFT.set(1);
    assert_eq!(tree.write(inode, PAGE, &[1; 2 * PAGE_SIZE], &ROOT), Ok(PAGE_SIZE));
    assert_eq!(tree.append(inode, &[1], &ROOT), Err(FileError::NoMemory));
    assert!(matches!(tree.page(inode, 5, true), Err(FileError::NoSuchAddress)));
    LEFT.set(usize::MAX);
    assert_eq!(tree.stat(inode).unwrap().size, 2 * PAGE);
}
