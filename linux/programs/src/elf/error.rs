//! Why an ELF file cannot be run.

use core::fmt;

use linux_raw_sys::errno;

use super::Role;
use crate::{NoMemory, ReadError};

/// Why an ELF file cannot be run, and the error number that `execve` gives. `Display` is one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ElfError {
    /// What the file was to be used for.
    pub role: Role,
    /// What is wrong with the file.
    pub flaw: Flaw,
}

/// What is wrong with an ELF file. Segments are named by the index of their program header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Flaw {
    /// Reading the file failed. Linux says ENOEXEC if it was reading the program headers; here it is the error of the read.
    Read(ReadError),
    /// No memory for the list of segments or mappings, or for the path of the interpreter.
    NoMemory,
    /// The file is shorter than an ELF header.
    HeaderPastEnd,
    /// The file does not begin with the identification of a 64-bit little-endian ELF file.
    NotElf,
    /// `e_machine` is not `EM_AARCH64`.
    WrongMachine(u16),
    /// `e_type` is neither `ET_EXEC` nor `ET_DYN`.
    WrongType(u16),
    /// `e_phentsize` is not [`Image::PHENT`](super::Image::PHENT).
    HeaderSize(u16),
    /// There are no program headers, or more than one page of them.
    HeaderCount(u16),
    /// The program headers go past the end of the file.
    HeadersPastEnd,
    /// The path of `PT_INTERP` has fewer than 2 or more than 4096 bytes, with its NUL.
    InterpreterLength(u64),
    /// The path of `PT_INTERP` goes past the end of the file.
    InterpreterPastEnd,
    /// The last byte of `PT_INTERP` is not NUL.
    InterpreterWithoutNul,
    /// No `PT_LOAD` has a byte in memory.
    NoSegments,
    /// `p_filesz` is larger than `p_memsz`.
    FileLargerThanMemory(u16),
    /// `p_vaddr + p_memsz`, or `p_offset + p_filesz`, is larger than an address or an offset can be.
    SegmentOverflow(u16),
    /// `p_offset` and `p_vaddr` differ modulo the page size, so no mapping of whole pages can put the bytes there.
    Misaligned(u16),
    /// The segment begins below the end of the segment before it.
    Order(u16),
    /// The rest of the segment's last page is to be zeroed, and the whole page lies behind the end of the file.
    ZeroTailPastEnd(u16),
    /// The segment that begins at this address goes past the end of the user's addresses, with the load bias or without.
    AboveUserRange(u64),
    /// The segment that begins at this address has a page below the lowest address that a user program may map.
    BelowUserRange(u64),
    /// The entry lies outside the user's addresses.
    EntryOutsideUserRange(u64),
    /// The load bias is not a multiple of the page size, or not 0 for an image with fixed addresses.
    Bias(u64),
}

impl ElfError {
    /// The error number of `execve`, positive.
    pub fn errno(&self) -> u32 {
        let program = self.role == Role::Program;
        match self.flaw {
            Flaw::Read(ReadError(errno)) => errno,
            Flaw::NoMemory => errno::ENOMEM,
            Flaw::HeaderPastEnd if !program => errno::EIO,
            Flaw::HeaderPastEnd
            | Flaw::NotElf
            | Flaw::WrongMachine(_)
            | Flaw::WrongType(_)
            | Flaw::HeaderSize(_)
            | Flaw::HeaderCount(_)
            | Flaw::HeadersPastEnd => {
                if program {
                    errno::ENOEXEC
                } else {
                    errno::ELIBBAD
                }
            }
            Flaw::InterpreterLength(_) | Flaw::InterpreterWithoutNul => errno::ENOEXEC,
            Flaw::InterpreterPastEnd => errno::EIO,
            Flaw::FileLargerThanMemory(_) | Flaw::SegmentOverflow(_) | Flaw::AboveUserRange(_)
                if !program =>
            {
                errno::ENOMEM
            }
            Flaw::NoSegments
            | Flaw::FileLargerThanMemory(_)
            | Flaw::SegmentOverflow(_)
            | Flaw::Misaligned(_)
            | Flaw::Order(_)
            | Flaw::AboveUserRange(_)
            | Flaw::EntryOutsideUserRange(_)
            | Flaw::Bias(_) => errno::EINVAL,
            Flaw::BelowUserRange(_) => errno::EPERM,
            Flaw::ZeroTailPastEnd(_) => errno::EFAULT,
        }
    }
}

impl From<ReadError> for Flaw {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<NoMemory> for Flaw {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.role {
            Role::Program => "program: ",
            Role::Interpreter => "interpreter: ",
        })?;
        self.flaw.fmt(f)
    }
}

impl core::error::Error for ElfError {}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(ReadError(errno)) => write!(f, "reading failed with error {errno}"),
            Self::NoMemory => f.write_str("out of memory"),
            Self::HeaderPastEnd => f.write_str("shorter than an ELF header"),
            Self::NotElf => f.write_str("not a 64-bit little-endian ELF file"),
            Self::WrongMachine(machine) => write!(f, "for machine {machine}, not for AArch64 (183)"),
            Self::WrongType(kind) => write!(f, "ELF type {kind} is neither ET_EXEC (2) nor ET_DYN (3)"),
            Self::HeaderSize(size) => write!(f, "program headers of {size} bytes instead of 56"),
            Self::HeaderCount(count) => write!(f, "{count} program headers; 1 to 73 are supported"),
            Self::HeadersPastEnd => f.write_str("the program headers go past the end of the file"),
            Self::InterpreterLength(length) => {
                write!(f, "PT_INTERP of {length} bytes; 2 to 4096 are supported")
            }
            Self::InterpreterPastEnd => f.write_str("PT_INTERP goes past the end of the file"),
            Self::InterpreterWithoutNul => f.write_str("the path in PT_INTERP does not end with NUL"),
            Self::NoSegments => f.write_str("no PT_LOAD segment has a byte in memory"),
            Self::FileLargerThanMemory(index) => {
                write!(f, "program header {index}: p_filesz is above p_memsz")
            }
            Self::SegmentOverflow(index) => write!(f, "program header {index}: address or offset overflows"),
            Self::Misaligned(index) => {
                write!(f, "program header {index}: p_offset and p_vaddr differ modulo the page size")
            }
            Self::Order(index) => {
                write!(f, "program header {index}: begins below the end of the segment before")
            }
            Self::ZeroTailPastEnd(index) => {
                write!(f, "program header {index}: the page with the zeroes lies behind the end of the file")
            }
            Self::AboveUserRange(address) => {
                write!(f, "segment at {address:#x} goes past the user's addresses")
            }
            Self::BelowUserRange(address) => {
                write!(f, "segment at {address:#x} lies below the user's addresses")
            }
            Self::EntryOutsideUserRange(address) => write!(f, "entry {address:#x} is not a user's address"),
            Self::Bias(bias) => write!(f, "load bias {bias:#x} does not fit the image"),
        }
    }
}
