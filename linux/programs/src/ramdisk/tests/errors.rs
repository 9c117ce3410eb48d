//! Archives that are wrong.

use std::string::ToString;

use super::{DIRECTORY, FILE, SYMLINK, Writer, error, flaw};
use crate::ramdisk::{Flaw, Format};

/// An archive whose only entry is changed at `at`.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut archive = Writer::default().add("name", FILE, b"data").trailer();
    archive[at..at + bytes.len()].copy_from_slice(bytes);
    archive
}

#[test]
fn numbers() {
    let fields = [
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
    ];
    for (index, field) in fields.into_iter().chain(["namesize", "check"]).enumerate() {
        for bad in [b'g', b' ', b'+', 0, 0xff] {
            assert_eq!(flaw(&changed(6 + 8 * index + 7, &[bad])), Flaw::BadNumber { field });
            assert_eq!(flaw(&changed(6 + 8 * index, &[bad])), Flaw::BadNumber { field });
        }
    }
}

#[test]
fn names() {
    assert_eq!(flaw(&changed(94, b"00000000")), Flaw::PathLength(0));
    assert_eq!(flaw(&changed(94, b"00001001")), Flaw::PathLength(4097));
    assert_eq!(flaw(&changed(94, b"ffffffff")), Flaw::PathLength(u32::MAX));
    assert_eq!(flaw(&changed(94, b"00001000")), Flaw::Truncated);
    assert_eq!(flaw(&changed(114, b"x")), Flaw::PathWithoutNul);
    for path in ["..", "../a", "a/..", "a/../b", "/..", "./../x"] {
        assert_eq!(flaw(&Writer::default().add(path, FILE, b"").trailer()), Flaw::DotDot, "{path}");
    }
    let longest = "a/".repeat(2047) + "b";
    assert_eq!(longest.len(), 4095);
    assert_eq!(super::paths(&Writer::default().add(&longest, FILE, b"").trailer()), [longest]);
}

#[test]
fn every_cut_within_an_entry_is_found() {
    let bytes = Writer::default().add("name", FILE, b"data5").bytes;
    for length in 1..bytes.len() - 3 {
        assert_eq!(flaw(&bytes[..length]), Flaw::Truncated, "{length}");
    }
    assert_eq!(flaw(&changed(54, b"ffffffff")), Flaw::Truncated);
}

#[test]
fn contents() {
    assert_eq!(flaw(&Writer::default().add("x", 0o644, b"").trailer()), Flaw::UnknownType(0o644));
    assert_eq!(flaw(&Writer::default().add("x", 0o150_000, b"").trailer()), Flaw::UnknownType(0o150_000));
    assert_eq!(flaw(&Writer::default().add("x", DIRECTORY, b"x").trailer()), Flaw::UnexpectedData);
    assert_eq!(flaw(&Writer::default().add("x", SYMLINK, b"").trailer()), Flaw::TargetLength(0));
    assert_eq!(flaw(&Writer::default().add("x", SYMLINK, &[b'a'; 4097]).trailer()), Flaw::TargetLength(4097));
    assert_eq!(super::all(&Writer::default().add("x", SYMLINK, &[b'a'; 4096]).trailer())[0].data.len(), 4096);
    let mut bytes = Writer { with_sum: true, ..Writer::default() }.add("x", FILE, b"data").trailer();
    bytes[112] ^= 1;
    assert_eq!(flaw(&bytes), Flaw::Checksum);
}

#[test]
fn other_formats() {
    assert_eq!(flaw(&changed(0, b"070707")), Flaw::Format(Format::Odc));
    assert_eq!(flaw(&changed(0, b"070703")), Flaw::NotAnArchive);
    assert_eq!(flaw(b"hello, world"), Flaw::NotAnArchive);
    assert_eq!(flaw(b"\x1f\x8b\x08\0"), Flaw::NotAnArchive);
}

#[test]
fn zeroes_are_allowed_only_behind_trailers_and_in_fours() {
    let mut bytes = Writer::default().add("a", FILE, b"1").bytes;
    bytes.extend([0; 4]);
    assert_eq!(flaw(&bytes), Flaw::NotAnArchive);
    let one = Writer::default().trailer();
    assert_eq!(flaw(&[one.as_slice(), &[0; 2], &one].concat()), Flaw::Padding);
    assert_eq!(flaw(&[&[0; 3], one.as_slice()].concat()), Flaw::Padding);
    assert_eq!(flaw(&[one.as_slice(), b"junk"].concat()), Flaw::NotAnArchive);
}

#[test]
fn errors_name_the_entry_and_the_offset() {
    let bytes = Writer::default().add("good", FILE, b"1").add("bad/../\"x\"", FILE, b"").trailer();
    let error = error(&bytes);
    assert_eq!((error.offset, error.path.as_deref()), (120, Some("bad/../\"x\"")));
    let text = "ramdisk, offset 0x78, \"bad/../\\\"x\\\"\": the path has a component \"..\"";
    assert_eq!(error.to_string(), text);
    let bytes = Writer::default().add("long", FILE, b"12345678").bytes;
    let error = super::error(&bytes[..118]);
    assert_eq!(error.to_string(), "ramdisk, offset 0x0, \"long\": the archive is cut off");
}
