//! Tests with archives made here.

mod archives;
mod damage;
mod errors;
mod parts;

use std::string::String;
use std::vec::Vec;

use super::{Archive, Entry, Flaw, RamdiskError};

const FILE: u32 = 0o100_644;
const DIRECTORY: u32 = 0o040_755;
const SYMLINK: u32 = 0o120_777;
const CHARACTER: u32 = 0o020_600;

/// Writes archives.
#[derive(Clone, Default)]
struct Writer {
    bytes: Vec<u8>,
    /// Write the format with sums.
    with_sum: bool,
}

/// What the writer writes for an entry, apart from the path and the data.
#[derive(Clone, Copy)]
struct Numbers {
    ino: u32,
    mode: u32,
    nlink: u32,
    rdev: (u32, u32),
}

impl Writer {
    fn add(mut self, path: &str, mode: u32, data: &[u8]) -> Self {
        self.add_numbers(path, Numbers { ino: 1, mode, nlink: 1, rdev: (0, 0) }, data);
        self
    }

    fn link(mut self, path: &str, ino: u32, mode: u32, data: &[u8]) -> Self {
        self.add_numbers(path, Numbers { ino, mode, nlink: 2, rdev: (0, 0) }, data);
        self
    }

    fn add_numbers(&mut self, path: &str, numbers: Numbers, data: &[u8]) {
        let Numbers { ino, mode, nlink, rdev } = numbers;
        let sum = if self.with_sum { data.iter().map(|&byte| u32::from(byte)).sum() } else { 0 };
        let magic = if self.with_sum { "070702" } else { "070701" };
        let mut header = String::from(magic);
        for number in [
            ino,
            mode,
            1000,
            1001,
            nlink,
            1_700_000_000,
            data.len() as u32,
            8,
            1,
            rdev.0,
            rdev.1,
            path.len() as u32 + 1,
            sum,
        ] {
            header += &format!("{number:08X}");
        }
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(data);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn trailer(self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, b"").bytes
    }
}

fn all(bytes: &[u8]) -> Vec<Entry<'_>> {
    Archive::new(bytes).map(|entry| entry.unwrap()).collect()
}

fn paths(bytes: &[u8]) -> Vec<&str> {
    all(bytes).iter().map(|entry| str::from_utf8(entry.path).unwrap()).collect()
}

/// The error that ends the archive.
fn error(bytes: &[u8]) -> RamdiskError {
    let mut archive = Archive::new(bytes);
    let error = archive.find_map(Result::err).unwrap();
    assert_eq!(archive.next(), None, "nothing after an error");
    error
}

fn flaw(bytes: &[u8]) -> Flaw {
    error(bytes).flaw
}
