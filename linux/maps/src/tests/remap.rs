use super::*;
use crate::Remap;

fn remap(maps: &mut Maps<Back>, addr: u64, old: u64, new: u64) -> Remapped {
    run(maps, Remap { addr: page(addr), old_len: page(old), new_len: page(new), flags: 1, new_addr: 0 })
}

fn remap_to(maps: &mut Maps<Back>, addr: u64, old: u64, new: u64, to: u64) -> Remapped {
    run(
        maps,
        Remap { addr: page(addr), old_len: page(old), new_len: page(new), flags: 3, new_addr: page(to) },
    )
}

type Remapped = (Result<u64, Error>, Vec<String>);

fn run(maps: &mut Maps<Back>, request: Remap) -> Remapped {
    let mut seen = Vec::new();
    let result = maps.remap(request, NO_LIMITS, |_| Ok(()), |change| seen.push(told(change)));
    (result.map(|addr| addr / PAGE), seen)
}

fn told_of(changes: &[&str]) -> Vec<String> {
    changes.iter().map(|&change| change.into()).collect()
}

fn ten_pages() -> Maps<Back> {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(object(page(20), page(10), 3))).unwrap();
    maps
}

#[test]
fn shrinks_in_place() {
    let mut maps = ten_pages();
    assert_eq!(remap(&mut maps, 20, 10, 4), (Ok(20), told_of(&["unmapped 24-30"])));
    assert_eq!(remap(&mut maps, 20, 4, 4), (Ok(20), vec![]));
    assert_eq!(lines(&maps), ["20-24 r--p 3"]);
}

#[test]
fn grows_in_place_and_merges() {
    let mut maps = ten_pages();
    map(&mut maps, fixed(object(page(32), page(2), 15))).unwrap();
    assert_eq!(remap(&mut maps, 25, 5, 7), (Ok(25), vec![]));
    assert_eq!(lines(&maps), ["20-34 r--p 3"]);
    assert_eq!(maps.pages(), 14);
}

#[test]
fn moves_to_grow() {
    let mut maps = ten_pages();
    assert_eq!(remap(&mut maps, 22, 2, 4), (Ok(108), told_of(&["moved 22-24 to 108"])));
    assert_eq!(lines(&maps), ["20-22 r--p 3", "24-30 r--p 7", "108-112 r--p 5"]);
    let stays = Remap { addr: page(20), old_len: page(1), new_len: page(2), flags: 0, new_addr: 0 };
    assert_eq!(run(&mut maps, stays), (Err(Error::NoMemory), vec![]));
}

#[test]
fn moves_to_a_fixed_address() {
    let mut maps = ten_pages();
    map(&mut maps, fixed(anonymous(page(40), page(4), RW))).unwrap();
    let seen = told_of(&["unmapped 41-43", "unmapped 22-24", "moved 20-22 to 41"]);
    assert_eq!(remap_to(&mut maps, 20, 4, 2, 41), (Ok(41), seen));
    assert_eq!(lines(&maps), ["24-30 r--p 7", "40-41 rw-p 0", "41-43 r--p 3", "43-44 rw-p 0"]);
}

#[test]
fn moves_within_its_own_mapping() {
    let mut maps = ten_pages();
    let seen = told_of(&["unmapped 25-27", "moved 20-22 to 25"]);
    assert_eq!(remap_to(&mut maps, 20, 2, 2, 25), (Ok(25), seen));
    assert_eq!(lines(&maps), ["22-25 r--p 5", "25-27 r--p 3", "27-30 r--p 10"]);
}

#[test]
fn an_old_length_of_zero_maps_shared_memory_twice() {
    let mut maps = ten_pages();
    assert_eq!(remap(&mut maps, 20, 0, 2), (Err(Error::Invalid), vec![]), "it is private");
    map(&mut maps, Request { flags: Flags::SHARED, ..fixed(object(page(40), page(4), 0)) }).unwrap();
    assert_eq!(remap(&mut maps, 41, 0, 2), (Ok(110), vec![]));
    assert_eq!(remap_to(&mut maps, 41, 0, 2, 41), (Err(Error::Fault), vec![]));
    assert_eq!(lines(&maps), ["20-30 r--p 3", "40-44 r--s 0", "110-112 r--s 1"]);
}

#[test]
fn errors_change_nothing() {
    let mut maps = ten_pages();
    map(&mut maps, fixed(anonymous(page(30), page(2), RW))).unwrap();
    let own = Flags::DONT_EXPAND;
    map(&mut maps, Request { flags: own, ..fixed(object(page(50), page(2), 0)) }).unwrap();
    let before = lines(&maps);
    let request = Remap { addr: page(20), old_len: page(2), new_len: page(4), flags: 3, new_addr: page(60) };
    let mut fails = |request| {
        let (result, seen) = run(&mut maps, request);
        assert_eq!(seen, Vec::<String>::new());
        assert_eq!(lines(&maps), before);
        result.unwrap_err()
    };
    assert_eq!(fails(Remap { flags: 2, ..request }), Error::Invalid, "FIXED needs MAYMOVE");
    assert_eq!(fails(Remap { flags: 5, ..request }), Error::Invalid, "DONTUNMAP");
    assert_eq!(fails(Remap { addr: page(20) + 1, ..request }), Error::Invalid);
    assert_eq!(fails(Remap { new_len: 0, ..request }), Error::Invalid);
    assert_eq!(fails(Remap { new_len: u64::MAX, ..request }), Error::Invalid, "it wraps to 0");
    assert_eq!(fails(Remap { addr: page(40), ..request }), Error::Fault);
    assert_eq!(
        fails(Remap { old_len: page(11), new_len: page(12), ..request }),
        Error::Fault,
        "two mappings"
    );
    assert_eq!(fails(Remap { new_addr: page(21), ..request }), Error::Invalid, "they overlap");
    assert_eq!(fails(Remap { new_addr: page(60) + 1, ..request }), Error::Invalid);
    assert_eq!(fails(Remap { new_addr: page(126), ..request }), Error::Invalid);
    assert_eq!(fails(Remap { new_addr: page(12), ..request }), Error::NotPermitted);
    assert_eq!(fails(Remap { addr: page(50), ..request }), Error::Fault, "it does not expand");
    assert_eq!(fails(Remap { old_len: 1 << 63, new_len: page(1), ..request }), Error::Invalid);
    assert_eq!(fails(Remap { old_len: u64::MAX - 2 * PAGE, ..request }), Error::Invalid);
    assert_eq!(fails(Remap { new_len: page(113), flags: 1, ..request }), Error::NoMemory);
    let (huge, less) = (0u64.wrapping_sub(PAGE), 0u64.wrapping_sub(2 * PAGE));
    assert_eq!(fails(Remap { old_len: huge, new_len: less, flags: 1, ..request }), Error::Invalid);
    // A move alone is fine, also of what does not expand.
    assert_eq!(remap_to(&mut maps, 50, 2, 2, 60).0, Ok(60));
}

#[test]
fn without_page_tables_for_the_destination_nothing_moves() {
    let mut maps = ten_pages();
    map(&mut maps, fixed(anonymous(page(40), page(4), RW))).unwrap();
    let before = lines(&maps);
    let request = Remap { addr: page(20), old_len: page(4), new_len: page(2), flags: 3, new_addr: page(41) };
    let refuse = |range| {
        assert_eq!(range, page(41)..page(43));
        Err(Error::NoMemory)
    };
    let result = maps.remap(request, NO_LIMITS, refuse, |_| panic!("no change"));
    assert_eq!(result, Err(Error::NoMemory));
    assert_eq!(lines(&maps), before);
}

#[test]
fn limits() {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(anonymous(page(20), page(4), RW))).unwrap();
    map(&mut maps, fixed(anonymous(page(40), page(4), RW))).unwrap();
    let request = Remap { addr: page(20), old_len: page(4), new_len: page(6), flags: 1, new_addr: 0 };
    let mut within = |request, pages| {
        let limits = Limits { data: page(pages), ..Limits::UNLIMITED };
        maps.remap(request, &limits, |_| Ok(()), |_| ())
    };
    assert_eq!(within(request, 9), Err(Error::NoMemory));
    // The two pages that the destination gives back are enough.
    assert_eq!(within(Remap { flags: 3, new_addr: page(42), ..request }, 7), Err(Error::NoMemory));
    assert_eq!(within(Remap { flags: 3, new_addr: page(42), ..request }, 8), Ok(page(42)));
}

#[test]
fn a_move_needs_room_for_three_more_mappings() {
    for (max, result) in [(5, Err(Error::NoMemory)), (6, Ok(110))] {
        let mut maps = Maps::new(Layout { max_mappings: max, ..small() });
        map(&mut maps, fixed(object(page(20), page(1), 0))).unwrap();
        map(&mut maps, fixed(anonymous(page(21), page(1), RW))).unwrap();
        assert_eq!(remap(&mut maps, 20, 1, 2).0, result);
    }
}
