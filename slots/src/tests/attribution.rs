//! Rule H7.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::vec::Vec;

use super::{DATA, Random, TEXT, TestTables, breakpoint, watchpoint};
use crate::fake::FakeRegs;
use crate::{Access, CpuSlots, Cpus, Encoding, Kind, SlotMask, WatchHit, breakpoint_hits, watchpoint_hits};

/// How often the shortest way said something.
static PLAIN: AtomicU64 = AtomicU64::new(0);

const WNR: u32 = 1 << 6;
const FNV: u32 = 1 << 10;
const FNP: u32 = 1 << 15;
const WPTV: u32 = 1 << 17;

fn wpt(n: u32) -> u32 {
    WPTV | n << 18
}

/// Attributes by the free function, by what a CPU has armed, and in the shortest way where that says something: all must agree.
fn hits(iss: u32, far: u64, slots: &[(u64, u64, Access)]) -> SlotMask {
    let tables = TestTables::new();
    let (mut cpu, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
    let encodings: Vec<(u8, Encoding)> = slots
        .iter()
        .map(|&(address, length, access)| {
            let admitted = watchpoint(address, length, access);
            let id = tables.reserve(admitted, Cpus::ALL, 0, 4).expect("free");
            cpu.arm(&mut regs, &tables, id).expect("live");
            (id.index, admitted.encoding())
        })
        .collect();
    let hit = WatchHit::from_syndrome(iss, far, 64);
    let mask = watchpoint_hits(&hit, encodings.iter().copied());
    assert_eq!(cpu.watchpoint_hits(&tables, &hit), mask, "{hit:x?} {slots:x?}");
    if let Some(n) = cpu.plain_watchpoint(iss, far) {
        assert_eq!(mask, SlotMask::of(n), "{hit:x?} {slots:x?}");
        PLAIN.fetch_add(1, Relaxed);
    }
    mask
}

#[test]
fn the_syndrome_is_decoded() {
    let hit = WatchHit::from_syndrome(wpt(0x2a) | WNR, DATA, 64);
    assert_eq!((hit.slot(), hit.write(), hit.far(), hit.precise()), (Some(0x2a), true, Some(DATA), true));
    let hit = WatchHit::from_syndrome(0x3f << 18 | FNV | FNP, DATA, 64);
    assert_eq!((hit.slot(), hit.write(), hit.far(), hit.precise()), (None, false, None, false));
}

#[test]
fn every_slot_whose_range_holds_far_is_hit() {
    use Access::{Read, ReadWrite, Write};
    let slots =
        [(DATA, 8, Write), (DATA & !0xfff, 4096, ReadWrite), (DATA + 4, 1, Read), (DATA + 4, 4, Write)];
    assert_eq!(hits(WNR, DATA + 4, &slots), SlotMask(0b1011));
    assert_eq!(hits(0, DATA + 4, &slots), SlotMask(0b0110));
    assert_eq!(hits(WNR, DATA + 64, &slots), SlotMask(0b0010));
}

#[test]
fn every_byte_of_every_shape_is_attributed_exactly() {
    for offset in 0..8 {
        for length in 1..=8 - offset {
            for byte in 0..8 {
                let slots = [(DATA + offset, length, Access::Write), (DATA, 8, Access::Write)];
                let inside = byte >= offset && byte < offset + length;
                let wanted = if inside { SlotMask(0b11) } else { SlotMask(0b10) };
                assert_eq!(hits(WNR, DATA + byte, &slots), wanted, "{offset} {length} {byte}");
            }
        }
    }
}

#[test]
fn far_outside_all_ranges_goes_to_the_nearest() {
    let write = Access::Write;
    // A wide store from below.
    assert_eq!(hits(WNR, DATA + 8, &[(DATA + 24, 8, write), (DATA + 0x800, 8, write)]), SlotMask(0b01));
    // The last byte counts, not the first: a long range that ends nearby.
    assert_eq!(hits(WNR, DATA + 0x1010, &[(DATA, 0x1000, write), (DATA + 0x1080, 8, write)]), SlotMask(0b01));
    // From either side.
    assert_eq!(hits(WNR, DATA + 0x30, &[(DATA, 4, write), (DATA + 0x10, 4, write)]), SlotMask(0b10));
    assert_eq!(
        hits(WNR, DATA + 0x800, &[(DATA + 0x700, 8, write), (DATA + 0x880, 8, write)]),
        SlotMask(0b10)
    );
    assert_eq!(
        hits(WNR, DATA + 0x800, &[(DATA + 0x780, 8, write), (DATA + 0x8a0, 8, write)]),
        SlotMask(0b01)
    );
    // Equally near: both.
    assert_eq!(hits(WNR, DATA + 8, &[(DATA + 16, 4, write), (DATA + 16, 8, write)]), SlotMask(0b11));
}

/// 32 bytes in one access (STP, LDP of Q registers): FAR may be anywhere from its first byte to the last watched one.
#[test]
fn a_wide_access_is_attributed_to_what_it_touches_and_no_neighbour() {
    let write = Access::Write;
    for at in (0..=32).step_by(16).map(|offset| DATA + offset) {
        for (first, length) in
            [(0, 8), (8, 8), (15, 1), (16, 8), (20, 4), (24, 8), (27, 3), (31, 1), (16, 16)]
        {
            let watched = (at + first, length, write);
            let last = at + first + length - 1;
            for far in at..=last {
                let slots = [watched, (at - 1, 1, write), (at + 32, 8, write), (at + 40, 8, write)];
                assert_eq!(
                    hits(WNR, far, &slots),
                    SlotMask(0b0001),
                    "{length} bytes at {first}, FAR {far:#x}"
                );
            }
        }
    }
}

#[test]
fn far_outside_all_ranges_prefers_what_the_architecture_allows() {
    let write = Access::Write;
    // DC ZVA of the block at DATA + 0x40: the slot one byte below the block cannot be what it hit.
    assert_eq!(hits(WNR, DATA + 0x40, &[(DATA + 0x38, 8, write), (DATA + 0x78, 8, write)]), SlotMask(0b10));
    // In the same block, but below FAR: before anything in another block.
    assert_eq!(hits(WNR, DATA + 0x70, &[(DATA + 0x40, 8, write), (DATA + 0x80, 8, write)]), SlotMask(0b01));
}

#[test]
fn the_direction_of_the_access_selects_unless_nothing_is_left() {
    use Access::{Read, Write};
    assert_eq!(hits(WNR, DATA + 8, &[(DATA, 8, Read), (DATA + 32, 8, Write)]), SlotMask(0b10));
    // An atomic caught by a read watchpoint, reported as a write.
    assert_eq!(hits(WNR, DATA + 4, &[(DATA, 8, Read), (DATA + 8, 8, Write)]), SlotMask(0b01));
    assert_eq!(hits(WNR, DATA + 64, &[(DATA, 8, Read)]), SlotMask(0b01));
}

#[test]
fn the_number_in_the_syndrome_is_honoured() {
    let write = Access::Write;
    let slots = [(DATA, 8, write), (DATA + 0x100, 8, write), (DATA, 4, write)];
    assert_eq!(hits(WNR | wpt(1), DATA + 0x40, &slots), SlotMask(0b010));
    assert_eq!(hits(WNR | wpt(1) | FNV, DATA, &slots), SlotMask(0b010));
    assert_eq!(hits(WNR | wpt(1) | FNP, DATA, &slots), SlotMask(0b010));
    // FAR exact: the others that it lies in have matched too.
    assert_eq!(hits(WNR | wpt(0), DATA, &slots), SlotMask(0b101));
    // Nobody's slot: not attributed to a bystander.
    assert_eq!(hits(WNR | wpt(3), DATA + 0x40, &slots), SlotMask::EMPTY);
    // WPT without WPTV means nothing.
    assert_eq!(hits(WNR | 1 << 18, DATA, &slots), SlotMask(0b101));
    // Neither number nor FAR: whoever may be concerned.
    assert_eq!(hits(WNR | FNV, DATA, &slots), SlotMask(0b111));
}

#[test]
fn a_hit_with_nothing_armed_is_nobodys() {
    assert_eq!(hits(WNR, DATA, &[]), SlotMask::EMPTY);
    assert_eq!(breakpoint_hits(TEXT, [].into_iter()), SlotMask::EMPTY);
}

#[test]
fn breakpoints_are_attributed_by_address_and_by_what_this_cpu_has_armed() {
    let tables = TestTables::new();
    let (mut cpu, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
    let ids = [TEXT, TEXT + 4, TEXT, TEXT + 8].map(|address| {
        let id = tables.reserve(breakpoint(address), Cpus::ALL, 0, 6).expect("free");
        assert!(cpu.breakpoint_hits(address).intersection(SlotMask::of(id.index)).is_empty(), "not armed");
        cpu.arm(&mut regs, &tables, id).expect("live");
        id
    });
    assert_eq!(cpu.breakpoint_hits(TEXT), SlotMask(0b101));
    assert_eq!(cpu.plain_breakpoint(TEXT), None);
    assert_eq!(cpu.plain_breakpoint(TEXT + 4), Some(1));
    assert_eq!(cpu.breakpoint_hits(TEXT + 12), SlotMask::EMPTY);
    assert_eq!(cpu.plain_breakpoint(TEXT + 12), None);
    cpu.disarm(&mut regs, ids[0]);
    assert_eq!((cpu.breakpoint_hits(TEXT), cpu.plain_breakpoint(TEXT)), (SlotMask(0b100), Some(2)));
    cpu.suspend(&mut regs, Kind::Breakpoint, 2);
    assert_eq!((cpu.breakpoint_hits(TEXT), cpu.plain_breakpoint(TEXT)), (SlotMask::EMPTY, None));
    assert_eq!((cpu.breakpoint_hits(TEXT + 8), cpu.plain_breakpoint(TEXT + 8)), (SlotMask(0b1000), None));
    cpu.rearm_all(&mut regs);
    assert_eq!(cpu.plain_breakpoint(TEXT + 8), Some(3));
    let armed = [(3, breakpoint(TEXT).encoding()), (5, breakpoint(TEXT + 4).encoding())];
    assert_eq!(breakpoint_hits(TEXT, armed.into_iter()), SlotMask(1 << 3));
}

#[test]
fn an_access_is_always_attributed_to_a_slot_it_touches_when_far_is_exact() {
    let mut random = Random(9);
    for round in 0..5000 {
        let (lengths, span) = if round % 2 == 0 { (4, 64) } else { (7, 1024) };
        let slots: Vec<_> = (0..1 + random.below(4))
            .map(|_| {
                let length = [1, 2, 4, 8, 16, 64, 256][random.below(lengths) as usize];
                (DATA + random.below(span) / length * length, length, Access::ReadWrite)
            })
            .collect();
        let far = DATA + random.below(span);
        let touched = slots
            .iter()
            .enumerate()
            .filter(|(_, s)| s.0 <= far && far < s.0 + s.1)
            .fold(SlotMask::EMPTY, |mask, (n, _)| mask.with(n as u8));
        let mask = hits(0, far, &slots);
        assert!(!mask.is_empty());
        if !touched.is_empty() {
            assert_eq!(mask, touched);
        }
    }
    assert!(PLAIN.load(Relaxed) > 100, "{PLAIN:?}");
}
