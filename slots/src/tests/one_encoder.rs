//! The short way to an admitted request ([`NoProbe::admit_small`]) gives the answers of the long one, or none.

use std::vec::Vec;

use super::{DATA, Random, TEXT};
use crate::{Access, Admitted, Kind, NoProbe, Privilege, Request, VaSize};

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::ReadWrite];
const PRIVILEGES: [Privilege; 3] = [Privilege::El1, Privilege::El0, Privilege::Both];

/// The ends of the address space, of its halves and of the watched ranges, and the bytes around them.
fn addresses() -> Vec<u64> {
    [
        0,
        1 << 47,
        1 << 48,
        1 << 52,
        1 << 63,
        u64::MAX - (1 << 52),
        u64::MAX - (1 << 48),
        TEXT,
        DATA,
        u64::MAX - 15,
    ]
    .into_iter()
    .flat_map(|at: u64| (0..32).map(move |n| at.wrapping_sub(16).wrapping_add(n)))
    .collect()
}

/// Small lengths, every power of two, the ends of `u32`, `i64` and `u64`, and their neighbours.
fn lengths() -> Vec<u64> {
    (0..64)
        .map(|n| 1 << n)
        .chain([0, 1 << 31])
        .flat_map(|at: u64| (0..7).map(move |n| at.wrapping_sub(3).wrapping_add(n)))
        .collect()
}

/// Compares the answers of both ways. Returns whether the short way had an answer.
fn compare(no_probe: &NoProbe, request: &Request) -> bool {
    let small: Option<Admitted> = no_probe.admit_small(request);
    if let Some(small) = small {
        assert_eq!(Ok(small), no_probe.admit(request), "{request:x?}");
        let (control, kind) = (small.encoding().control, small.kind());
        assert!(kind == Kind::Breakpoint || control >> 5 & 0xff != 0, "no byte is watched: {request:x?}");
    }
    small.is_some()
}

#[test]
fn every_length_at_every_address_has_one_answer() {
    let no_probe = NoProbe { text: &[], data: &[], va: VaSize::Bits48 };
    let mut answered = 0;
    for address in addresses() {
        for privilege in PRIVILEGES {
            answered += u32::from(compare(&no_probe, &Request::Breakpoint { address, privilege }));
            for length in lengths() {
                for access in ACCESSES {
                    let request = Request::Watchpoint { address, length, access, privilege };
                    answered += u32::from(compare(&no_probe, &request));
                }
            }
        }
    }
    assert!(answered > 1000, "{answered}");
}

#[test]
fn what_one_doubleword_of_the_kernel_holds_goes_the_short_way() {
    let no_probe = NoProbe { text: &[], data: &[], va: VaSize::Bits48 };
    for privilege in [Privilege::El1, Privilege::Both] {
        for address in [TEXT, TEXT + 4, u64::MAX - 3] {
            assert!(compare(&no_probe, &Request::Breakpoint { address, privilege }), "{address:#x}");
        }
        for access in ACCESSES {
            for start in [DATA, u64::MAX - 7] {
                for (offset, length) in (0..8).flat_map(|offset| (1..=8 - offset).map(move |n| (offset, n))) {
                    let address = start + offset;
                    let request = Request::Watchpoint { address, length, access, privilege };
                    assert!(compare(&no_probe, &request), "{request:x?}");
                }
            }
        }
    }
}

#[test]
fn h6_is_enforced_on_the_short_way_as_on_the_long_one() {
    let mut random = Random(5);
    let mut refused = 0;
    for _ in 0..20_000 {
        // Some of these ranges are empty, and lie in the middle of the range asked for. An empty range refuses nothing.
        let mut range = || {
            let start = DATA + random.below(32);
            start..start + random.below(12)
        };
        let (text, data) = ([range(), range()], [range(), range()]);
        let no_probe = NoProbe { text: &text, data: &data, va: VaSize::Bits48 };
        let address = DATA + random.below(32);
        let (access, privilege) = (Access::Write, Privilege::El1);
        for request in [
            Request::Breakpoint { address: address & !3, privilege },
            Request::Watchpoint { address, length: 1 + random.below(8), access, privilege },
        ] {
            let small = compare(&no_probe, &request);
            if no_probe.admit(&request).is_err() {
                refused += 1;
                assert!(!small);
            } else {
                assert!(small, "{request:x?} {no_probe:x?}");
            }
        }
    }
    assert!(refused > 1000, "{refused}");
}
