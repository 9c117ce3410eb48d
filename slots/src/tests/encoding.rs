use std::string::ToString;
use std::vec::Vec;

use super::{DATA, Random, TEXT};
use crate::fake::{FakeRegs, Hit, Level};
use crate::{Access, Encoding, Kind, Pieces, Privilege, Request, SlotError, VaSize, arm};

fn watch(address: u64, length: u64) -> Request {
    Request::Watchpoint { address, length, access: Access::ReadWrite, privilege: Privilege::El1 }
}

fn user(address: u64, length: u64) -> Request {
    Request::Watchpoint { address, length, access: Access::ReadWrite, privilege: Privilege::El0 }
}

fn armed(request: &Request) -> FakeRegs {
    let mut regs = FakeRegs::zeroed(1, 1);
    arm(&mut regs, request.kind(), 0, request.encode().expect("encodable"));
    regs
}

#[test]
fn the_register_contents_are_those_of_the_manual() {
    let at = |privilege| Request::Breakpoint { address: 0x40_0000, privilege }.encode().expect("encodable");
    assert_eq!(at(Privilege::El1), Encoding { value: 0x40_0000, control: 0x1e2 });
    assert_eq!(at(Privilege::El0), Encoding { value: 0x40_0000, control: 0x1e4 });
    assert_eq!(at(Privilege::Both), Encoding { value: 0x40_0000, control: 0x1e6 });
    assert_eq!(at(Privilege::El1).enabled(), 0x1e3);

    let watch = |address, length, access| {
        Request::Watchpoint { address, length, access, privilege: Privilege::El1 }
            .encode()
            .expect("encodable")
    };
    assert_eq!(watch(DATA, 8, Access::Write), Encoding { value: DATA, control: 0x1ff2 });
    assert_eq!(watch(DATA + 4, 4, Access::Read), Encoding { value: DATA, control: 0xf0 << 5 | 0xa });
    assert_eq!(
        watch(DATA, 4096, Access::ReadWrite),
        Encoding { value: DATA, control: 12 << 24 | 0x1ff0 | 0xa }
    );
    assert_eq!(watch(0, 1 << 31, Access::Write).control >> 24, 31);
}

#[test]
fn bas_is_shifted_by_the_offset_in_the_doubleword() {
    for offset in 0..8 {
        for length in 1..=8 {
            let request = watch(DATA + offset, length);
            if offset + length > 8 {
                assert_eq!(
                    request.encode(),
                    Err(SlotError::CrossesDoubleword { address: DATA + offset, length })
                );
                continue;
            }
            let encoding = request.encode().expect("encodable");
            assert_eq!(encoding.value & 7, 0, "bit 2 of the value register is deprecated");
            assert_eq!(encoding.watched(), (DATA + offset, DATA + offset + length - 1));
            let regs = armed(&request);
            for byte in DATA - 16..DATA + 24 {
                let wanted = byte >= DATA + offset && byte < DATA + offset + length;
                let hit = regs.watchpoint(0, byte, true, Level::El1);
                assert_eq!(hit, if wanted { Hit::Always } else { Hit::Never }, "{offset} {length} {byte:#x}");
            }
        }
    }
}

#[test]
fn a_masked_range_matches_from_its_first_to_its_last_byte() {
    for power in 4..=31 {
        let length = 1u64 << power;
        let start = 0xffff_8000_0000_0000 + 5 * length;
        let request = watch(start, length);
        assert_eq!(request.encode().expect("encodable").watched(), (start, start + length - 1));
        let regs = armed(&request);
        let hit = |address| regs.watchpoint(0, address, false, Level::El1);
        assert_eq!(
            [start - 1, start, start + length / 2 + 3, start + length - 1, start + length].map(hit),
            [Hit::Never, Hit::Always, Hit::Always, Hit::Always, Hit::Never],
            "2^{power}"
        );
        let misaligned = watch(start + length / 2, length).encode();
        assert_eq!(misaligned, Err(SlotError::Misaligned { address: start + length / 2, alignment: length }));
    }
}

#[test]
fn access_and_privilege_select() {
    for access in [Access::Read, Access::Write, Access::ReadWrite] {
        for privilege in [Privilege::El1, Privilege::El0, Privilege::Both] {
            let request = Request::Watchpoint { address: 0x1000, length: 4, access, privilege };
            let encoding = request.encode().expect("encodable");
            assert_eq!((encoding.access(), encoding.privilege()), (access, privilege));
            let regs = armed(&request);
            for (write, by_access) in [(false, Access::Read), (true, Access::Write)] {
                for (level, by_level) in [(Level::El1, Privilege::El1), (Level::El0, Privilege::El0)] {
                    let wanted = (access == by_access || access == Access::ReadWrite)
                        && (privilege == by_level || privilege == Privilege::Both);
                    let hit = regs.watchpoint(0, 0x1002, write, level);
                    assert_eq!(hit == Hit::Always, wanted, "{request:?} {write} {level:?}");
                }
            }
            let regs = armed(&Request::Breakpoint { address: 0x1000, privilege });
            assert_eq!(regs.breakpoint(0, 0x1000, Level::El1) == Hit::Always, privilege != Privilege::El0);
            assert_eq!(regs.breakpoint(0, 0x1000, Level::El0) == Hit::Always, privilege != Privilege::El1);
            assert_eq!(regs.breakpoint(0, 0x1004, Level::El1), Hit::Never);
        }
    }
}

#[test]
fn what_the_hardware_cannot_hold_is_refused_with_the_reason() {
    let cases = [
        (watch(DATA, 0), SlotError::BadLength { length: 0 }),
        (watch(DATA, (1 << 31) + 1), SlotError::BadLength { length: (1 << 31) + 1 }),
        (watch(DATA, u64::MAX), SlotError::BadLength { length: u64::MAX }),
        (watch(DATA, 24), SlotError::RangeNotPowerOfTwo { length: 24 }),
        (watch(u64::MAX, 2), SlotError::PastTheEnd { address: u64::MAX, length: 2, last: u64::MAX }),
        (
            watch(0x1234_5678_9abc_def0, 1),
            SlotError::NotCanonical { address: 0x1234_5678_9abc_def0, va: VaSize::Bits48 },
        ),
        (
            watch(0xffff_ffff_fffc, 8),
            SlotError::PastTheEnd { address: 0xffff_ffff_fffc, length: 8, last: 0xffff_ffff_ffff },
        ),
        (
            Request::Breakpoint { address: TEXT + 2, privilege: Privilege::El1 },
            SlotError::Misaligned { address: TEXT + 2, alignment: 4 },
        ),
        (
            Request::Breakpoint { address: TEXT, privilege: Privilege::El0 },
            SlotError::WrongAddressSpace { address: TEXT },
        ),
    ];
    for (request, error) in cases {
        assert_eq!(request.encode(), Err(error), "{request:?}");
        assert!(!error.to_string().is_empty());
    }
    assert_eq!(
        SlotError::CrossesDoubleword { address: 0x1006, length: 4 }.to_string(),
        "4 bytes at 0x1006 lie in two doublewords: watch them as two ranges, 2 at 0x1006 and 2 at 0x1008"
    );
    assert_eq!(
        SlotError::NoFreeSlot { kind: Kind::Watchpoint, total: 4 }.to_string(),
        "all 4 hardware watchpoints are in use: remove one first"
    );
}

/// A range that begins at a virtual address but leaves its half of the address space is refused as such, and not as "no virtual
/// address".
#[test]
fn a_range_past_the_end_of_its_half_says_so() {
    let half = 1u64 << 48;
    for (end, last) in [(0u64, u64::MAX), (half, half - 1)] {
        for (room, length) in [(1, 2), (1, 8), (4, 8), (7, 8), (8, 16), (8, 24), (4096, 8192), (1, 1 << 31)] {
            let address = end.wrapping_sub(room);
            let refused = SlotError::PastTheEnd { address, length, last };
            for request in [watch(address, length), user(address, length)] {
                assert_eq!(request.encode(), Err(refused), "{request:x?}");
                assert_eq!(request.split(), Err(refused), "{request:x?}");
            }
            assert!(watch(address, 1).encode().is_ok() && watch(address, room).encode().is_ok());
        }
    }
    assert_eq!(
        watch(u64::MAX, 8).encode().expect_err("wraps").to_string(),
        "8 bytes at 0xffffffffffffffff go past 0xffffffffffffffff, the last address of its half of the address space: watch at most 1 byte there"
    );
    assert_eq!(
        watch(half - 16, 32).encode().expect_err("wraps").to_string(),
        "32 bytes at 0xfffffffffff0 go past 0xffffffffffff, the last address of its half of the address space: watch at most 16 bytes there"
    );
    // An address that is not canonical is refused as such, whatever the length of the range.
    for address in [half, u64::MAX - half, 1 << 63, 0x1234_5678_9abc_def0] {
        for length in [1, 8, 9, 16] {
            assert_eq!(
                watch(address, length).encode(),
                Err(SlotError::NotCanonical { address, va: VaSize::Bits48 })
            );
        }
    }
}

#[test]
fn a_split_watches_exactly_the_bytes_asked_for() {
    let mut random = Random(1);
    let mut two = 0;
    for _ in 0..20_000 {
        let (address, length) = (DATA + random.below(256), 1 + random.below(64));
        let request = watch(address, length);
        let pieces = match request.split() {
            Ok(pieces) => pieces,
            Err(error) => {
                assert_eq!(error, SlotError::CannotSplit { address, length });
                assert!(!fits_two(address, length), "{address:#x} {length}");
                continue;
            }
        };
        two += usize::from(matches!(pieces, Pieces::Two(..)));
        let regs: Vec<_> = pieces.iter().map(|piece| armed(&piece)).collect();
        for byte in DATA - 64..DATA + 400 {
            let hits = regs.iter().filter(|r| r.watchpoint(0, byte, true, Level::El1) == Hit::Always).count();
            let wanted = usize::from(byte >= address && byte < address + length);
            assert_eq!(hits, wanted, "{address:#x} {length} {byte:#x}");
        }
    }
    assert!(two > 1000, "{two} splits tried");
}

/// Whether the range can be cut in two ranges that the hardware can hold. Tries every cut.
fn fits_two(address: u64, length: u64) -> bool {
    (1..length).any(|cut| {
        watch(address, cut).encode().is_ok() && watch(address + cut, length - cut).encode().is_ok()
    })
}

#[test]
fn what_splitting_does_not_cure_is_reported_as_it_is() {
    assert_eq!(watch(DATA, 0).split(), Err(SlotError::BadLength { length: 0 }));
    let request = Request::Breakpoint { address: TEXT + 1, privilege: Privilege::El1 };
    assert_eq!(request.split(), Err(SlotError::Misaligned { address: TEXT + 1, alignment: 4 }));
    assert_eq!(watch(DATA + 4, 8).split(), Ok(Pieces::Two(watch(DATA + 4, 4), watch(DATA + 8, 4))));
    let half = 1 << 30;
    assert_eq!(watch(half, half).split(), Ok(Pieces::One(watch(half, half))));
    assert_eq!(watch(half, 1 << 31).split(), Ok(Pieces::Two(watch(half, half), watch(2 * half, half))));
}

/// The addresses at the ends of both halves, for each size of addresses; and where the size is read from.
#[test]
fn what_an_address_is_depends_on_the_size_of_addresses() {
    let sizes = [(VaSize::Bits48, 48), (VaSize::Bits52, 52), (VaSize::Bits56, 56)];
    for (va, bits) in sizes {
        assert_eq!(va.bits(), bits);
        let half = 1u64 << bits;
        for address in [0, half - 8, half.wrapping_neg(), u64::MAX - 7] {
            assert!(va.contains(address));
            assert!(watch(address, 8).encode_for(va).is_ok(), "{va:?} {address:#x}");
            assert!(Request::breakpoint(address, Privilege::El1).encode_for(va).is_ok());
            let lower = address < half;
            assert_eq!(user(address, 8).encode_for(va).is_ok(), lower);
        }
        for address in [half, half.wrapping_neg() - 8, 1 << 63, (1 << 63) - 8, half | 0x1000] {
            assert!(!va.contains(address));
            assert_eq!(watch(address, 8).encode_for(va), Err(SlotError::NotCanonical { address, va }));
            assert_eq!(watch(address, 8).split_for(va), Err(SlotError::NotCanonical { address, va }));
            assert_eq!(watch(address, 16).encode_for(va), Err(SlotError::NotCanonical { address, va }));
            let refused = Request::breakpoint(address, Privilege::El1).encode_for(va);
            assert_eq!(refused, Err(SlotError::NotCanonical { address, va }));
        }
        let (address, last) = (half - 4, half - 1);
        assert_eq!(watch(address, 8).split_for(va), Err(SlotError::PastTheEnd { address, length: 8, last }));
        assert!(matches!(watch(half - 12, 8).split_for(va), Ok(Pieces::Two(..))));
    }
    assert_eq!(
        SlotError::NotCanonical { address: 1 << 52, va: VaSize::Bits52 }.to_string(),
        "0x10000000000000 is no virtual address: bits 63 to 52 must be all 0 or all 1"
    );
    assert_eq!(VaSize::default(), VaSize::Bits48);
    let read = [0, 1, 2, 3, 15].map(|field| VaSize::from_id(!(0xf << 16) | field << 16));
    assert_eq!(read, [VaSize::Bits48, VaSize::Bits52, VaSize::Bits56, VaSize::Bits48, VaSize::Bits48]);
}
