use std::vec::Vec;

use super::{DATA, TEXT, TestTables, breakpoint, watchpoint};
use crate::{Access, Cpus, Kind, SlotError, SlotId, State};

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
    tables.count_hit(Kind::Breakpoint, 0);
    assert_eq!(tables.hits(old), Some(1));
    tables.retire(old).and_then(|()| tables.free(old)).expect("removed");
    let new = reserve(&tables, TEXT + 4, 2).expect("free");
    assert_eq!((new.index, new.generation), (old.index, old.generation + 1));
    assert_eq!(tables.encoding_of(old), None);
    assert_eq!(tables.retire(old), Err(SlotError::Gone { id: old }));
    assert_eq!(tables.free(old), Err(SlotError::Gone { id: old }));
    assert_eq!(tables.hits(old), None);
    assert_eq!(tables.hits(new), Some(0), "hits are those of this use");
    assert!(tables.encoding_of(new).is_some());
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
    let beyond = SlotId { index: 200, ..id };
    for wrong in [other, beyond] {
        assert_eq!(tables.encoding_of(wrong), None);
        assert_eq!(tables.retire(wrong), Err(SlotError::Gone { id: wrong }));
        assert_eq!(tables.hits(wrong), None);
    }
    assert_eq!(tables.breakpoints.retire(other), Err(SlotError::Gone { id: other }));
    tables.count_hit(Kind::Breakpoint, 200);
    assert_eq!(tables.lookup(Kind::Breakpoint, 200), None);
}
