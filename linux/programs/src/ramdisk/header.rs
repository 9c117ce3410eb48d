//! The header of an entry, and where the entry's parts lie.
//!
//! A header is a magic of 6 characters and 13 numbers of 8 hexadecimal digits. The path follows with its NUL, then the data. The path
//! and the data are each padded to a multiple of 4 bytes, counted from the beginning of the archive.

use core::ops::Range;

use linux_raw_sys::general::PATH_MAX;

use super::{Flaw, Format};

/// The magic of the format newc, and of the same with a sum of the data's bytes.
const NEWC: &[u8] = b"070701";
const NEWC_WITH_SUM: &[u8] = b"070702";

const MAGIC_SIZE: usize = 6;
const DIGITS: usize = 8;
const FIELDS: [&str; 13] = [
    "ino",
    "mode",
    "uid",
    "gid",
    "nlink",
    "mtime",
    "filesize",
    "devmajor",
    "devminor",
    "rdevmajor",
    "rdevminor",
    "namesize",
    "check",
];
const HEADER_SIZE: usize = MAGIC_SIZE + FIELDS.len() * DIGITS;
const ALIGNMENT: usize = 4;

/// The path of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// The numbers of a header, as the format names them, and where the entry's parts lie in the archive.
pub(super) struct Header {
    pub(super) ino: u32,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) nlink: u32,
    pub(super) mtime: u32,
    pub(super) device: (u32, u32),
    pub(super) rdev: (u32, u32),
    /// What the sum of the data's bytes must be.
    pub(super) sum: Option<u32>,
    /// Up to the path's first NUL.
    pub(super) path: Range<usize>,
    pub(super) data: Range<usize>,
    /// Where the next entry begins. May lie behind the end of the archive, which need not be padded there.
    pub(super) next: usize,
}

impl Header {
    /// Reads the header at `at` in `archive`. If that fails, also gives the path if it is known.
    pub(super) fn read(archive: &[u8], at: usize) -> Result<Self, (Flaw, Range<usize>)> {
        let unknown = |flaw| (flaw, 0..0);
        let rest = archive.get(at..).unwrap_or_default();
        let with_sum = rest.starts_with(NEWC_WITH_SUM);
        if !with_sum && !rest.starts_with(NEWC) {
            let cut = rest.len() < MAGIC_SIZE && NEWC.starts_with(rest);
            let other = Format::detect(rest).map_or(Flaw::NotAnArchive, Flaw::Format);
            return Err(unknown(if cut { Flaw::Truncated } else { other }));
        }
        let header = rest.get(MAGIC_SIZE..HEADER_SIZE).ok_or(unknown(Flaw::Truncated))?;
        let mut numbers = [0; FIELDS.len()];
        for ((number, digits), field) in numbers.iter_mut().zip(header.chunks_exact(DIGITS)).zip(FIELDS) {
            *number = hexadecimal(digits).ok_or(unknown(Flaw::BadNumber { field }))?;
        }
        let [ino, mode, uid, gid, nlink, mtime, file_size, major, minor, rmajor, rminor, name_size, check] =
            numbers;

        if !(1..=PATH_MAX).contains(&name_size) {
            return Err(unknown(Flaw::PathLength(name_size)));
        }
        // No overflow: a slice ends below 2^63, and the sizes are below 2^32.
        let path_start = at + HEADER_SIZE;
        let path_end = path_start + name_size as usize;
        let path = archive.get(path_start..path_end).ok_or(unknown(Flaw::Truncated))?;
        if path.last() != Some(&0) {
            return Err((Flaw::PathWithoutNul, path_start..path_end));
        }
        // Linux takes the path for a C string. Some programs pad paths with NULs, so that the data lies at a multiple of a page.
        let length = path.iter().position(|&byte| byte == 0).unwrap_or(0);
        let path = path_start..path_start + length;

        let data_start = path_end.next_multiple_of(ALIGNMENT);
        let data_end = data_start + file_size as usize;
        // An archive may end without the padding behind the last path.
        if data_end > archive.len() && file_size != 0 {
            return Err((Flaw::Truncated, path));
        }
        let data = if file_size == 0 { path_end..path_end } else { data_start..data_end };
        Ok(Self {
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            device: (major, minor),
            rdev: (rmajor, rminor),
            sum: with_sum.then_some(check),
            path,
            data,
            next: data_end.next_multiple_of(ALIGNMENT),
        })
    }

    /// Whether this is the entry that ends an archive.
    pub(super) fn is_trailer(&self, archive: &[u8]) -> bool {
        &archive[self.path.clone()] == TRAILER
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))
}

/// The position of the first byte from `at` on that is not zero.
pub(super) fn skip_zeroes(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|&byte| byte != 0).unwrap_or(rest.len())
}

/// The length of the archives at the beginning of `bytes`, up to something behind a trailer that is neither zero nor an archive. All
/// of `bytes` if an entry is damaged: reading the archive will find it.
pub(super) fn archives_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let Ok(header) = Header::read(bytes, at) else { return bytes.len() };
        at = header.next;
        if header.is_trailer(bytes) {
            at = skip_zeroes(bytes, at);
            if bytes.get(at).is_some_and(|&byte| byte != NEWC[0]) {
                return at;
            }
        }
    }
    bytes.len()
}
