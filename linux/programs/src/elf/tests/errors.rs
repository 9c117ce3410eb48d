//! Every malformed file is refused, with Linux's error number.

use linux_raw_sys::errno::{E2BIG, EFAULT, EINVAL, EIO, ELIBBAD, ENOEXEC, ENOMEM, EPERM};
use std::string::ToString;
use std::vec;

use super::file::{File, RW, RX, load, stack};
use super::{USER, plan, read};
use crate::elf::{ElfError, Flaw, Image, Role};
use crate::{ReadAt, ReadError};

/// Applies `change` to a dynamic program, and expects `flaw`, and these error numbers for a program and for an interpreter.
#[track_caller]
fn refused(change: impl FnOnce(&mut File), flaw: Flaw, program: u32, interpreter: u32) {
    let mut file = File::dynamic();
    change(&mut file);
    let bytes = file.bytes();
    for (role, errno) in [(Role::Program, program), (Role::Interpreter, interpreter)] {
        let result =
            Image::read(bytes.as_slice(), role).and_then(|image| image.plan(image.bias_at(0x10_0000), USER));
        let error = result.unwrap_err();
        assert_eq!(error, ElfError { role, flaw });
        assert_eq!(error.errno(), errno, "{error}");
    }
}

#[test]
fn other_files() {
    refused(|file| file.size = 63, Flaw::HeaderPastEnd, ENOEXEC, EIO);
    for (place, value) in [(0, 0x7e), (3, b'G'), (4, 1), (4, 3), (5, 2), (5, 0), (6, 0)] {
        refused(|file| file.ident[place] = value, Flaw::NotElf, ENOEXEC, ELIBBAD);
    }
    refused(|file| file.machine = 62, Flaw::WrongMachine(62), ENOEXEC, ELIBBAD);
    for kind in [0, 1, 4, 0xfe00] {
        refused(|file| file.kind = kind, Flaw::WrongType(kind), ENOEXEC, ELIBBAD);
    }
}

#[test]
fn program_headers() {
    for size in [0, 32, 55, 57] {
        refused(|file| file.phentsize = size, Flaw::HeaderSize(size), ENOEXEC, ELIBBAD);
    }
    for count in [0, 74, 0xffff] {
        refused(|file| file.phnum = Some(count), Flaw::HeaderCount(count), ENOEXEC, ELIBBAD);
    }
    for phoff in [0x4000, 0x4000 - 56, u64::MAX - 3, u64::MAX] {
        refused(|file| file.phoff = phoff, Flaw::HeadersPastEnd, ENOEXEC, ELIBBAD);
    }
    let mut most = File::fixed();
    most.headers.resize(73, stack(RW));
    assert_eq!(read(&most).unwrap().phnum(), 73);
}

#[test]
fn interpreters() {
    let change = |change: fn(&mut File), flaw: Flaw, errno| {
        let mut file = File::dynamic();
        change(&mut file);
        assert_eq!(read(&file), Err(flaw));
        assert_eq!(ElfError { role: Role::Program, flaw }.errno(), errno);
    };
    change(|file| file.headers[0].p_filesz = 0, Flaw::InterpreterLength(0), ENOEXEC);
    change(|file| file.headers[0].p_filesz = 1, Flaw::InterpreterLength(1), ENOEXEC);
    change(|file| file.headers[0].p_filesz = 4097, Flaw::InterpreterLength(4097), ENOEXEC);
    change(|file| file.headers[0].p_filesz -= 1, Flaw::InterpreterWithoutNul, ENOEXEC);
    change(|file| file.headers[0].p_offset = 0x4000 - 26, Flaw::InterpreterPastEnd, EIO);
    change(|file| file.headers[0].p_offset = u64::MAX, Flaw::InterpreterPastEnd, EIO);
}

#[test]
fn segments() {
    refused(|file| drop(file.headers.drain(1..3)), Flaw::NoSegments, EINVAL, EINVAL);
    refused(|file| file.headers[1].p_memsz -= 1, Flaw::FileLargerThanMemory(1), EINVAL, ENOMEM);
    refused(|file| file.headers[2].p_memsz = u64::MAX - 0x1_1fef, Flaw::SegmentOverflow(2), EINVAL, ENOMEM);
    refused(|file| file.headers[2].p_vaddr = u64::MAX - 0x2343, Flaw::SegmentOverflow(2), EINVAL, ENOMEM);
    refused(|file| file.headers[2].p_offset = u64::MAX - 0xf, Flaw::SegmentOverflow(2), EINVAL, ENOMEM);
    refused(|file| file.headers[2].p_offset = (1 << 63) - 0x10, Flaw::SegmentOverflow(2), EINVAL, ENOMEM);
    refused(|file| file.headers[2].p_offset += 1, Flaw::Misaligned(2), EINVAL, EINVAL);
    refused(|file| file.headers[2].p_offset += 0x800, Flaw::Misaligned(2), EINVAL, EINVAL);
    refused(|file| file.headers.swap(1, 2), Flaw::Order(2), EINVAL, EINVAL);
    refused(|file| file.headers[2] = file.headers[1], Flaw::Order(2), EINVAL, EINVAL);
    refused(|file| file.headers[2] = load(RW, 0x1233, 0x1233, 1, 1), Flaw::Order(2), EINVAL, EINVAL);
    // The file ends at 0x4000. Without a tail to zero, segments may go to its end and past it.
    let mut file = File::dynamic();
    for segment in [load(RW, 0x3000, 0x1_1000, 0x1000, 0x1001), load(RW, 0x3000, 0x1_1000, 0x1001, 0x1001)] {
        file.headers[2] = segment;
        assert!(read(&file).is_ok());
    }
    refused(|file| file.headers[2].p_offset = 0x3ff0, Flaw::ZeroTailPastEnd(2), EFAULT, EFAULT);
}

#[test]
fn addresses() {
    let mut file = File::fixed();
    file.headers = vec![load(RX, 0, 0xf000, 0x100, 0x100)];
    assert_eq!(plan(&file, 0), Err(Flaw::BelowUserRange(0xf000)));
    file.headers = vec![load(RX, 0, 0x1_0000, 0x100, 0x100)];
    assert!(plan(&file, 0).is_ok());
    file.headers = vec![load(RX, 0, USER.end - 0x1000, 0x1000, 0x1000)];
    assert!(plan(&file, 0).is_ok());
    file.headers = vec![load(RX, 0, USER.end - 0x1000, 0x1000, 0x1001)];
    assert_eq!(plan(&file, 0), Err(Flaw::AboveUserRange(USER.end - 0x1000)));
    file.headers = vec![load(RX, 0, u64::MAX - 0x1fff, 0x100, 0x1fff)];
    assert_eq!(plan(&file, 0), Err(Flaw::AboveUserRange(u64::MAX - 0x1fff)));

    let mut file = File::fixed();
    file.entry = USER.end;
    assert_eq!(plan(&file, 0), Err(Flaw::EntryOutsideUserRange(USER.end)));
    file.entry = USER.end - 4;
    assert!(plan(&file, 0).is_ok());
}

#[test]
fn load_biases() {
    assert_eq!(plan(&File::fixed(), 0x1_0000), Err(Flaw::Bias(0x1_0000)));
    assert_eq!(plan(&File::dynamic(), 0x1_0800), Err(Flaw::Bias(0x1_0800)));
    assert_eq!(plan(&File::dynamic(), 0), Err(Flaw::BelowUserRange(0)));
    let highest = USER.end - 0x1_5000;
    assert!(plan(&File::dynamic(), highest).is_ok());
    assert_eq!(
        plan(&File::dynamic(), highest + 0x1000),
        Err(Flaw::AboveUserRange(highest + 0x1000 + 0x1_1ff0))
    );
    assert_eq!(plan(&File::dynamic(), u64::MAX - 0xfff), Err(Flaw::AboveUserRange(u64::MAX - 0xfff)));
    let low = ElfError { role: Role::Program, flaw: Flaw::BelowUserRange(0) };
    assert_eq!(low.errno(), EPERM);
}

#[test]
fn a_load_bias_cannot_wrap_a_later_segment_around() {
    let mut file = File::dynamic();
    file.headers[2] = load(RW, 0x1000, u64::MAX - 0xf_efff, 0x100, 0x100);
    let start = 0x20_0000_u64.wrapping_add(u64::MAX - 0xf_efff);
    assert_eq!(plan(&file, 0x20_0000), Err(Flaw::AboveUserRange(start)));
}

struct Unreadable;

impl ReadAt for Unreadable {
    fn read_at(&self, _: u64, _: &mut [u8]) -> Result<usize, ReadError> {
        Err(ReadError(E2BIG))
    }

    fn size(&self) -> u64 {
        0
    }
}

#[test]
fn an_error_of_the_file_is_passed_on() {
    let error = Image::read(&Unreadable, Role::Interpreter).unwrap_err();
    assert_eq!((error.flaw, error.errno()), (Flaw::Read(ReadError(E2BIG)), E2BIG));
}

/// Gives one byte with each read.
struct Slow<'a>(&'a [u8]);

impl ReadAt for Slow<'_> {
    fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, ReadError> {
        let count = to.len().min(1);
        self.0.read_at(offset, &mut to[..count])
    }

    fn size(&self) -> u64 {
        self.0.len() as u64
    }
}

#[test]
fn short_reads_are_continued() {
    let bytes = File::dynamic().bytes();
    let file: &dyn ReadAt = &Slow(&bytes);
    assert_eq!(Image::read(file, Role::Program), Image::read(bytes.as_slice(), Role::Program));
}

#[test]
fn errors_say_which_file_and_which_header() {
    let error = ElfError { role: Role::Interpreter, flaw: Flaw::Misaligned(4) };
    let expected = "interpreter: program header 4: p_offset and p_vaddr differ modulo the page size";
    assert_eq!(error.to_string(), expected);
}
