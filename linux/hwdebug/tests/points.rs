//! Single words: what is accepted, what is read back, what is watched.

use hwdebug::{Access, Invalid, Kind, Point, Watched};
use proptest::prelude::*;

const EL0: u32 = 0b10 << 1;

fn control(bas: u32, access: u32) -> u32 {
    bas << 5 | access << 3 | EL0 | 1
}

fn set(kind: Kind, address: u64, control: u32) -> Result<Point, Invalid> {
    Point::new(kind).with_address(address)?.with_control(control)
}

/// The bytes that are watched.
fn bytes(point: &Point) -> Vec<u64> {
    point.watched().map_or(Vec::new(), |on| (on.address..on.address + on.length).collect())
}

#[test]
fn every_range_in_a_doubleword_can_be_watched_and_is_read_back() {
    for access in 1..=3 {
        for offset in 0..8_u32 {
            for length in 1..=8 - offset {
                let asked = control(((1 << length) - 1) << offset, access);
                let point = set(Kind::Watch, 0x1000, asked).unwrap();
                assert_eq!((point.address(), point.control()), (0x1000, asked));
                let first = 0x1000 + u64::from(offset);
                assert_eq!(bytes(&point), (first..first + u64::from(length)).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_breakpoint_is_one_instruction() {
    let point = set(Kind::Break, 0x1004, control(0xf, 0)).unwrap();
    assert_eq!((point.address(), point.control()), (0x1004, control(0xf, 0)));
    let watched = Watched { address: 0x1004, length: 4, access: Access::Execute };
    assert_eq!(point.watched(), Some(watched));
    // Whatever its length says.
    assert_eq!(set(Kind::Break, 0x1004, control(0xff, 0)), set(Kind::Break, 0x1004, control(0xff, 0)));
    let long = set(Kind::Break, 0x1004, control(0xff, 0)).unwrap();
    assert_eq!((long.control(), long.watched()), (control(0xf, 0), Some(watched)));
}

#[test]
fn a_breakpoint_in_the_middle_of_an_instruction_watches_nothing() {
    let point = set(Kind::Break, 0x1006, control(0xf, 0)).unwrap();
    assert_eq!((point.address(), point.control()), (0x1004, control(0x3c, 0)));
    assert_eq!(point.watched(), None);
}

#[test]
fn a_mask_that_reaches_past_the_doubleword_is_refused() {
    assert_eq!(set(Kind::Watch, 0x1005, control(0xff, 2)), Err(Invalid));
    assert_eq!(set(Kind::Watch, 0x1005, control(0xf, 2)), Err(Invalid));
    let point = set(Kind::Watch, 0x1005, control(0x7, 2)).unwrap();
    assert_eq!((point.address(), point.control()), (0x1000, control(0xe0, 2)));
    assert_eq!(bytes(&point), [0x1005, 0x1006, 0x1007]);
}

#[test]
fn a_slot_that_was_written_with_zeros_reads_as_a_disabled_one_of_four_bytes() {
    for (kind, read) in [(Kind::Watch, 0x1fc), (Kind::Break, 0x1e4)] {
        let point = set(kind, 0, 0).unwrap();
        assert_eq!((point.address(), point.control(), point.watched()), (0, read, None));
    }
}

#[test]
fn a_disabled_slot_keeps_its_length_and_kind() {
    let point = set(Kind::Watch, 0x1000, control(0x0c, 2)).unwrap();
    let off = point.with_address(0x2000).unwrap().with_control(0).unwrap();
    assert_eq!((off.address(), off.control(), off.watched()), (0x2000, control(0x03, 2) & !1, None));
}

#[test]
fn kernel_addresses_and_tags_are_refused_even_for_a_disabled_slot() {
    for address in [1 << 48, 1 << 56 | 0x1000, u64::MAX, u64::MAX - 7, !0 << 48] {
        for kind in [Kind::Watch, Kind::Break] {
            assert_eq!(Point::new(kind).with_address(address), Err(Invalid), "{address:#x}");
        }
    }
    assert!(set(Kind::Watch, (1 << 48) - 1, control(1, 1)).is_ok());
    assert_eq!(set(Kind::Watch, (1 << 48) - 1, control(2, 1)), Err(Invalid));
}

#[test]
fn gaps_and_the_other_kinds_accesses_are_refused() {
    for bas in 0..0x100_u32 {
        let ones = bas >> bas.trailing_zeros().min(31);
        let contiguous = bas != 0 && ones.count_ones() == 32 - ones.leading_zeros();
        assert_eq!(set(Kind::Watch, 0x1000, control(bas, 3)).is_ok(), contiguous, "{bas:#x}");
        assert_eq!(set(Kind::Break, 0x1000, control(bas, 0)).is_ok(), contiguous, "{bas:#x}");
    }
    assert_eq!(set(Kind::Watch, 0x1000, control(0xf, 0)), Err(Invalid));
    for access in 1..=3 {
        assert_eq!(set(Kind::Break, 0x1000, control(0xf, access)), Err(Invalid));
    }
    // A word that disables is not looked at.
    assert!(set(Kind::Watch, 0x1000, 0b101 << 5).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a tracer writes, what it reads stands for the same slot: written to a fresh slot it reads the same again, and watches the same
    /// bytes, which are those of the mask.
    #[test]
    fn what_is_read_can_be_written(
        watch: bool,
        words in proptest::collection::vec((any::<bool>(), any::<u64>(), 0..50_u32), 1..12),
    ) {
        let kind = if watch { Kind::Watch } else { Kind::Break };
        let mut point = Point::new(kind);
        for (is_address, word, shift) in words {
            let next = match is_address {
                true => point.with_address(word >> shift),
                false => point.with_control(word as u32),
            };
            if let Ok(next) = next {
                point = next;
            }
            let (address, control) = (point.address(), point.control());
            let alignment = if watch { 8 } else { 4 };
            prop_assert_eq!((address % alignment, address >> 48), (0, 0));
            prop_assert_eq!(control & 0b110, EL0);
            let mask = control >> 5 & 0xff;
            let marked: Vec<_> =
                (0..8).filter(|byte| mask >> byte & 1 != 0).map(|byte| address + byte).collect();
            if control & 1 == 0 {
                prop_assert_eq!(point.watched(), None);
                continue;
            }
            prop_assert_eq!(set(kind, address, control).map(|again| (again.address(), again.control())), Ok((address, control)));
            if watch || mask == 0xf {
                prop_assert_eq!(bytes(&point), marked);
            } else {
                prop_assert_eq!(point.watched(), None);
            }
        }
    }
}
