use std::vec::Vec;

use super::{DATA, TEXT, TestTables, breakpoint, watchpoint};
use crate::{Access, CpuHits, Cpus, Kind, SlotError, SlotId, State};

fn reserve(tables: &TestTables, address: u64, payload: u64) -> Result<SlotId, SlotError> {
    tables.reserve(breakpoint(address), Cpus::ALL, payload, 6)
}

#[test]
fn a_record_lives_is_retired_and_goes() {
    let tables = TestTables::new();
    assert_eq!(tables.lookup(Kind::Breakpoint, 0), None);
    let id = reserve(&tables, TEXT, 0xabcd).expect("free");
    assert_eq!((id.kind, id.index), (Kind::Breakpoint, 0));
    let live = tables.lookup(Kind::Breakpoint, 0).expect("live");
    assert_eq!((live.id, live.state, live.payload, live.cpus), (id, State::Live, 0xabcd, Cpus::ALL));
    assert_eq!(live.encoding, breakpoint(TEXT).encoding());
    assert_eq!(tables.encoding_of(id), Some(live.encoding));

    assert_eq!(tables.free(id), Err(SlotError::NotRetired { id }));
    assert_eq!(tables.retire(id), Ok(()));
    assert_eq!(tables.retire(id), Err(SlotError::Gone { id }));
    let retired = tables.lookup(Kind::Breakpoint, 0).expect("retired");
    assert_eq!((retired.state, retired.payload), (State::Retired, 0xabcd));
    assert_eq!(tables.encoding_of(id), None, "nothing may re-arm it");

    assert_eq!(tables.free(id), Ok(()));
    assert_eq!(tables.free(id), Err(SlotError::Gone { id }));
    assert_eq!(tables.lookup(Kind::Breakpoint, 0), None);
}

#[test]
fn an_id_of_an_earlier_use_names_nothing() {
    let tables = TestTables::new();
    let old = reserve(&tables, TEXT, 1).expect("free");
    let counts = [CpuHits::new()];
    counts[0].count(Kind::Breakpoint, 0);
    assert_eq!(tables.hits(old, counts.iter()), Some(1));
    tables.retire(old).and_then(|()| tables.free(old)).expect("removed");
    let new = reserve(&tables, TEXT + 4, 2).expect("free");
    assert_eq!((new.index, new.generation), (old.index, old.generation + 1));
    assert_eq!(tables.encoding_of(old), None);
    assert_eq!(tables.retire(old), Err(SlotError::Gone { id: old }));
    assert_eq!(tables.free(old), Err(SlotError::Gone { id: old }));
    assert_eq!(tables.hits(old, counts.iter()), None);
    counts[0].clear(Kind::Breakpoint, 0);
    assert_eq!(tables.hits(new, counts.iter()), Some(0), "hits are those of this use");
    assert!(tables.encoding_of(new).is_some());
}

#[test]
fn an_id_survives_being_a_word() {
    let id = SlotId { kind: Kind::Watchpoint, index: 63, record: 127, generation: (1 << 30) - 1 };
    for id in [id, SlotId { kind: Kind::Breakpoint, index: 0, record: 0, generation: 0 }] {
        assert_ne!(id.to_word(), 0);
        assert_eq!(SlotId::from_word(id.to_word()), id);
    }
}

#[test]
fn the_limit_is_the_number_of_slots_of_the_machine() {
    let tables = TestTables::new();
    for n in 0..4 {
        let id = tables.reserve(breakpoint(TEXT), Cpus::ALL, 0, 4).expect("free");
        assert_eq!(id.index, n);
    }
    let full = SlotError::NoFreeSlot { kind: Kind::Breakpoint, total: 4 };
    assert_eq!(tables.reserve(breakpoint(TEXT), Cpus::ALL, 0, 4), Err(full));
    // More registers than records: the records decide.
    for n in 0..4 {
        let id = tables.reserve(watchpoint(DATA, 8, Access::Read), Cpus::ALL, 0, 16).expect("free");
        assert_eq!((id.kind, id.index), (Kind::Watchpoint, n));
    }
    let full = SlotError::NoFreeSlot { kind: Kind::Watchpoint, total: 4 };
    assert_eq!(tables.reserve(watchpoint(DATA, 8, Access::Read), Cpus::ALL, 0, 16), Err(full));
    assert_eq!(tables.iter().count(), 8);
}

#[test]
fn h5_a_cpu_that_comes_up_finds_the_live_slots_that_are_for_it() {
    let tables = TestTables::new();
    let global = reserve(&tables, TEXT, 0).expect("free");
    let gone = reserve(&tables, TEXT, 0).expect("free");
    let third = tables.reserve(breakpoint(TEXT), Cpus::of(3), 0, 6).expect("free");
    let data = tables.reserve(watchpoint(DATA, 1, Access::Write), Cpus(0b1010), 0, 4).expect("free");
    tables.retire(gone).expect("live");
    assert_eq!(tables.for_cpu(3).collect::<Vec<_>>(), [global, third, data]);
    assert_eq!(tables.for_cpu(0).collect::<Vec<_>>(), [global]);
    assert_eq!(tables.reserve(breakpoint(TEXT), Cpus(0), 0, 6), Err(SlotError::NoCpu));
}

#[test]
fn ids_of_the_other_kind_or_out_of_range_name_nothing() {
    let tables = TestTables::new();
    let id = reserve(&tables, TEXT, 0).expect("free");
    let other = SlotId { kind: Kind::Watchpoint, ..id };
    let beyond = SlotId { record: 200, ..id };
    let elsewhere = SlotId { index: 1, ..id };
    for wrong in [other, beyond, elsewhere] {
        assert_eq!(tables.encoding_of(wrong), None);
        assert_eq!(tables.retire(wrong), Err(SlotError::Gone { id: wrong }));
        assert_eq!(tables.hits(wrong, [].iter()), None);
    }
    assert_eq!(tables.breakpoints.retire(other), Err(SlotError::Gone { id: other }));
    assert_eq!(tables.lookup(Kind::Breakpoint, 200), None);
}

#[test]
fn slots_of_different_cpus_share_numbers() {
    let tables = TestTables::new();
    let at = |cpus, limit| tables.reserve(breakpoint(TEXT), cpus, 0, limit).map(|id| id.index);
    assert_eq!((at(Cpus::of(0), 2), at(Cpus::of(1), 2), at(Cpus(0b1100), 2)), (Ok(0), Ok(0), Ok(0)));
    assert_eq!(at(Cpus::ALL, 2), Ok(1), "free on all CPUs");
    let full = Err(SlotError::NoFreeSlot { kind: Kind::Breakpoint, total: 2 });
    assert_eq!((at(Cpus::of(1), 2), at(Cpus(0b1001), 2)), (full, full));
    assert_eq!(at(Cpus::of(4), 2), Ok(0));
    assert_eq!(tables.for_cpu(1).map(|id| (id.index, id.record)).collect::<Vec<_>>(), [(0, 1), (1, 3)]);
    let second = tables.for_cpu(1).next().expect("its own");
    tables.retire(second).and_then(|()| tables.free(second)).expect("live");
    assert_eq!(at(Cpus(0b1010), 2), full, "CPU 3 has it still");
    assert_eq!(at(Cpus::of(1), 2), Ok(0));
}
