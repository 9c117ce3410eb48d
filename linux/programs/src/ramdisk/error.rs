//! What is wrong with a ramdisk.

use alloc::string::String;
use core::fmt;

use super::format::Format;
use crate::gzip::GzipError;

/// What is wrong with a ramdisk, and where. `Display` is one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RamdiskError {
    /// Where the entry begins, in bytes from the beginning of the part (see [`expand`](super::expand())). For errors of `expand`, from
    /// the beginning of the ramdisk.
    pub offset: usize,
    /// The path of the entry, as far as it is known.
    pub path: Option<String>,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What is wrong with a ramdisk or an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Flaw {
    /// Bytes that are neither an archive nor compressed in a known way.
    NotAnArchive,
    /// Compressed, or an archive, in a format that is not read here.
    Format(Format),
    /// The gzip member cannot be decompressed.
    Gzip(GzipError),
    /// An archive behind another one does not begin at a multiple of 4 bytes.
    Padding,
    /// The archive ends within the entry's header, path or data.
    Truncated,
    /// A number in the header has a character that is not a hexadecimal digit.
    BadNumber {
        /// The name of the number in the description of the format.
        field: &'static str,
    },
    /// The path has no byte, or more than 4096 bytes, with its NUL.
    PathLength(u32),
    /// The last byte of the path is not NUL.
    PathWithoutNul,
    /// The path has a component `..`, which could lead out of the directory that the archive is unpacked to.
    DotDot,
    /// The type in the mode is none that Linux has.
    UnknownType(u32),
    /// Data in an entry that is neither a file nor a symbolic link.
    UnexpectedData,
    /// The target of a symbolic link has no byte, or more than 4096 bytes.
    TargetLength(usize),
    /// The sum of the data's bytes is not what the header says (only in the format `070702`).
    Checksum,
    /// No memory for the list of hard links, or of parts.
    NoMemory,
}

impl Flaw {
    pub(super) fn at(self, offset: usize) -> RamdiskError {
        RamdiskError { offset, path: None, flaw: self }
    }
}

impl fmt::Display for RamdiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ramdisk, offset {:#x}", self.offset)?;
        if let Some(path) = &self.path {
            write!(f, ", {path:?}")?;
        }
        write!(f, ": {}", self.flaw)
    }
}

impl core::error::Error for RamdiskError {}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnArchive => f.write_str("neither a cpio archive (newc) nor gzip"),
            Self::Format(format) => format.fmt(f),
            Self::Gzip(error) => error.fmt(f),
            Self::Padding => f.write_str("an archive begins at an offset that is not a multiple of 4"),
            Self::Truncated => f.write_str("the archive is cut off"),
            Self::BadNumber { field } => write!(f, "{field} is not a hexadecimal number"),
            Self::PathLength(length) => write!(f, "a path of {length} bytes; 1 to 4096 are supported"),
            Self::PathWithoutNul => f.write_str("the path does not end with NUL"),
            Self::DotDot => f.write_str("the path has a component \"..\""),
            Self::UnknownType(mode) => write!(f, "unknown type of file in mode {mode:#o}"),
            Self::UnexpectedData => {
                f.write_str("data in an entry that is neither a file nor a symbolic link")
            }
            Self::TargetLength(length) => {
                write!(f, "a link's target of {length} bytes; 1 to 4096 are supported")
            }
            Self::Checksum => f.write_str("wrong sum of the data's bytes"),
            Self::NoMemory => f.write_str("out of memory"),
        }
    }
}
