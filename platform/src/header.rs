//! The blob's header: what can be checked before the blob is mapped.

use crate::DtbError;

/// The size of the header of a version 17 blob, in bytes.
pub const HEADER_SIZE: usize = 40;

/// The largest blob accepted, in bytes. The arm64 boot protocol allows no more.
pub const MAX_SIZE: usize = 2 << 20;

/// The size of the header and of an empty memory reservation block, which is one terminator.
const MIN_SIZE: usize = HEADER_SIZE + 16;

const MAGIC: u32 = 0xd00d_feed;
const VERSION: u32 = 17;

/// Checks the physical address that the boot loader passed in x0, before anything is read from it.
///
/// # Errors
///
/// [`DtbError::Missing`] for 0, [`DtbError::Misaligned`] when it is not a multiple of 8.
pub fn check_address(address: u64) -> Result<(), DtbError> {
    match address {
        0 => Err(DtbError::Missing),
        a if a % 8 != 0 => Err(DtbError::Misaligned { address }),
        _ => Ok(()),
    }
}

/// The size in bytes of the whole blob whose first [`HEADER_SIZE`] bytes (or more) are `header`.
///
/// The size lies between that of the smallest possible blob and [`MAX_SIZE`], so the caller can map that many bytes and then call
/// [`parse`](crate::parse).
///
/// # Errors
///
/// [`DtbError::TooShort`], [`DtbError::Magic`], [`DtbError::TotalSize`] or [`DtbError::Version`].
pub fn total_size(header: &[u8]) -> Result<usize, DtbError> {
    if header.len() < HEADER_SIZE {
        return Err(DtbError::TooShort { have: header.len(), need: HEADER_SIZE });
    }
    let word = |i: usize| {
        u32::from_be_bytes([header[4 * i], header[4 * i + 1], header[4 * i + 2], header[4 * i + 3]])
    };
    let (magic, size, version, last_compatible) = (word(0), word(1) as usize, word(5), word(6));
    if magic != MAGIC {
        return Err(DtbError::Magic { found: magic });
    }
    if !(last_compatible..=version).contains(&VERSION) {
        return Err(DtbError::Version { version, last_compatible });
    }
    if !(MIN_SIZE..=MAX_SIZE).contains(&size) {
        return Err(DtbError::TotalSize { size, max: MAX_SIZE });
    }
    Ok(size)
}
