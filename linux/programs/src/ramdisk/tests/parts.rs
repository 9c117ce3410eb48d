//! Ramdisks of several parts, plain and compressed.

use std::borrow::Cow;
use std::string::ToString;

use super::{FILE, Writer, flaw, paths};
use crate::gzip::GzipError;
use crate::gzip::tests::compress;
use crate::ramdisk::{Flaw, Format, expand};

const LIMIT: usize = 1 << 20;

fn archive(path: &str) -> Vec<u8> {
    Writer::default().add(path, FILE, b"data").trailer()
}

/// The paths in all parts of a ramdisk.
fn all_paths(bytes: &[u8]) -> Vec<String> {
    let parts = expand(bytes, LIMIT).unwrap();
    parts.iter().flat_map(|part| paths(part)).map(String::from).collect()
}

#[test]
fn one_part() {
    let plain = archive("a");
    let parts = expand(&plain, 0).unwrap();
    assert!(matches!(parts[..], [Cow::Borrowed(part)] if part == plain));
    let bytes = compress(&plain, 0);
    assert_eq!(expand(&bytes, LIMIT).unwrap(), [plain]);
    assert_eq!(expand(&[], LIMIT).unwrap().len(), 0);
    assert_eq!(expand(&[0; 9], LIMIT).unwrap().len(), 0);
}

#[test]
fn plain_and_compressed_in_any_order() {
    let (a, b) = (archive("a"), archive("b"));
    let (c, d) = (compress(&archive("c"), 0), compress(&archive("d"), 8));
    let zeroes = |count| vec![0; count];
    assert_eq!(all_paths(&[a.clone(), c.clone()].concat()), ["a", "c"]);
    assert_eq!(
        all_paths(&[a.clone(), zeroes(512), b.clone(), zeroes(5), c.clone(), d.clone()].concat()),
        ["a", "b", "c", "d"]
    );
    let pad = zeroes(c.len().next_multiple_of(4) - c.len());
    assert_eq!(all_paths(&[c.clone(), pad, a.clone(), zeroes(4), d].concat()), ["c", "a", "d"]);
    let wrong = zeroes(c.len().next_multiple_of(4) - c.len() + 1);
    let error = expand(&[c, wrong, a].concat(), LIMIT).unwrap_err();
    assert_eq!(error.flaw, Flaw::Padding);
}

#[test]
fn the_limit_is_for_all_members() {
    let one = archive("a");
    let bytes = [compress(&one, 0), compress(&one, 0)].concat();
    assert_eq!(expand(&bytes, 2 * one.len()).unwrap().len(), 2);
    let error = expand(&bytes, 2 * one.len() - 1).unwrap_err();
    assert_eq!(error.flaw, Flaw::Gzip(GzipError::TooLarge(one.len() - 1)));
    assert_eq!(error.offset, bytes.len() / 2);
}

#[test]
fn damage_in_a_plain_part_is_found_by_reading_it() {
    let mut bytes = archive("a");
    bytes[6] = b'x';
    bytes.extend(archive("b"));
    let parts = expand(&bytes, LIMIT).unwrap();
    assert_eq!((parts.len(), parts[0].len()), (1, bytes.len()));
    assert_eq!(flaw(&parts[0]), Flaw::BadNumber { field: "ino" });
}

#[test]
fn other_formats_are_named() {
    let cases: [(&[u8], Format, &str); 10] = [
        (b"BZh91AY", Format::Bzip2, "compressed with bzip2: repack with gzip"),
        (b"\x02\x21\x4c\x18", Format::Lz4, "compressed with lz4: repack with gzip"),
        (b"\x04\x22\x4d\x18", Format::Lz4, "compressed with lz4: repack with gzip"),
        (b"\x5d\0\0\x80\0", Format::Lzma, "compressed with lzma: repack with gzip"),
        (b"\x89LZO\0", Format::Lzo, "compressed with lzo: repack with gzip"),
        (b"\xfd7zXZ\0\0", Format::Xz, "compressed with xz: repack with gzip"),
        (b"\x28\xb5\x2f\xfd", Format::Zstd, "compressed with zstd: repack with gzip"),
        (b"070707", Format::Odc, "a cpio archive in the format odc: repack with cpio -H newc"),
        (b"\xc7\x71", Format::Binary, "a cpio archive in the binary format: repack with cpio -H newc"),
        (b"\x71\xc7", Format::Binary, "a cpio archive in the binary format: repack with cpio -H newc"),
    ];
    for (bytes, format, text) in cases {
        let error = expand(bytes, LIMIT).unwrap_err();
        assert_eq!(error.flaw, Flaw::Format(format));
        assert_eq!(error.to_string(), format!("ramdisk, offset 0x0: {text}"));
        // Behind an archive too.
        let behind = [archive("a").as_slice(), bytes].concat();
        assert!(format == Format::Odc || expand(&behind, LIMIT).unwrap_err().flaw == Flaw::Format(format));
    }
    assert_eq!(expand(b"\x7fELF", LIMIT).unwrap_err().flaw, Flaw::NotAnArchive);
}
