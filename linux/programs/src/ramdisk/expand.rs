//! From a ramdisk to its archives.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::format::Format;
use super::header::{archives_length, skip_zeroes};
use super::{Flaw, RamdiskError};
use crate::{gzip, push};

/// The parts of the ramdisk `bytes`, in order: stretches of plain archives, and the data of each gzip member. Give each to
/// [`Archive`](super::Archive). Zeroes between the parts are left out.
///
/// Plain parts are not copied, and their entries not checked. Allocates the data of the gzip members, at most `limit` bytes together.
pub fn expand(bytes: &[u8], limit: usize) -> Result<Vec<Cow<'_, [u8]>>, RamdiskError> {
    let mut parts = Vec::new();
    let mut left = limit;
    let mut at = 0;
    loop {
        at = skip_zeroes(bytes, at);
        let rest = &bytes[at..];
        let (part, length) = if rest.is_empty() {
            return Ok(parts);
        } else if rest.starts_with(&gzip::MAGIC) {
            let (data, length) = gzip::member(rest, left).map_err(|error| Flaw::Gzip(error).at(at))?;
            left -= data.len();
            (Cow::Owned(data), length)
        } else if let Some(format) = Format::detect(rest) {
            return Err(Flaw::Format(format).at(at));
        } else if rest[0] != b'0' {
            return Err(Flaw::NotAnArchive.at(at));
        } else if !at.is_multiple_of(4) {
            return Err(Flaw::Padding.at(at));
        } else {
            let length = archives_length(rest);
            (Cow::Borrowed(&rest[..length]), length)
        };
        push(&mut parts, part).map_err(|_| Flaw::NoMemory.at(at))?;
        at += length;
    }
}
