//! Decompression of gzip (RFC 1952).

#[cfg(test)]
pub(crate) mod tests;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// The first bytes of every gzip member.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The only compression method that gzip knows.
const DEFLATE: u8 = 8;

/// The header's flags.
const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// The fixed part of the header, and the CRC-32 and the length behind the data.
const HEADER_SIZE: usize = 10;
const TRAILER_SIZE: usize = 8;

/// The first size of the output if the member does not say how long its data is.
const OUTPUT_MIN: usize = 64 * 1024;

/// Why a gzip member cannot be decompressed. `Display` is one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum GzipError {
    /// The bytes end before the member does.
    Truncated,
    /// The first bytes are not [`MAGIC`].
    NotGzip,
    /// The compression method is not DEFLATE.
    Method(u8),
    /// Reserved flags are set.
    Flags(u8),
    /// The header's own checksum is wrong.
    HeaderChecksum,
    /// The compressed data is damaged.
    Damaged,
    /// The data has another CRC-32 than the member says.
    Checksum,
    /// The data has another length than the member says.
    Length,
    /// The data is longer than this limit, in bytes.
    TooLarge(usize),
    /// No memory for the data.
    NoMemory,
}

/// Decompresses the first member of `input` into a vector of at most `limit` bytes. Also returns how many bytes of `input` the member
/// has; others may follow.
///
/// Allocates the data, and 11 KiB for the time of the call. The data is allocated at once if the length at the end of `input` is its
/// length; else the vector grows by doubling, and needs three times the room for a moment.
pub fn member(input: &[u8], limit: usize) -> Result<(Vec<u8>, usize), GzipError> {
    let header = header(input)?;
    let (data, compressed) = inflate(&input[header..], limit)?;
    let end = header + compressed;
    let trailer = input.get(end..end + TRAILER_SIZE).ok_or(GzipError::Truncated)?;
    let (crc, length) = trailer.split_at(4);
    if crc32fast::hash(&data).to_le_bytes() != crc {
        return Err(GzipError::Checksum);
    }
    // The member gives the length modulo 2^32.
    if (data.len() as u32).to_le_bytes() != length {
        return Err(GzipError::Length);
    }
    Ok((data, end + TRAILER_SIZE))
}

/// Checks the header and returns its length.
fn header(input: &[u8]) -> Result<usize, GzipError> {
    let fixed = input.get(..HEADER_SIZE).ok_or(GzipError::Truncated)?;
    if !fixed.starts_with(&MAGIC) {
        return Err(GzipError::NotGzip);
    }
    let (method, flags) = (fixed[2], fixed[3]);
    if method != DEFLATE {
        return Err(GzipError::Method(method));
    }
    if flags & RESERVED != 0 {
        return Err(GzipError::Flags(flags));
    }
    let mut at = HEADER_SIZE;
    if flags & FEXTRA != 0 {
        at += 2 + usize::from(two_bytes(input, at)?);
    }
    for string in [FNAME, FCOMMENT] {
        if flags & string != 0 {
            let rest = input.get(at..).ok_or(GzipError::Truncated)?;
            at += rest.iter().position(|&byte| byte == 0).ok_or(GzipError::Truncated)? + 1;
        }
    }
    if flags & FHCRC != 0 {
        let checksum = two_bytes(input, at)?;
        // The lower half of the CRC-32 of everything before.
        if crc32fast::hash(&input[..at]) as u16 != checksum {
            return Err(GzipError::HeaderChecksum);
        }
        at += 2;
    }
    if at > input.len() {
        return Err(GzipError::Truncated);
    }
    Ok(at)
}

fn two_bytes(input: &[u8], at: usize) -> Result<u16, GzipError> {
    let bytes = input.get(at..).and_then(|rest| rest.first_chunk()).ok_or(GzipError::Truncated)?;
    Ok(u16::from_le_bytes(*bytes))
}

/// Decompresses the DEFLATE stream at the beginning of `input`. Returns the data and the length of the stream.
fn inflate(mut input: &[u8], limit: usize) -> Result<(Vec<u8>, usize), GzipError> {
    let whole = input.len();
    let mut data = Vec::new();
    grow(&mut data, expected_length(input).min(limit))?;
    let mut state = Box::<DecompressorOxide>::default();
    let mut filled = 0;
    loop {
        let (status, consumed, produced) =
            decompress(&mut state, input, &mut data, filled, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
        input = input.get(consumed..).unwrap_or_default();
        filled += produced;
        match status {
            TINFLStatus::Done => {
                data.truncate(filled);
                return Ok((data, whole - input.len()));
            }
            TINFLStatus::HasMoreOutput if data.len() >= limit => return Err(GzipError::TooLarge(limit)),
            TINFLStatus::HasMoreOutput => {
                let larger = data.len().saturating_mul(2).max(OUTPUT_MIN).min(limit);
                grow(&mut data, larger)?;
            }
            TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => {
                return Err(GzipError::Truncated);
            }
            _ => return Err(GzipError::Damaged),
        }
    }
}

fn grow(data: &mut Vec<u8>, size: usize) -> Result<(), GzipError> {
    data.try_reserve_exact(size - data.len()).map_err(|_| GzipError::NoMemory)?;
    data.resize(size, 0);
    Ok(())
}

/// The length of the data as the last bytes of `input` say, if that is possible. A guess: something may follow the member.
fn expected_length(input: &[u8]) -> usize {
    // DEFLATE makes at most 258 bytes of two bits.
    let most = input.len().saturating_mul(258 * 4);
    match input.last_chunk() {
        Some(&length) if (u32::from_le_bytes(length) as usize) <= most => u32::from_le_bytes(length) as usize,
        _ => OUTPUT_MIN.min(most),
    }
}

impl fmt::Display for GzipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("gzip: the file is cut off"),
            Self::NotGzip => f.write_str("gzip: the file does not begin with 1f 8b"),
            Self::Method(method) => write!(f, "gzip: unknown compression method {method}"),
            Self::Flags(flags) => write!(f, "gzip: reserved flags in {flags:#04x}"),
            Self::HeaderChecksum => f.write_str("gzip: wrong checksum of the header"),
            Self::Damaged => f.write_str("gzip: the compressed data is damaged"),
            Self::Checksum => f.write_str("gzip: wrong CRC-32 of the data"),
            Self::Length => f.write_str("gzip: wrong length of the data"),
            Self::TooLarge(limit) => write!(f, "gzip: more than {limit} bytes of data"),
            Self::NoMemory => f.write_str("gzip: out of memory"),
        }
    }
}

impl core::error::Error for GzipError {}
