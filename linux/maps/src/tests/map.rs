use super::*;
use crate::{Access, Fault};

#[test]
fn placement_goes_from_the_top_down() {
    let mut maps = Maps::new(small());
    assert_eq!(map(&mut maps, object(0, page(2), 0)), Ok(page(110)));
    assert_eq!(map(&mut maps, anonymous(0, 1, RW)), Ok(page(109)));
    assert_eq!(map(&mut maps, anonymous(0, page(3), RW)), Ok(page(106)));
    // The two anonymous ones became one.
    assert_eq!(lines(&maps), ["106-110 rw-p 0", "110-112 r--p 0"]);
    assert_eq!((maps.pages(), maps.data_pages()), (6, 4));
}

#[test]
fn a_hint_is_taken_if_it_is_free() {
    let mut maps = Maps::new(small());
    assert_eq!(map(&mut maps, anonymous(page(50) + 5, page(2), RW)), Ok(page(50)));
    assert_eq!(map(&mut maps, anonymous(page(51), page(2), RW)), Ok(page(110)));
    assert_eq!(map(&mut maps, anonymous(page(3), page(2), RW)), Ok(page(16)), "a low hint is raised");
    assert_eq!(map(&mut maps, anonymous(page(120), page(2), RW)), Ok(page(120)), "also above the base");
}

#[test]
fn nothing_is_placed_into_the_guard_of_a_stack() {
    let mut maps = Maps::new(small());
    map(&mut maps, stack(108, 4)).unwrap();
    assert_eq!(map(&mut maps, anonymous(0, page(1), RW)), Ok(page(103)));
    assert_eq!(map(&mut maps, anonymous(page(104), page(1), RW)), Ok(page(102)), "no hint either");
    assert_eq!(map(&mut maps, fixed(anonymous(page(105), page(1), RW))), Ok(page(105)), "fixed is fixed");
}

#[test]
fn a_full_space_below_the_base_is_left_upwards() {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(object(page(16), page(96), 0))).unwrap();
    assert_eq!(map(&mut maps, anonymous(0, page(2), RW)), Ok(page(112)));
    assert_eq!(map(&mut maps, anonymous(0, page(15), RW)), Err(Error::NoMemory));
    assert_eq!(map(&mut maps, anonymous(0, page(14), RW)), Ok(page(114)));
    assert_eq!(map(&mut maps, anonymous(0, page(1), RW)), Err(Error::NoMemory));
}

#[test]
fn also_upwards_the_guard_of_a_stack_stays_free() {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(object(page(16), page(96), 0))).unwrap();
    map(&mut maps, stack(120, 2)).unwrap();
    assert_eq!(map(&mut maps, anonymous(0, page(5), RW)), Ok(page(122)));
    assert_eq!(map(&mut maps, anonymous(0, page(4), RW)), Ok(page(112)));
}

#[test]
fn fixed_replaces_and_reports() {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(object(page(20), page(10), 3))).unwrap();
    let mut seen = Vec::new();
    maps.map(fixed(anonymous(page(22), page(2), RW)), NO_LIMITS, |change| seen.push(told(change))).unwrap();
    assert_eq!(seen, ["unmapped 22-24"]);
    assert_eq!(lines(&maps), ["20-22 r--p 3", "22-24 rw-p 0", "24-30 r--p 7"]);
    // The file's pages in between again: all is one.
    map(&mut maps, fixed(object(page(22), page(2), 5))).unwrap();
    assert_eq!(lines(&maps), ["20-30 r--p 3"]);
}

#[test]
fn errors_of_mmap() {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(anonymous(page(20), page(1), RW))).unwrap();
    let mut fails = |request| map(&mut maps, request).unwrap_err();
    assert_eq!(fails(anonymous(0, 0, RW)), Error::Invalid);
    assert_eq!(fails(anonymous(0, u64::MAX, RW)), Error::NoMemory);
    assert_eq!(fails(Request { offset: 1, ..anonymous(0, 1, RW) }), Error::Invalid);
    assert_eq!(fails(fixed(anonymous(page(20) + 1, 1, RW))), Error::Invalid);
    assert_eq!(fails(fixed(anonymous(page(15), 1, RW))), Error::NotPermitted);
    assert_eq!(fails(fixed(anonymous(page(127), page(2), RW))), Error::NoMemory);
    let no_replace =
        |start| Request { placement: Placement::FixedNoReplace, ..anonymous(start, page(2), RW) };
    assert_eq!(fails(no_replace(page(19))), Error::Exists);
    assert_eq!(fails(Request { may: Prot::READ, ..anonymous(0, 1, RW) }), Error::Access);
    assert_eq!(fails(object(0, page(1), (1 << 51) - 1)), Error::Overflow);
    assert_eq!(fails(Request { backing: Back::Object(0), ..stack(30, 1) }), Error::Invalid);
    assert_eq!(map(&mut maps, no_replace(page(21))), Ok(page(21)));
    assert_eq!(map(&mut maps, object(0, page(1), (1 << 51) - 2)), Ok(page(111)));
}

#[test]
fn limits_count_what_is_replaced_once() {
    let mut maps = Maps::new(small());
    let limits = Limits { address_space: page(10), data: page(6), stack: 0 };
    let mut try_map = |request| maps.map(request, &limits, |_| ());
    assert_eq!(try_map(fixed(anonymous(page(20), page(6), RW))), Ok(page(20)));
    assert_eq!(try_map(fixed(anonymous(page(26), page(1), RW))), Err(Error::NoMemory));
    assert_eq!(try_map(fixed(anonymous(page(24), page(2), RW))), Ok(page(24)));
    assert_eq!(try_map(fixed(object(page(26), page(4), 0))), Ok(page(26)));
    assert_eq!(try_map(fixed(object(page(26), page(5), 0))), Err(Error::NoMemory));
    assert_eq!(try_map(fixed(object(page(20), page(10), 0))), Ok(page(20)));
}

#[test]
fn the_number_of_mappings_is_limited() {
    let mut maps = Maps::new(Layout { max_mappings: 2, ..small() });
    map(&mut maps, fixed(anonymous(page(20), page(10), RW))).unwrap();
    map(&mut maps, fixed(object(page(40), page(1), 0))).unwrap();
    assert_eq!(maps.unmap(page(22), page(1), |_| ()), Err(Error::NoMemory), "would be three");
    assert_eq!(maps.unmap(page(20), page(1), |_| ()), Ok(()));
    // As on Linux: one more than the limit by mmap, but not two.
    map(&mut maps, fixed(object(page(50), page(1), 0))).unwrap();
    assert_eq!(map(&mut maps, fixed(object(page(60), page(1), 0))), Err(Error::NoMemory));
    assert_eq!(maps.len(), 3);
}

#[test]
fn unmap_takes_what_is_there() {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(object(page(20), page(4), 0))).unwrap();
    map(&mut maps, fixed(object(page(30), page(4), 0))).unwrap();
    let mut seen = Vec::new();
    let mut unmap = |addr, len| maps.unmap(addr, len, |change| seen.push(told(change)));
    assert_eq!(unmap(page(22), page(10) + 1), Ok(()));
    assert_eq!(unmap(page(22), page(2)), Ok(()), "nothing is there, which is no error");
    assert_eq!(unmap(page(22) + 1, 1), Err(Error::Invalid));
    assert_eq!(unmap(page(22), 0), Err(Error::Invalid));
    assert_eq!(unmap(page(127), page(1) + 1), Err(Error::Invalid));
    assert_eq!(unmap(page(127), u64::MAX), Err(Error::Invalid));
    assert_eq!(seen, ["unmapped 22-24", "unmapped 30-33"]);
    assert_eq!(lines(&maps), ["20-22 r--p 0", "33-34 r--p 3"]);
}

#[test]
fn access_follows_the_permissions() {
    let mut maps = Maps::new(small());
    let (none, write, exec) = (Prot::empty(), Prot::WRITE, Prot::EXEC);
    for (first, prot) in [(20, none), (21, Prot::READ), (22, write), (23, exec)] {
        map(&mut maps, fixed(anonymous(page(first), page(1), prot))).unwrap();
    }
    let may = |at, access| maps.access(page(at), access).map(|_| ());
    for access in [Access::Read, Access::Write, Access::Execute] {
        assert_eq!(may(19, access), Err(Fault::NotMapped));
        assert_eq!(may(20, access), Err(Fault::NotPermitted));
    }
    assert_eq!(may(21, Access::Write), Err(Fault::NotPermitted));
    assert_eq!([may(22, Access::Read), may(22, Access::Write)], [Ok(()), Ok(())]);
    assert_eq!(may(22, Access::Execute), Err(Fault::NotPermitted));
    assert_eq!([may(23, Access::Read), may(23, Access::Execute)], [Ok(()), Ok(())]);
    assert_eq!(maps.accessible(page(21) + 1, page(10), Access::Read), page(3) - 1);
    assert!(
        maps.covers(page(21), page(3), Access::Read) && !maps.covers(page(21), page(3) + 1, Access::Read)
    );
    assert!(maps.covers(page(60), 0, Access::Read) && !maps.covers(page(60), u64::MAX, Access::Read));
}

#[test]
fn the_kernels_own_memory_merges_with_nothing() {
    let mut maps = Maps::new(small());
    let own =
        |first, offset| Request { flags: Flags::DONT_EXPAND, ..fixed(object(page(first), page(1), offset)) };
    map(&mut maps, own(20, 0)).unwrap();
    map(&mut maps, own(21, 1)).unwrap();
    assert_eq!(maps.len(), 2);
}

#[test]
fn fork_and_clear() {
    let mut maps = Maps::new(small());
    maps.set_brk(page(16), 0);
    map(&mut maps, object(0, page(2), 0)).unwrap();
    maps.brk(page(17), NO_LIMITS, Back::Anonymous, |_| ());
    let mut child = maps.fork().unwrap();
    assert!(child.iter().eq(maps.iter()));
    let mut seen = Vec::new();
    maps.clear(Layout { mmap_base: page(100), ..small() }, |change| seen.push(told(change)));
    assert_eq!(seen, ["unmapped 16-17", "unmapped 110-112"]);
    assert!(maps.is_empty() && maps.pages() == 0 && maps.data_pages() == 0 && maps.brk_now() == 0);
    assert_eq!(map(&mut maps, object(0, page(2), 0)), Ok(page(98)));
    assert_eq!((child.pages(), child.brk_now()), (3, page(17)));
    assert_eq!(child.brk(page(18), NO_LIMITS, Back::Anonymous, |_| ()), page(18));
}

#[test]
fn advise_reaches_what_is_mapped() {
    let mut maps = Maps::new(small());
    map(&mut maps, fixed(object(page(20), page(4), 0))).unwrap();
    map(&mut maps, fixed(anonymous(page(24), page(2), RW))).unwrap();
    map(&mut maps, fixed(anonymous(page(30), page(2), RW))).unwrap();
    let advise = |addr, len| {
        let mut seen = Vec::new();
        let result = maps.advise(addr, len, |range, _| seen.push((range.start / PAGE, range.end / PAGE)));
        (result, seen)
    };
    assert_eq!(advise(page(22), page(3)), (Ok(()), vec![(22, 24), (24, 25)]));
    assert_eq!(advise(page(22), page(10)), (Err(Error::NoMemory), vec![(22, 24), (24, 26), (30, 32)]));
    assert_eq!(advise(page(60), 0), (Ok(()), vec![]));
    assert_eq!(advise(page(60), 1), (Err(Error::NoMemory), vec![]));
    assert_eq!(advise(1, page(1)).0, Err(Error::Invalid));
    assert_eq!(advise(page(20), u64::MAX).0, Err(Error::Invalid));
    assert_eq!(advise(page(20), page(0).wrapping_sub(PAGE)).0, Err(Error::Invalid));
}
