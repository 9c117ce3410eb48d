//! Boots whose device tree is missing or damaged. The kernel must print a clear message.
//!
//! QEMU's `-kernel` always passes a good tree. So these boots put the image into memory themselves, and a stub of a few
//! instructions branches to the image as a boot loader would, with the x0 that the case needs.

use super::boots::Kernel;
use super::judge;
use super::outcome::{Case, Outcome};
use crate::capture::capture;
use crate::qemu::{Machine, Start};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the image expects to be: 2 MiB into the RAM of `virt`, as QEMU itself would put it.
const IMAGE_AT: u64 = 0x4020_0000;
/// Where the stub is: behind QEMU's own device tree at the start of RAM, and before the image.
const STUB_AT: u64 = 0x4018_0000;
/// Where the device tree of a case is put: far behind the stub and the image.
const TREE_AT: u64 = 0x4800_0000;
/// How long a kernel may take to print its message.
const PATIENCE: Duration = Duration::from_secs(20);

/// The cases.
pub const CASES: [(&str, Tree); 3] =
    [("missing", Tree::Missing), ("garbage", Tree::Garbage), ("truncated", Tree::Truncated)];

/// What is wrong with the device tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// x0 is 0.
    Missing,
    /// x0 points to something else.
    Garbage,
    /// The tree of this very machine, cut in the middle of its structure.
    Truncated,
}

/// Boots one case.
pub fn boot(kernel: &Kernel, name: &str, tree: Tree) -> Outcome {
    let title = format!("device tree {name}");
    try_boot(kernel, &title, name, tree).unwrap_or_else(|error| Outcome::not_run(&title, "dtb", &error))
}

fn try_boot(kernel: &Kernel, title: &str, name: &str, tree: Tree) -> Result<Outcome> {
    let machine = Machine { smp: 1, ..Machine::default() };
    let directory = tempfile::tempdir()?;
    let write = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    };
    let address = if tree == Tree::Missing { 0 } else { TREE_AT };
    let stub = write("stub.bin", &stub(address))?;
    let bytes = match tree {
        Tree::Missing => None,
        Tree::Garbage => Some(garbage()),
        Tree::Truncated => Some(truncated(&machine, directory.path())?),
    };
    let tree = bytes.map(|bytes| write("tree.dtb", &bytes)).transpose()?;
    let mut files = vec![(kernel.image.as_path(), IMAGE_AT), (stub.as_path(), STUB_AT)];
    files.extend(tree.as_deref().map(|tree| (tree, TREE_AT)));
    let start = Start::Raw { files, entry: STUB_AT };
    let limit = Some(kernel.limit.map_or(PATIENCE, |limit| limit.min(PATIENCE)));
    // After the message the kernel may stop the machine or wait: the test accepts both.
    let boot = capture(&machine, &start, limit, |console| judge::device_tree_message(console).is_some())?;
    let verdict = judge::device_tree(boot.end, &boot.ending(), &boot.console);
    Ok(Outcome {
        name: title.into(),
        cases: vec![Case::new("dtb", name, verdict)],
        tail: boot.tail(&kernel.elf),
        replay: machine.shell_line(&start),
        wall: boot.wall,
    })
}

/// x0 = `tree`, x1 to x3 = 0 as the boot protocol asks for, branch to the image.
fn stub(tree: u64) -> Vec<u8> {
    let half = |value: u64, at: u32| ((value >> at) & 0xffff) as u32;
    // MOVZ Xd, #imm16 and MOVK Xd, #imm16, LSL #16.
    let movz = |register: u32, imm16: u32| 0xd280_0000 | imm16 << 5 | register;
    let movk = |register: u32, imm16: u32| 0xf2a0_0000 | imm16 << 5 | register;
    let br_x4 = 0xd61f_0080;
    let words = [
        movz(0, half(tree, 0)),
        movk(0, half(tree, 16)),
        movz(1, 0),
        movz(2, 0),
        movz(3, 0),
        movz(4, half(IMAGE_AT, 0)),
        movk(4, half(IMAGE_AT, 16)),
        br_x4,
    ];
    words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
}

fn garbage() -> Vec<u8> {
    // A fixed sequence of random numbers, so that a failure can be repeated.
    let mut state = 0x9e37_79b9_u32;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(&mut next).take(4096).collect()
}

/// QEMU's own tree, cut off. The header still has the old size.
fn truncated(machine: &Machine, directory: &Path) -> Result<Vec<u8>> {
    let file = directory.join("whole.dtb");
    let dump = machine.command(&Start::DumpDeviceTree(&file)).output().context("cannot start QEMU")?;
    if !dump.status.success() {
        bail!("QEMU writes no device tree: {}", String::from_utf8_lossy(&dump.stderr));
    }
    let mut tree = std::fs::read(&file)?;
    let end = cut(&tree).context("QEMU's device tree has no header")?;
    tree.truncate(end);
    Ok(tree)
}

/// The middle of the structure block (`off_dt_struct` and `size_dt_struct` of the header).
fn cut(tree: &[u8]) -> Option<usize> {
    let field = |at: usize| Some(u32::from_be_bytes(tree.get(at..at + 4)?.try_into().ok()?) as usize);
    (field(0)? == 0xd00d_feed).then_some(())?;
    Some((field(8)? + field(36)? / 2) & !3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stub_is_what_an_assembler_makes() {
        let words: Vec<_> =
            stub(TREE_AT).chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        // movz x0, #0; movk x0, #0x4800, lsl #16; movz x1..x3, #0; movz x4, #0; movk x4, #0x4020, lsl #16; br x4
        let expected = [
            0xd280_0000,
            0xf2a9_0000,
            0xd280_0001,
            0xd280_0002,
            0xd280_0003,
            0xd280_0004,
            0xf2a8_0404,
            0xd61f_0080,
        ];
        assert_eq!(words, expected);
    }

    #[test]
    fn the_cut_is_inside_the_structure() {
        let mut tree = vec![0; 40];
        tree[..4].copy_from_slice(&0xd00d_feed_u32.to_be_bytes());
        tree[8..12].copy_from_slice(&64u32.to_be_bytes());
        tree[36..40].copy_from_slice(&100u32.to_be_bytes());
        assert_eq!(cut(&tree), Some(112));
        assert_eq!(cut(&garbage()), None);
        assert_eq!(cut(&[]), None);
    }
}
