//! The bytes of the structure.

use hwdebug::{Change, Invalid, Kind, MOST, Point, SIZE, changes, encode, info};
use proptest::prelude::*;

type Word = Result<(usize, Change), Invalid>;

fn all(bytes: &[u8]) -> Result<Vec<Word>, Invalid> {
    changes(bytes).map(Iterator::collect)
}

#[test]
fn the_layout_is_that_of_the_header() {
    assert_eq!((SIZE, MOST), (264, 16));
    assert_eq!((info(4, 6), info(6, 6)), (0x0604, 0x0606));
    let mut points = [None; MOST];
    for nth in [0, 15] {
        let point = Point::new(Kind::Watch).with_address(0x1122_3344_5500 + nth as u64 * 8);
        points[nth] = point.and_then(|point| point.with_control(0x1f7)).ok();
    }
    let bytes = encode(0x0604, &points);
    let mut expected = [0; SIZE];
    expected[..2].copy_from_slice(&[4, 6]);
    expected[8..18].copy_from_slice(&[0, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0xf5, 1]);
    expected[248..258].copy_from_slice(&[0x78, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0xf5, 1]);
    assert_eq!(bytes, expected);
}

#[test]
fn what_is_not_given_is_no_change() {
    let mut bytes = [0; SIZE + 12];
    bytes[8] = 1;
    bytes[16] = 2;
    bytes[24] = 3;
    bytes[32] = 4;
    let words = [
        Ok((0, Change::Address(1))),
        Ok((0, Change::Control(2))),
        Ok((1, Change::Address(3))),
        Ok((1, Change::Control(4))),
    ];
    for (length, count) in [(0, 0), (4, 0), (8, 0), (16, 1), (20, 2), (24, 2), (32, 3), (36, 4), (40, 4)] {
        assert_eq!(all(&bytes[..length]).unwrap(), words[..count], "{length} bytes");
    }
    assert_eq!(all(&bytes).unwrap().len(), 2 * MOST);
    assert_eq!(all(&bytes[..SIZE]), all(&bytes));
}

#[test]
fn an_address_that_is_cut_short_is_an_error_after_the_words_before_it() {
    let bytes = [0; SIZE];
    let first = [Ok((0, Change::Address(0))), Ok((0, Change::Control(0))), Err(Invalid)];
    assert_eq!(all(&bytes[..28]).unwrap(), first);
    assert_eq!(all(&bytes[..12]).unwrap(), [Err(Invalid)]);
}

#[test]
fn only_whole_words_are_taken() {
    for length in (0..SIZE).filter(|length| length % 4 != 0) {
        assert_eq!(all(&[0; SIZE][..length]), Err(Invalid), "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A tracer writes bytes, reads the structure, writes what it has read, and reads the same again, as long as every slot is enabled.
    #[test]
    fn any_bytes_are_taken_or_refused(watch: bool, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let kind = if watch { Kind::Watch } else { Kind::Break };
        let write = |bytes: &[u8]| {
            let mut points = [None; MOST];
            let Ok(changes) = changes(bytes) else { return points };
            for change in changes {
                let Ok((nth, change)) = change else { break };
                let point = points[nth].unwrap_or(Point::new(kind));
                let next = match change {
                    // An address that may be taken, else the words behind it would hardly ever be reached.
                    Change::Address(address) => point.with_address(address >> 17),
                    Change::Control(control) => point.with_control(control),
                };
                points[nth] = Some(next.unwrap_or(point));
            }
            points
        };
        let points = write(&bytes);
        let read = encode(0x0604, &points);
        for (nth, point) in points.iter().enumerate().filter(|(_, point)| point.is_some()) {
            let again = all(&read).unwrap();
            let Some(point) = point else { continue };
            prop_assert_eq!(again[2 * nth], Ok((nth, Change::Address(point.address()))));
            prop_assert_eq!(again[2 * nth + 1], Ok((nth, Change::Control(point.control()))));
        }
    }
}
