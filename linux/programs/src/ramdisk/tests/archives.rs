//! Archives that are right.

use super::{CHARACTER, DIRECTORY, FILE, Numbers, SYMLINK, Writer, all, paths};
use crate::ramdisk::{Archive, Kind};

#[test]
fn entries() {
    let mut writer = Writer::default()
        .add(".", DIRECTORY, b"")
        .add("bin", DIRECTORY, b"")
        .add("bin/sh", FILE, b"#!x")
        .add("bin/ash", SYMLINK, b"sh");
    let numbers = Numbers { ino: 9, mode: CHARACTER, nlink: 1, rdev: (5, 1) };
    writer.add_numbers("dev/console", numbers, b"");
    let bytes = writer.trailer();
    let entries = all(&bytes);
    assert_eq!(paths(&bytes), ["", "bin", "bin/sh", "bin/ash", "dev/console"]);
    let kinds = [Kind::Directory, Kind::Directory, Kind::File, Kind::Symlink, Kind::CharacterDevice];
    assert!(entries.iter().map(|entry| entry.kind).eq(kinds));
    let file = entries[2];
    assert_eq!((file.data, file.mode, file.uid, file.gid), (b"#!x".as_slice(), FILE, 1000, 1001));
    assert_eq!((file.mtime, file.ino, file.nlink, file.link_to), (1_700_000_000, 1, 1, None));
    assert_eq!(file.offset, 112 + 116);
    assert_eq!(entries[3].data, b"sh");
    assert_eq!((entries[4].rdev, entries[4].ino), ((5, 1), 9));
}

#[test]
fn all_types() {
    let types = [
        (0o010_000, Kind::Fifo),
        (0o020_000, Kind::CharacterDevice),
        (0o040_000, Kind::Directory),
        (0o060_000, Kind::BlockDevice),
        (0o100_000, Kind::File),
        (0o140_000, Kind::Socket),
    ];
    for (mode, kind) in types {
        assert_eq!(all(&Writer::default().add("x", mode | 0o4755, b"").trailer())[0].kind, kind);
    }
}

#[test]
fn paths_begin_at_the_root() {
    let names = ["/", "./", "/a", "//./b/", "./c", ".d", "..e", "f/./g//h/", "i..", "/./", "j/..k"];
    let writer = names.iter().fold(Writer::default(), |writer, name| writer.add(name, DIRECTORY, b""));
    let bytes = writer.trailer();
    assert_eq!(paths(&bytes), ["", "", "a", "b", "c", ".d", "..e", "f/./g//h", "i..", "", "j/..k"]);
    assert!(all(&bytes)[7].components().eq([b"f", b"g", b"h"]));
    assert_eq!(all(&bytes)[0].components().next(), None);
}

#[test]
fn the_format_with_sums() {
    let writer = Writer { with_sum: true, ..Writer::default() };
    let bytes = writer.add("a", FILE, b"data").add("b", SYMLINK, b"a").trailer();
    assert_eq!(all(&bytes)[0].data, b"data");
}

#[test]
fn digits_of_both_cases() {
    let bytes = Writer::default().add("a", FILE, &[1; 0xab]).bytes;
    let lower = bytes.to_ascii_lowercase();
    assert_eq!(all(&lower)[0].data, [1; 0xab]);
    assert_eq!(all(&bytes)[0].data, [1; 0xab]);
}

#[test]
fn a_path_padded_with_nuls() {
    let bytes = Writer::default().add("a\0\0\0\0\0", FILE, b"data").trailer();
    assert_eq!((paths(&bytes), all(&bytes)[0].data), (vec!["a"], b"data".as_slice()));
}

#[test]
fn archives_one_behind_the_other() {
    let one = Writer::default().add("a", FILE, b"1").trailer();
    let two = Writer::default().add("b", FILE, b"2").trailer();
    assert_eq!(paths(&[one.as_slice(), &two].concat()), ["a", "b"]);
    assert_eq!(paths(&[&[0; 8], one.as_slice(), &[0; 512], &two, &[0; 3]].concat()), ["a", "b"]);
}

#[test]
fn a_trailer_may_be_missing() {
    let bytes = Writer::default().add("a", FILE, b"1234").bytes;
    assert_eq!(paths(&bytes), ["a"]);
    assert_eq!(paths(&[]), Vec::<&str>::new());
    // Nor need the end be padded.
    let bytes = Writer::default().add("abcd", FILE, b"12345").bytes;
    assert_eq!(all(&bytes[..bytes.len() - 3])[0].data, b"12345");
    let bytes = Writer::default().add("abcd", FILE, b"").bytes;
    assert_eq!(paths(&bytes[..bytes.len() - 1]), ["abcd"]);
}

#[test]
fn hard_links_name_the_first_entry() {
    let bytes = Writer::default()
        .link("a", 7, FILE, b"")
        .link("other", 8, FILE, b"8")
        .link("./b", 7, FILE, b"")
        .link("device", 7, CHARACTER, b"")
        .link("c", 7, FILE, b"data")
        .link("dir", 7, DIRECTORY, b"")
        .link("dir2", 7, DIRECTORY, b"")
        .link("s1", 7, SYMLINK, b"a")
        .link("s2", 7, SYMLINK, b"a")
        .link("device2", 7, CHARACTER, b"")
        .add("single", FILE, b"")
        .add("same inode", FILE, b"")
        .trailer();
    let links: Vec<_> = all(&bytes).iter().map(|entry| entry.link_to).collect();
    let a = Some(b"a".as_slice());
    let device = Some(b"device".as_slice());
    assert_eq!(links, [None, None, a, None, a, None, None, None, None, device, None, None]);
    assert_eq!(all(&bytes)[4].data, b"data");
}

#[test]
fn hard_links_do_not_cross_archives() {
    let one = Writer::default().link("a", 7, FILE, b"1").trailer();
    let two = Writer::default().link("b", 7, FILE, b"2").trailer();
    let bytes = [one, two].concat();
    assert!(all(&bytes).iter().all(|entry| entry.link_to.is_none()));
}

#[test]
fn many_hard_links() {
    let count = 2000;
    let mut writer = Writer::default();
    for number in (0..2 * count).rev() {
        writer = writer.link(&format!("{number}"), number % count, FILE, b"");
    }
    let bytes = writer.trailer();
    for entry in Archive::new(&bytes).map(Result::unwrap).skip(count as usize) {
        assert_eq!(entry.link_to, Some(format!("{}", entry.ino + count).as_bytes()));
    }
}
