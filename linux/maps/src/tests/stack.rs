use super::*;

#[test]
fn grows_to_the_page_of_the_address() {
    let mut maps = Maps::new(small());
    map(&mut maps, stack(100, 2)).unwrap();
    assert_eq!(maps.grow_stack(page(90) + 7, NO_LIMITS), Ok(()));
    assert_eq!(maps.grow_stack(page(95), NO_LIMITS), Ok(()), "mapped by now");
    assert_eq!(lines(&maps), ["90-102 rw-p 0"]);
    assert_eq!((maps.pages(), maps.data_pages()), (12, 0), "a stack is not data");
    assert_eq!(maps.grow_stack(page(15), NO_LIMITS), Err(Error::NotPermitted));
    assert_eq!(maps.grow_stack(page(102), NO_LIMITS), Err(Error::Fault));
    assert_eq!(maps.grow_stack(u64::MAX, NO_LIMITS), Err(Error::Fault));
    map(&mut maps, fixed(object(page(60), page(1), 0))).unwrap();
    assert_eq!(maps.grow_stack(page(50), NO_LIMITS), Err(Error::Fault), "the next one above is no stack");
}

#[test]
fn keeps_its_guard() {
    let mut maps = Maps::new(small());
    map(&mut maps, stack(100, 2)).unwrap();
    map(&mut maps, fixed(anonymous(page(80), page(4), RW))).unwrap();
    assert_eq!(maps.grow_stack(page(87), NO_LIMITS), Err(Error::NoMemory));
    assert_eq!(maps.grow_stack(page(88), NO_LIMITS), Ok(()));
    maps.protect(page(83), page(1), 0, NO_LIMITS, |_| ()).unwrap();
    assert_eq!(maps.grow_stack(page(84), NO_LIMITS), Ok(()), "a mapping without permissions is a guard");
}

#[test]
fn keeps_to_the_limits() {
    let mut maps = Maps::new(small());
    map(&mut maps, stack(100, 2)).unwrap();
    let limits = |stack, address_space| Limits { stack, address_space, ..Limits::UNLIMITED };
    assert_eq!(maps.grow_stack(page(98), &limits(page(4) - 1, u64::MAX)), Err(Error::NoMemory));
    assert_eq!(maps.grow_stack(page(98), &limits(u64::MAX, page(3))), Err(Error::NoMemory));
    assert_eq!(maps.grow_stack(page(98), &limits(page(4), page(4))), Ok(()));
}

#[test]
fn does_not_merge_with_the_stack_below() {
    let mut maps = Maps::new(small());
    map(&mut maps, stack(100, 2)).unwrap();
    map(&mut maps, stack(80, 2)).unwrap();
    assert_eq!(maps.grow_stack(page(82), NO_LIMITS), Ok(()));
    assert_eq!(lines(&maps), ["80-82 rw-p 0", "82-102 rw-p 0"]);
}
