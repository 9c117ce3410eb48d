use super::*;

fn set(maps: &mut Maps<Back>, wanted: u64) -> u64 {
    maps.brk(wanted, NO_LIMITS, Back::Anonymous, |_| ())
}

fn with_brk() -> Maps<Back> {
    let mut maps = Maps::new(small());
    maps.set_brk(page(20) + 0x123, 0);
    maps
}

#[test]
fn grows_and_shrinks_by_pages() {
    let mut maps = with_brk();
    assert_eq!(set(&mut maps, 0), page(20) + 0x123);
    // The first page is the program file's, if anybody's.
    assert_eq!(set(&mut maps, page(21)), page(21));
    assert!(maps.is_empty());
    assert_eq!(set(&mut maps, page(24) + 1), page(24) + 1);
    assert_eq!(lines(&maps), ["21-25 rw-p 0"]);
    let mut seen = Vec::new();
    maps.brk(page(22), NO_LIMITS, Back::Anonymous, |change| seen.push(told(change)));
    assert_eq!(seen, ["unmapped 22-25"]);
    assert_eq!((maps.brk_start(), maps.brk_now()), (page(20) + 0x123, page(22)));
    assert_eq!(set(&mut maps, page(20)), page(22), "below the start");
}

#[test]
fn fixed_mappings_may_replace_its_pages() {
    let mut maps = with_brk();
    set(&mut maps, page(23));
    map(&mut maps, fixed(anonymous(page(21), page(1), Prot::empty()))).unwrap();
    assert_eq!(set(&mut maps, page(24)), page(24));
    assert_eq!(lines(&maps), ["21-22 ---p 0", "22-24 rw-p 0"]);
    maps.unmap(page(22), page(2), |_| ()).unwrap();
    assert_eq!(set(&mut maps, page(23)), page(24), "there are no pages to give back");
    assert_eq!(set(&mut maps, page(21)), page(21));
    assert!(maps.is_empty());
}

#[test]
fn keeps_away_from_the_next_mapping() {
    let mut maps = with_brk();
    map(&mut maps, fixed(object(page(30), page(1), 0))).unwrap();
    assert_eq!(set(&mut maps, page(29) + 1), page(20) + 0x123);
    assert_eq!(set(&mut maps, page(29)), page(29));
    map(&mut maps, stack(30, 1)).unwrap();
    set(&mut maps, page(24));
    assert_eq!(set(&mut maps, page(25) + 1), page(24), "a stack needs its guard, too");
    assert_eq!(set(&mut maps, page(25)), page(25));
}

#[test]
fn limits_keep_it() {
    let mut maps = with_brk();
    maps.set_brk(page(20), page(3));
    let mut within = |wanted, limits: Limits| maps.brk(wanted, &limits, Back::Anonymous, |_| ());
    let data = |data| Limits { data, ..Limits::UNLIMITED };
    assert_eq!(within(page(22), data(page(5) - 1)), page(20));
    assert_eq!(within(page(22), data(page(5))), page(22));
    assert_eq!(within(page(25), Limits { address_space: page(4), ..data(u64::MAX) }), page(22));
    for wanted in [page(129), u64::MAX, u64::MAX - PAGE, 1 << 63] {
        assert_eq!(within(wanted, data(u64::MAX)), page(22));
    }
    assert_eq!(within(page(128), data(u64::MAX)), page(128));
}
