use super::*;

const READ: u64 = 1;
const READ_WRITE: u64 = 3;
const GROWS_DOWN: u64 = 0x0100_0000;
const GROWS_UP: u64 = 0x0200_0000;

fn protect(maps: &mut Maps<Back>, addr: u64, len: u64, bits: u64) -> (Result<(), Error>, Vec<String>) {
    let mut seen = Vec::new();
    let result = maps.protect(addr, len, bits, NO_LIMITS, |change| seen.push(told(change)));
    (result, seen)
}

fn ten_pages() -> Maps<Back> {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(anonymous(page(20), page(10), RW))).unwrap();
    maps
}

#[test]
fn a_part_becomes_a_mapping_and_again_one() {
    let mut maps = ten_pages();
    assert_eq!(protect(&mut maps, page(22), page(1) + 1, READ), (Ok(()), vec!["protected 22-24 1".into()]));
    assert_eq!(lines(&maps), ["20-22 rw-p 0", "22-24 r--p 0", "24-30 rw-p 0"]);
    assert_eq!(maps.data_pages(), 8);
    assert_eq!(protect(&mut maps, page(22), page(1), READ), (Ok(()), vec![]), "it is so already");
    assert_eq!(protect(&mut maps, page(23), page(2), READ), (Ok(()), vec!["protected 24-25 1".into()]));
    assert_eq!(lines(&maps), ["20-22 rw-p 0", "22-25 r--p 0", "25-30 rw-p 0"]);
    protect(&mut maps, page(20), page(10), READ_WRITE).0.unwrap();
    assert_eq!(lines(&maps), ["20-30 rw-p 0"]);
}

#[test]
fn a_hole_ends_it_after_the_part_below() {
    let mut maps = ten_pages();
    maps.unmap(page(25), page(1), |_| ()).unwrap();
    let seen = vec!["protected 24-25 1".into()];
    assert_eq!(protect(&mut maps, page(24), page(4), READ), (Err(Error::NoMemory), seen));
    assert_eq!(lines(&maps), ["20-24 rw-p 0", "24-25 r--p 0", "26-30 rw-p 0"]);
    assert_eq!(protect(&mut maps, page(19), page(2), READ), (Err(Error::NoMemory), vec![]));
}

#[test]
fn a_file_that_may_not_be_written_ends_it() {
    let mut maps = ten_pages();
    let flags = Flags::SHARED;
    map(&mut maps, Request { may: Prot::READ, flags, ..fixed(object(page(22), page(2), 0)) }).unwrap();
    let seen = vec!["protected 20-22 7".into()];
    assert_eq!(protect(&mut maps, page(20), page(10), 7), (Err(Error::Access), seen));
    assert_eq!(lines(&maps), ["20-22 rwxp 0", "22-24 r--s 0", "24-30 rw-p 0"]);
}

#[test]
fn errors_before_any_change() {
    let mut maps = ten_pages();
    let mut fails = |addr, len, bits| {
        let (result, seen) = protect(&mut maps, addr, len, bits);
        assert!(seen.is_empty());
        result
    };
    assert_eq!(fails(page(20) + 1, page(1), READ), Err(Error::Invalid));
    assert_eq!(fails(page(20), page(1), GROWS_DOWN | GROWS_UP), Err(Error::Invalid));
    assert_eq!(fails(page(20), 0, 1 << 40), Ok(()), "no length comes before unknown bits");
    assert_eq!(fails(page(20), page(1), 1 << 40 | READ), Err(Error::Invalid));
    assert_eq!(fails(page(20), u64::MAX, READ), Err(Error::NoMemory));
    assert_eq!(fails(page(20), u64::MAX - page(20) + 1, READ), Err(Error::NoMemory));
    assert_eq!(fails(page(20), page(1), GROWS_DOWN), Err(Error::Invalid), "it is no stack");
    assert_eq!(fails(page(20), page(1), GROWS_UP), Err(Error::Invalid));
    assert_eq!(fails(page(60), page(1), GROWS_UP), Err(Error::NoMemory));
}

#[test]
fn grows_down_begins_at_the_stack() {
    let mut maps = Maps::new(small());
    map(&mut maps, stack(100, 8)).unwrap();
    let seen = vec!["protected 100-104 7".into()];
    assert_eq!(protect(&mut maps, page(102), page(2), GROWS_DOWN | 7), (Ok(()), seen));
    assert_eq!(lines(&maps), ["100-104 rwxp 0", "104-108 rw-p 0"]);
}

#[test]
fn rlimit_data_counts_pages_that_become_writable() {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(anonymous(page(20), page(10), Prot::READ))).unwrap();
    let limits = Limits { data: page(4), ..Limits::UNLIMITED };
    let mut write = |first, pages| maps.protect(page(first), page(pages), READ_WRITE, &limits, |_| ());
    assert_eq!(write(20, 5), Err(Error::NoMemory));
    assert_eq!(write(20, 3), Ok(()));
    assert_eq!(write(20, 4), Ok(()), "three of them are counted already");
    assert_eq!(write(24, 1), Err(Error::NoMemory));
}

#[test]
fn the_number_of_mappings_is_limited() {
    let mut maps = Maps::new(Layout { max_mappings: 2, ..small() });
    map(&mut maps, fixed(anonymous(page(20), page(10), RW))).unwrap();
    assert_eq!(protect(&mut maps, page(22), page(2), READ), (Err(Error::NoMemory), vec![]));
    assert_eq!(lines(&maps), ["20-30 rw-p 0"]);
    protect(&mut maps, page(20), page(2), READ).0.unwrap();
    // Only the border moves.
    protect(&mut maps, page(22), page(2), READ).0.unwrap();
    assert_eq!(lines(&maps), ["20-24 r--p 0", "24-30 rw-p 0"]);
}
