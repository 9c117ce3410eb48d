//! Rule H7: to which slots a hit is attributed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::vec::Vec;

use super::{DATA, Random, TEXT, TestTables, breakpoint, watchpoint};
use crate::fake::FakeRegs;
use crate::{Access, CpuSlots, Cpus, Encoding, Kind, SlotMask, WatchHit, breakpoint_hits, watchpoint_hits};

/// How often [`CpuSlots::plain_watchpoint`] has named a slot.
static PLAIN: AtomicU64 = AtomicU64::new(0);

const WNR: u32 = 1 << 6;
const FNV: u32 = 1 << 10;
const FNP: u32 = 1 << 15;
const WPTV: u32 = 1 << 17;

const NOP: u32 = 0xd503_201f;

fn wpt(n: u32) -> u32 {
    WPTV | n << 18
}

/// Attributes a hit by the function [`watchpoint_hits`], by [`CpuSlots::watchpoint_hits`], and by [`CpuSlots::plain_watchpoint`]
/// if that names a slot. All must agree.
fn hits(iss: u32, far: u64, slots: &[(u64, u64, Access)]) -> SlotMask {
    hits_by(NOP, iss, far, slots)
}

/// As [`hits`], for an access by the instruction `word`.
fn hits_by(word: u32, iss: u32, far: u64, slots: &[(u64, u64, Access)]) -> SlotMask {
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
    let hit = WatchHit::from_syndrome(iss, far, 64).by_instruction(word);
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
    // From above a range, the distance to its last byte counts: the long range ends nearby.
    assert_eq!(hits(WNR, DATA + 0x1010, &[(DATA, 0x1000, write), (DATA + 0x1080, 8, write)]), SlotMask(0b01));
    // The distances on both sides of FAR are compared.
    assert_eq!(hits(WNR, DATA + 0x30, &[(DATA, 4, write), (DATA + 0x10, 4, write)]), SlotMask(0b10));
    assert_eq!(
        hits(WNR, DATA + 0x800, &[(DATA + 0x700, 8, write), (DATA + 0x880, 8, write)]),
        SlotMask(0b10)
    );
    assert_eq!(
        hits(WNR, DATA + 0x800, &[(DATA + 0x780, 8, write), (DATA + 0x8a0, 8, write)]),
        SlotMask(0b01)
    );
    // Two slots that are equally near are both hit.
    assert_eq!(hits(WNR, DATA + 8, &[(DATA + 16, 4, write), (DATA + 16, 8, write)]), SlotMask(0b11));
}

/// One access of 32 bytes (STP, LDP of Q registers): FAR may be anywhere from the first byte accessed to the last byte watched.
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
    // DC ZVA of the block at DATA + 0x40 cannot have hit the slot that ends one byte below the block.
    assert_eq!(hits(WNR, DATA + 0x40, &[(DATA + 0x38, 8, write), (DATA + 0x78, 8, write)]), SlotMask(0b10));
    // A slot in the same block, but below FAR, comes before every slot in another block.
    assert_eq!(hits(WNR, DATA + 0x70, &[(DATA + 0x40, 8, write), (DATA + 0x80, 8, write)]), SlotMask(0b01));
}

#[test]
fn the_direction_of_the_access_selects_unless_nothing_is_left() {
    use Access::{Read, Write};
    assert_eq!(hits(WNR, DATA + 8, &[(DATA, 8, Read), (DATA + 32, 8, Write)]), SlotMask(0b10));
    assert_eq!(hits(0, DATA + 8, &[(DATA, 8, Read), (DATA + 32, 8, Write)]), SlotMask(0b01));
    // No other slot is armed. If the hit were attributed to no slot, it would come again for ever.
    assert_eq!(hits(WNR, DATA + 64, &[(DATA, 8, Read)]), SlotMask(0b01));
    assert_eq!(hits(0, DATA, &[(DATA, 8, Write)]), SlotMask(0b01));
}

/// A 32-byte load that begins in a range watched for stores, and reaches a range watched for loads; and the same with loads and
/// stores exchanged.
#[test]
fn h7_a_slot_for_the_other_direction_is_left_out_even_where_it_holds_far() {
    use Access::{Read, Write};
    for (iss, other, own) in [(0, Write, Read), (WNR, Read, Write)] {
        for far in DATA + 16..DATA + 24 {
            assert_eq!(
                hits(iss, far, &[(DATA + 16, 8, other), (DATA + 32, 8, own)]),
                SlotMask(0b10),
                "{own:?} {far:#x}"
            );
            // The same if a slot for the other direction watches more than a doubleword, or is nearer.
            assert_eq!(
                hits(iss, far, &[(DATA, 32, other), (DATA + 24, 1, other), (DATA + 40, 4, own)]),
                SlotMask(0b100)
            );
            // The same if the slot for the right direction is in another block than FAR, where the architecture does not allow it.
            assert_eq!(hits(iss, far, &[(DATA + 16, 8, other), (DATA + 0x400, 8, own)]), SlotMask(0b10));
            // A slot that fits the direction and holds FAR comes first, also if it is for both directions.
            assert_eq!(hits(iss, far, &[(DATA + 16, 8, other), (DATA + 16, 8, own)]), SlotMask(0b10));
            let both = (DATA + 16, 8, Access::ReadWrite);
            assert_eq!(hits(iss, far, &[(DATA + 16, 8, other), both, (DATA + 32, 8, own)]), SlotMask(0b10));
        }
    }
}

/// Random syndromes and FARs, against random slots of every direction. A slot for the other direction is never named while a slot
/// for the right direction is armed, and a slot that fits and holds FAR is always named.
#[test]
fn h7_of_random_slots_none_is_named_that_the_direction_rules_out() {
    use Access::{Read, ReadWrite, Write};
    let mut random = Random(3);
    let mut ruled_out = 0;
    for _ in 0..20_000 {
        let slots: Vec<_> = (0..1 + random.below(4))
            .map(|_| {
                let length = [1, 2, 4, 8, 8, 16, 64][random.below(7) as usize];
                let access = [Read, Write, ReadWrite][random.below(3) as usize];
                (DATA + random.below(96) / length * length, length, access)
            })
            .collect();
        let (write, far) = (random.below(2) == 1, DATA + random.below(96));
        let iss = if write { WNR } else { 0 } | [0, 0, FNP, FNV][random.below(4) as usize];
        let mask = hits(iss, far, &slots);
        let chosen = |wanted: &dyn Fn(&(u64, u64, Access)) -> bool| {
            let wanted = slots.iter().enumerate().filter(|(_, slot)| wanted(slot));
            wanted.fold(SlotMask::EMPTY, |mask, (n, _)| mask.with(n as u8))
        };
        let fitting = chosen(&|slot| slot.2 == ReadWrite || (slot.2 == Write) == write);
        let holding = chosen(&|slot| slot.0 <= far && far < slot.0 + slot.1);
        assert!(!mask.is_empty());
        if !fitting.is_empty() {
            assert!(mask.without(fitting).is_empty(), "{iss:#x} {far:#x} {slots:x?}");
            ruled_out += u32::from(!holding.without(fitting).is_empty());
        }
        if iss & (FNP | FNV) == 0 {
            assert!(holding.intersection(fitting).without(mask).is_empty(), "{iss:#x} {far:#x} {slots:x?}");
        }
    }
    assert!(ruled_out > 1000, "{ruled_out}");
}

/// QEMU reports every atomic as a write; the architecture has WnR clear if a read watchpoint caught it.
#[test]
fn an_atomic_reported_as_a_write_may_have_hit_a_slot_for_reads() {
    use Access::{Read, Write};
    const LDADD: u32 = 0xf821_0002; // LDADD X1, X2, [X0]
    const STR: u32 = 0xf900_0001; // STR X1, [X0]
    let slots = [(DATA, 8, Read), (DATA + 8, 8, Write)];
    assert_eq!(hits_by(LDADD, WNR, DATA + 4, &slots), SlotMask(0b01));
    assert_eq!(hits_by(LDADD, WNR, DATA + 8, &slots), SlotMask(0b10));
    assert_eq!(hits_by(STR, WNR, DATA + 4, &slots), SlotMask(0b10));
    // WnR clear is believed: only slots for reads are candidates.
    assert_eq!(hits_by(LDADD, 0, DATA + 8, &slots), SlotMask(0b01));
    // An atomic reads and writes, so of two slots on one word both are hit.
    assert_eq!(hits_by(LDADD, WNR, DATA, &[(DATA, 8, Read), (DATA, 8, Write)]), SlotMask(0b11));
}

#[test]
fn atomics_are_told_from_other_accesses() {
    // Words as an assembler makes them: atomics, then instructions with similar encodings.
    const ATOMICS: &[u32] = &[
        0xf821_0002, // LDADD X1, X2, [X0]
        0x38e1_0002, // LDADDALB W1, W2, [X0]
        0xb821_1002, // LDCLR W1, W2, [X0]
        0xf821_2002, // LDEOR X1, X2, [X0]
        0x7821_3002, // LDSETH W1, W2, [X0]
        0xf821_4002, // LDSMAX X1, X2, [X0]
        0xf821_5002, // LDSMIN X1, X2, [X0]
        0xf821_6002, // LDUMAX X1, X2, [X0]
        0xf821_7002, // LDUMIN X1, X2, [X0]
        0xf821_001f, // STADD X1, [X0]
        0xf8e1_8002, // SWPAL X1, X2, [X0]
        0x3821_8002, // SWPB W1, W2, [X0]
        0xc8a1_7c02, // CAS X1, X2, [X0]
        0x08e1_fc02, // CASALB W1, W2, [X0]
        0x48a1_7c02, // CASH W1, W2, [X0]
        0x4822_7c04, // CASP X2, X3, X4, X5, [X0]
        0x0862_fc04, // CASPAL W2, W3, W4, W5, [X0]
        0x1921_1002, // LDCLRP X2, X1, [X0]
        0x1921_3002, // LDSETP X2, X1, [X0]
        0x1921_8002, // SWPP X2, X1, [X0]
        0x19e1_8002, // SWPPAL X2, X1, [X0]
        0x78e1_8002, // SWPALH W1, W2, [X0]
        0x5921_0402, // LDTADD X1, X2, [X0]
        0x19e1_0402, // LDTADDAL W1, W2, [X0]
        0x5921_1402, // LDTCLR X1, X2, [X0]
        0x5921_3402, // LDTSET X1, X2, [X0]
        0x5921_8402, // SWPT X1, X2, [X0]
        0x19e1_8402, // SWPTAL W1, W2, [X0]
        0x5921_041f, // STTADD X1, [X0]
        0xc981_7c02, // CAST X1, X2, [X0]
        0xc9c1_fc02, // CASALT X1, X2, [X0]
        0x4982_7c04, // CASPT X2, X3, X4, X5, [X0]
        0x49c2_fc04, // CASPALT X2, X3, X4, X5, [X0]
        0x1921_0802, // RCWCAS X1, X2, [X0]
        0x59e1_0802, // RCWSCASAL X1, X2, [X0]
        0x1922_0c04, // RCWCASP X2, X3, X4, X5, [X0]
        0x59e2_0c04, // RCWSCASPAL X2, X3, X4, X5, [X0]
        0x3821_9002, // RCWCLR X1, X2, [X0]
        0x78e1_9002, // RCWSCLRAL X1, X2, [X0]
        0x3821_b002, // RCWSET X1, X2, [X0]
        0x7821_b002, // RCWSSET X1, X2, [X0]
        0x3821_a002, // RCWSWP X1, X2, [X0]
        0x78e1_a002, // RCWSSWPAL X1, X2, [X0]
        0x1921_9002, // RCWCLRP X2, X1, [X0]
        0x59e1_9002, // RCWSCLRPAL X2, X1, [X0]
        0x1921_b002, // RCWSETP X2, X1, [X0]
        0x5921_b002, // RCWSSETP X2, X1, [X0]
        0x1921_a002, // RCWSWPP X2, X1, [X0]
        0x59e1_a002, // RCWSSWPPAL X2, X1, [X0]
        0xfc21_0002, // LDFADD D1, D2, [X0]
        0x7ce1_0002, // LDFADDAL H1, H2, [X0]
        0xbc21_4002, // LDFMAX S1, S2, [X0]
        0xbc21_5002, // LDFMIN S1, S2, [X0]
        0xbc21_6002, // LDFMAXNM S1, S2, [X0]
        0xbc21_7002, // LDFMINNM S1, S2, [X0]
        0x3c21_0002, // LDBFADD H1, H2, [X0]
        0x3ce1_7002, // LDBFMINNMAL H1, H2, [X0]
        0xfc21_801f, // STFADD D1, [X0]
        0xbc61_801f, // STFADDL S1, [X0]
        0xbc21_c01f, // STFMAX S1, [X0]
        0xbc21_d01f, // STFMIN S1, [X0]
        0xbc21_e01f, // STFMAXNM S1, [X0]
        0xbc21_f01f, // STFMINNM S1, [X0]
        0x3c21_801f, // STBFADD H1, [X0]
        0x3c61_e01f, // STBFMAXNML H1, [X0]
    ];
    const OTHERS: &[u32] = &[
        0xf900_0001, // STR X1, [X0]
        0xf940_0001, // LDR X1, [X0]
        0xf821_6802, // STR X2, [X0, X1]
        0xf861_6802, // LDR X2, [X0, X1]
        0xf800_1002, // STUR X2, [X0, #1]
        0xf800_0802, // STTR X2, [X0]
        0xf8bf_c002, // LDAPR X2, [X0]
        0xf83f_9002, // ST64B X2, [X0]
        0xf83f_d002, // LD64B X2, [X0]
        0xc85f_7c01, // LDXR X1, [X0]
        0xc802_7c01, // STXR W2, X1, [X0]
        0xc87f_0c02, // LDXP X2, X3, [X0]
        0xc821_0c02, // STXP W1, X2, X3, [X0]
        0xc89f_fc01, // STLR X1, [X0]
        0xc8df_fc01, // LDAR X1, [X0]
        0xa900_0801, // STP X1, X2, [X0]
        0x1900_0002, // STLURB W2, [X0]
        0xd50b_7420, // DC ZVA, X0
        0xc95f_7c01, // LDTXR X1, [X0]
        0xc902_7c01, // STTXR W2, X1, [X0]
        0xd980_0801, // STLR X1, [X0, #-8]!
        0xd9c0_0801, // LDAPR X1, [X0], #8
        0xd920_0800, // STG X0, [X0]
        0xd9a0_1820, // ST2G X0, [X1, #16]
        0xd960_0020, // LDG X0, [X1]
        0xd9e0_1820, // STZ2G X0, [X1, #16]
        0xd920_0020, // STZGM X0, [X1]
        0xd91f_0c01, // GCSSTR X1, [X0]
        0xd942_1801, // LDIAPP X1, X2, [X0]
        0xd902_1801, // STILP X1, X2, [X0]
        0x1901_0440, // CPYFP [X0]!, [X1]!, X2!
        0x19c2_0420, // SETP [X0]!, X1!, X2
    ];
    let known = |word| !WatchHit::from_syndrome(WNR, DATA, 64).by_instruction(word).fits(&reads());
    for &word in ATOMICS {
        assert!(!known(word), "{word:#010x}");
    }
    for &word in OTHERS {
        assert!(known(word), "{word:#010x}");
    }
}

/// A watchpoint for reads only.
fn reads() -> Encoding {
    watchpoint(DATA, 8, Access::Read).encoding()
}

/// With FnP, FAR is any address in the granule of the access, so the distance to FAR means nothing.
#[test]
fn where_far_is_not_precise_every_slot_in_its_granule_may_have_been_hit() {
    use Access::{Read, Write};
    let page = DATA & !0xfff;
    let slots = [(page, 8, Write), (page + 0xff8, 8, Write), (page + 0x1000, 8, Write), (page + 16, 8, Read)];
    for far in [page, page + 16, page + 0x7f0, page + 0xfff] {
        assert_eq!(hits(WNR | FNP, far, &slots), SlotMask(0b0011), "{far:#x}");
        assert_eq!(hits(FNP, far, &slots), SlotMask(0b1000), "{far:#x}");
    }
    // No slot is in that granule: the nearest is taken, as the granule may be larger than 4 KiB.
    assert_eq!(hits(WNR | FNP, page + 0x2000, &slots), SlotMask(0b0100));
    // A range that reaches into the granule counts.
    assert_eq!(hits(WNR | FNP, page + 0x1800, &[(page, 0x2000, Write), (page, 8, Write)]), SlotMask(0b01));
}

#[test]
fn the_number_in_the_syndrome_is_honoured() {
    let write = Access::Write;
    let slots = [(DATA, 8, write), (DATA + 0x100, 8, write), (DATA, 4, write)];
    assert_eq!(hits(WNR | wpt(1), DATA + 0x40, &slots), SlotMask(0b010));
    assert_eq!(hits(WNR | wpt(1) | FNV, DATA, &slots), SlotMask(0b010));
    assert_eq!(hits(WNR | wpt(1) | FNP, DATA, &slots), SlotMask(0b010));
    // FAR is exact: the other slots that hold FAR have matched too.
    assert_eq!(hits(WNR | wpt(0), DATA, &slots), SlotMask(0b101));
    // The named slot is not armed: the hit is not attributed to another slot.
    assert_eq!(hits(WNR | wpt(3), DATA + 0x40, &slots), SlotMask::EMPTY);
    // WPT without WPTV means nothing.
    assert_eq!(hits(WNR | 1 << 18, DATA, &slots), SlotMask(0b101));
    // A slot for the other direction that holds an exact FAR has not matched together with the named slot.
    let slots = [(DATA, 8, Access::Read), (DATA + 8, 8, write), (DATA + 4, 4, Access::ReadWrite)];
    assert_eq!(hits(WNR | wpt(1), DATA + 4, &slots), SlotMask(0b110));
    assert_eq!(hits(wpt(0), DATA + 8, &slots), SlotMask(0b001));
    // The syndrome gives neither a number nor a FAR: every slot that fits the direction.
    let slots = [(DATA, 8, write), (DATA + 0x100, 8, write), (DATA, 4, write)];
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
