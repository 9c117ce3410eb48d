//! Random bytes and random damage: nothing panics, and entries lie within the archive.

use proptest::prelude::*;

use super::{FILE, SYMLINK, Writer};
use crate::gzip::tests::compress;
use crate::ramdisk::{Archive, Kind, expand};

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let limit = 10_000;
    let Ok(parts) = expand(bytes, limit) else { return Ok(()) };
    for part in parts {
        let mut before = None;
        for entry in Archive::new(&part) {
            let Ok(entry) = entry else { continue };
            prop_assert!(before < Some(entry.offset) && entry.offset < part.len());
            before = Some(entry.offset);
            prop_assert!(!entry.path.starts_with(b"/") && !entry.path.contains(&0));
            prop_assert!(entry.components().all(|component| component != b".."));
            prop_assert!(entry.data.is_empty() || matches!(entry.kind, Kind::File | Kind::Symlink));
            let range = part.as_ptr_range();
            prop_assert!(range.contains(&entry.data.as_ptr()) || entry.data.is_empty());
            prop_assert!(entry.link_to.is_none() || entry.nlink >= 2);
        }
    }
    Ok(())
}

fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::default();
    for (path, data) in files {
        let mode = if data.len() % 3 == 1 { SYMLINK } else { FILE };
        writer = writer.link(path, data.len() as u32, mode, data);
    }
    writer.trailer()
}

fn files() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    prop::collection::vec(("[a-z./]{1,12}", prop::collection::vec(1_u8.., 0..30)), 0..5)
}

fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"0123456789abcdefF\0./".as_slice())];
    prop::collection::vec((any::<prop::sample::Index>(), byte), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), magic: bool) {
        let magic = if magic { b"070701".as_slice() } else { b"" };
        check(&[magic, &bytes].concat())?;
    }

    #[test]
    fn random_digits(digits in prop::collection::vec(prop::sample::select(b"0000012f".as_slice()), 104..400)) {
        check(&[b"070701".as_slice(), &digits].concat())?;
    }

    #[test]
    fn damaged_archives(
        files in files(),
        more in files(),
        damage in damage(),
        compressed in 0..4,
        cut in any::<prop::sample::Index>(),
        is_cut in prop::bool::weighted(0.2),
    ) {
        let mut bytes = archive(&files);
        if compressed & 1 != 0 {
            bytes = compress(&bytes, 0);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let mut second = archive(&more);
        // Damage before the compression is not found by the checksum.
        for (at, value) in damage {
            if compressed & 1 != 0 {
                let at = at.index(second.len());
                second[at] = value;
            } else {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        bytes.extend(if compressed & 2 != 0 { compress(&second, 0) } else { second });
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        check(&bytes)?;
    }

    #[test]
    fn files_come_back(files in prop::collection::vec(("[a-z]{1,12}", prop::collection::vec(any::<u8>(), 0..30)), 0..8)) {
        let mut writer = Writer::default();
        for (path, data) in &files {
            writer = writer.add(path, FILE, data);
        }
        let bytes = compress(&writer.trailer(), 0);
        let parts = expand(&bytes, 1 << 20).unwrap();
        let entries: Vec<_> = Archive::new(&parts[0]).map(Result::unwrap).collect();
        prop_assert_eq!(entries.len(), files.len());
        for (entry, (path, data)) in entries.iter().zip(&files) {
            prop_assert_eq!((entry.path, entry.data), (path.as_bytes(), data.as_slice()));
        }
    }
}
