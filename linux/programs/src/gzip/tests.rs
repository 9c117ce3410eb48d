//! Tests of gzip, with members made here.

use miniz_oxide::deflate::compress_to_vec;
use proptest::prelude::*;
use std::string::ToString;
use std::vec::Vec;

use super::{FCOMMENT, FEXTRA, FHCRC, FNAME, GzipError, member};

const LIMIT: usize = 1 << 20;

/// A gzip member that holds `data`, with the parts that `flags` name.
pub fn compress(data: &[u8], flags: u8) -> Vec<u8> {
    let mut bytes = std::vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 3];
    if flags & FEXTRA != 0 {
        bytes.extend(b"\x05\0extra");
    }
    if flags & FNAME != 0 {
        bytes.extend(b"name\0");
    }
    if flags & FCOMMENT != 0 {
        bytes.extend(b"\0");
    }
    if flags & FHCRC != 0 {
        let checksum = crc32fast::hash(&bytes) as u16;
        bytes.extend(checksum.to_le_bytes());
    }
    bytes.extend(compress_to_vec(data, 6));
    bytes.extend(crc32fast::hash(data).to_le_bytes());
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes
}

fn some_data() -> Vec<u8> {
    (0..10_000_u32).flat_map(|number| (number * number / 7).to_le_bytes()).collect()
}

#[test]
fn all_headers() {
    let data = some_data();
    for flags in 0..32 {
        let bytes = compress(&data, flags);
        assert_eq!(member(&bytes, LIMIT), Ok((data.clone(), bytes.len())), "{flags:#x}");
    }
}

#[test]
fn a_member_of_the_command_gzip() {
    // printf hello | gzip -9n
    let bytes = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
    assert_eq!(member(bytes, LIMIT), Ok((b"hello".to_vec(), bytes.len())));
}

#[test]
fn something_may_follow() {
    let mut bytes = compress(b"first", 0);
    let length = bytes.len();
    for following in [0_u32, 1, 5, 3000, u32::MAX] {
        bytes.truncate(length);
        bytes.extend(following.to_le_bytes());
        assert_eq!(member(&bytes, LIMIT), Ok((b"first".to_vec(), length)));
    }
}

#[test]
fn data_longer_than_the_last_bytes_promise() {
    let data = std::vec![7; 700_000];
    let mut bytes = compress(&data, 0);
    let length = bytes.len();
    bytes.extend(3_u32.to_le_bytes());
    assert_eq!(member(&bytes, LIMIT), Ok((data, length)));
}

#[test]
fn limits_are_exact() {
    let data = some_data();
    let bytes = compress(&data, 0);
    assert!(member(&bytes, data.len()).is_ok());
    assert_eq!(member(&bytes, data.len() - 1), Err(GzipError::TooLarge(data.len() - 1)));
    assert_eq!(member(&bytes, 0), Err(GzipError::TooLarge(0)));
    assert_eq!(member(&compress(b"", 0), 0), Ok((Vec::new(), 20)));
}

#[test]
fn every_cut_is_found() {
    let bytes = compress(b"hello, hello, hello", 0x1e);
    for length in 0..bytes.len() {
        assert_eq!(member(&bytes[..length], LIMIT), Err(GzipError::Truncated), "{length}");
    }
}

#[test]
fn damage_is_named() {
    let good = compress(b"hello, hello, hello", FHCRC);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        member(&bytes, LIMIT)
    };
    let end = good.len();
    assert_eq!(changed(0, 0x1e), Err(GzipError::NotGzip));
    assert_eq!(changed(2, 7), Err(GzipError::Method(7)));
    assert_eq!(changed(3, 0x82), Err(GzipError::Flags(0x82)));
    assert_eq!(changed(4, 0), Err(GzipError::HeaderChecksum));
    // A block of the reserved type.
    assert_eq!(changed(12, 7), Err(GzipError::Damaged));
    assert_eq!(changed(end - 8, good[end - 8] ^ 1), Err(GzipError::Checksum));
    assert_eq!(changed(end - 4, 20), Err(GzipError::Length));
    assert_eq!(GzipError::Method(7).to_string(), "gzip: unknown compression method 7");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn data_comes_back(data in prop::collection::vec(0_u8..4, 0..5000), flags in 0_u8..32) {
        let bytes = compress(&data, flags);
        prop_assert_eq!(member(&bytes, LIMIT), Ok((data, bytes.len())));
    }

    #[test]
    fn damaged_members(
        data in prop::collection::vec(0_u8..4, 0..500),
        flags in 0_u8..32,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        limit in 0_usize..1000,
    ) {
        let mut bytes = compress(&data, flags);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok((data, length)) = member(&bytes, limit) {
            prop_assert!(data.len() <= limit && length <= bytes.len());
        }
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0_usize..1000) {
        let bytes = [b"\x1f\x8b\x08\0".as_slice(), &bytes].concat();
        if let Ok((data, length)) = member(&bytes, limit) {
            prop_assert!(data.len() <= limit && length <= bytes.len());
        }
    }
}
