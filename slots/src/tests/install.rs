//! [`CpuSlots::install`]: a slot of one CPU alone is reserved and armed in one go, with a record that is set apart for it.

use std::vec::Vec;

use super::{DATA, TEXT, TestTables, breakpoint, watchpoint};
use crate::fake::{FakeRegs, Hit, Level, Op};
use crate::{
    Access, Admitted, CpuSlots, Cpus, DebugRegs, Kind, Payload, SlotError, SlotId, SlotMask, Tables,
};

/// Tables in which the first 16 slots of the first 8 CPUs have records of their own.
type WholeTables<P = u64> = Tables<P, 256, 256>;

/// A payload that says whether a client is told of each hit. If so, a hit needs more than to be counted.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Told(bool);

impl Payload for Told {
    fn to_word(self) -> u64 {
        self.0.into()
    }
    fn from_word(word: u64) -> Self {
        Told(word != 0)
    }
    fn is_plain(&self) -> bool {
        !self.0
    }
}

fn me(cpu: u32) -> (u32, Cpus) {
    (cpu, Cpus::of(cpu))
}

fn install<P: Payload, const B: usize, const W: usize>(
    slots: &mut CpuSlots,
    regs: &mut FakeRegs,
    tables: &Tables<P, B, W>,
    admitted: Admitted,
    cpu: u32,
    payload: P,
) -> Option<SlotId> {
    match admitted.kind() {
        Kind::Breakpoint => {
            slots.install(regs, Kind::Breakpoint, &tables.breakpoints, admitted, me(cpu), payload)
        }
        Kind::Watchpoint => {
            slots.install(regs, Kind::Watchpoint, &tables.watchpoints, admitted, me(cpu), payload)
        }
    }
}

#[test]
fn each_of_the_first_16_slots_of_the_first_8_cpus_has_a_record_of_its_own() {
    let tables = WholeTables::new();
    let mut records = Vec::new();
    for cpu in 0..10 {
        let (mut slots, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(20, 20));
        for n in 0..18u8 {
            let address = TEXT + 4 * u64::from(n);
            for admitted in [breakpoint(address), watchpoint(DATA + 8 * u64::from(n), 8, Access::Write)] {
                let (kind, encoding) = (admitted.kind(), admitted.encoding());
                regs.trace.clear();
                let id = install(&mut slots, &mut regs, &tables, admitted, cpu, 7);
                if cpu >= 8 || n >= 16 {
                    assert_eq!(id, None, "CPU {cpu}, slot {n}");
                    assert!(regs.trace.is_empty());
                    continue;
                }
                let id = id.expect("a record of its own");
                assert_eq!((id.kind, id.index), (kind, n));
                assert!(id.record >= 128, "not one of those that are shared: {id:?}");
                records.push((kind, id.record));
                // Value, then control with enable; the caller adds the ISB.
                let writes = [Op::Value(kind, n, encoding.value), Op::Control(kind, n, encoding.enabled())];
                assert_eq!(regs.trace, writes);
                let record = tables.live(id).expect("live");
                assert_eq!((record.encoding, record.cpus, record.payload), (encoding, Cpus::of(cpu), 7));
                assert_eq!((record.mate, record.plain), (None, true));
                assert_eq!(slots.id(kind, n), Some(id));
                assert_eq!(slots.record(&tables, kind, n), Some(record));
            }
        }
        let installed = if cpu < 8 { SlotMask::first(16) } else { SlotMask::EMPTY };
        assert_eq!([slots.armed(Kind::Breakpoint), slots.armed(Kind::Watchpoint)], [installed; 2]);
    }
    assert_eq!(records.len(), 2 * 8 * 16);
    records.sort_by_key(|(kind, record)| (*kind as u8, *record));
    records.dedup();
    assert_eq!(records.len(), 2 * 8 * 16, "no two slots have one record");
}

#[test]
fn tables_without_such_records_take_the_longer_way() {
    let (mut slots, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
    let small = TestTables::new();
    assert_eq!(install(&mut slots, &mut regs, &small, breakpoint(TEXT), 0, 0), None);
    let nearly = Tables::<u64, 255, 4>::new();
    assert_eq!(install(&mut slots, &mut regs, &nearly, breakpoint(TEXT), 0, 0), None);
    assert_eq!((small.iter().count(), nearly.iter().count()), (0, 0));
    assert!(regs.trace.is_empty());
    // No slot was taken: `reserve` still gets slot 0.
    assert_eq!(small.reserve(breakpoint(TEXT), Cpus::of(0), 0, 6).expect("free").index, 0);
    assert_eq!(nearly.reserve(breakpoint(TEXT), Cpus::of(0), 0, 6).expect("free").index, 0);
}

/// Where `install` returns `None`, it has changed nothing.
#[test]
fn what_the_short_way_cannot_do_changes_nothing() {
    let tables = WholeTables::new();
    let (mut slots, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
    slots.set_counts(super::counts(2, 2));
    let wide = watchpoint(DATA, 16, Access::Write);
    assert_eq!(install(&mut slots, &mut regs, &tables, wide, 0, 0), None, "more than a doubleword");

    let first = install(&mut slots, &mut regs, &tables, breakpoint(TEXT), 0, 0).expect("free");
    let before = regs.trace.len();
    assert_eq!(install(&mut slots, &mut regs, &tables, breakpoint(TEXT), 0, 0), None, "the same instruction");
    let same = watchpoint(DATA, 4, Access::Write);
    install(&mut slots, &mut regs, &tables, same, 0, 0).expect("free");
    let beside = watchpoint(DATA + 4, 4, Access::Write);
    assert_eq!(install(&mut slots, &mut regs, &tables, beside, 0, 0), None, "the same doubleword");

    // Slot 1 is reserved for this CPU by somebody else, and not armed yet.
    let other = tables.reserve(breakpoint(TEXT + 8), Cpus::ALL, 0, 2).expect("free");
    assert_eq!((other.index, other.record), (1, 0));
    assert_eq!(install(&mut slots, &mut regs, &tables, breakpoint(TEXT + 16), 0, 0), None, "taken");
    assert_eq!(slots.armed(Kind::Breakpoint), SlotMask::of(0));
    slots.arm(&mut regs, &tables, other).expect("live");
    assert_eq!(install(&mut slots, &mut regs, &tables, breakpoint(TEXT + 16), 0, 0), None, "all in use");
    assert_eq!(tables.iter().count(), 3);
    assert_eq!(regs.trace.len(), before + 2 + 3);
    // The other way round: `reserve` does not get a slot that was installed.
    let full = tables.reserve(breakpoint(TEXT + 16), Cpus::of(0), 0, 2);
    assert_eq!(full, Err(SlotError::NoFreeSlot { kind: Kind::Breakpoint, total: 2 }));
    assert_eq!(tables.reserve(breakpoint(TEXT + 16), Cpus::of(1), 0, 2).map(|id| id.index), Ok(0));
    tables.retire(first).expect("live");
}

#[test]
fn a_slot_installed_so_is_hit_removed_and_used_again() {
    let tables = WholeTables::new();
    let (mut slots, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
    let mut before: Option<SlotId> = None;
    for round in 0..5u64 {
        let (at, data) = (TEXT + 4 * round, DATA + 8 * round);
        let text = install(&mut slots, &mut regs, &tables, breakpoint(at), 3, round).expect("free");
        let word = watchpoint(data, 8, Access::Write);
        let watched = install(&mut slots, &mut regs, &tables, word, 3, round).expect("free");
        regs.isb();
        assert_eq!(regs.any_breakpoint(at, Level::El1), Hit::Always);
        assert_eq!(regs.any_watchpoint(data + 7, true, Level::El1), Hit::Always);
        assert_eq!(slots.plain_breakpoint(at), Some(0));
        assert_eq!(slots.plain_watchpoint(1 << 6, data + 7), Some(0));
        // FnV, FnP, WPTV: FAR_EL1 does not name the byte, or the syndrome names a slot.
        for bit in [10, 15, 17] {
            assert_eq!(slots.plain_watchpoint(1 << 6 | 1 << bit, data + 7), None, "bit {bit}");
        }
        assert_eq!(slots.breakpoint_hits(at), SlotMask::of(0));
        if let Some(before) = before {
            assert_eq!((before.record, before.index), (text.record, text.index));
            assert_ne!(before, text, "another use");
            assert_eq!((tables.live(before), slots.plain_breakpoint(at - 4)), (None, None));
            assert_eq!(tables.retire(before), Err(SlotError::Gone { id: before }));
        }
        for id in [text, watched] {
            tables.retire(id).expect("live");
            slots.disarm(&mut regs, id);
            tables.free(id).expect("retired");
        }
        assert_eq!(slots.plain_breakpoint(at), None);
        assert_eq!(regs.any_breakpoint(at, Level::El1), Hit::Never);
        before = Some(text);
    }
}

#[test]
fn a_hit_that_is_more_than_counted_is_not_dealt_with_in_the_shortest_way() {
    let tables = WholeTables::<Told>::new();
    let (mut slots, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
    let told = install(&mut slots, &mut regs, &tables, breakpoint(TEXT), 0, Told(true)).expect("free");
    assert_eq!(tables.live(told).map(|record| (record.plain, record.payload)), Some((false, Told(true))));
    assert_eq!((slots.plain_breakpoint(TEXT), slots.breakpoint_hits(TEXT)), (None, SlotMask::of(0)));
    let careful = breakpoint(TEXT + 4).with_care();
    let careful = install(&mut slots, &mut regs, &tables, careful, 0, Told(false)).expect("free");
    assert_eq!(tables.live(careful).map(|record| record.plain), Some(false));
    assert_eq!((slots.plain_breakpoint(TEXT + 4), slots.breakpoint_hits(TEXT + 4)), (None, SlotMask::of(1)));
    install(&mut slots, &mut regs, &tables, breakpoint(TEXT + 8), 0, Told(false)).expect("free");
    assert_eq!(slots.plain_breakpoint(TEXT + 8), Some(2));
    // The same holds for slots that were reserved and armed in the longer way.
    for (payload, careful, plain) in [(false, false, true), (true, false, false), (false, true, false)] {
        let admitted = watchpoint(DATA, 8, Access::Read);
        let admitted = if careful { admitted.with_care() } else { admitted };
        let id = tables.reserve(admitted, Cpus::of(0), Told(payload), 4).expect("free");
        slots.arm(&mut regs, &tables, id).expect("live");
        assert_eq!(tables.live(id).map(|record| record.plain), Some(plain));
        assert_eq!(slots.plain_watchpoint(0, DATA), plain.then_some(id.index));
        tables.retire(id).expect("live");
        slots.disarm(&mut regs, id);
        tables.free(id).expect("retired");
    }
}
