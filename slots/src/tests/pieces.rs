//! Requests that take two slots.

use std::vec::Vec;

use super::{DATA, TestTables, watchpoint};
use crate::fake::{FakeRegs, Hit, Level};
use crate::{
    Access, Admitted, CpuSlots, Cpus, DebugRegs, Kind, NoProbe, Pieces, Privilege, Request, SlotError,
    SlotId, SlotMask, VaSize, WatchHit,
};

fn request(address: u64, length: u64) -> Request {
    Request::Watchpoint { address, length, access: Access::Write, privilege: Privilege::El1 }
}

fn admit(address: u64, length: u64) -> Pieces<Admitted> {
    NoProbe { text: &[], data: &[], va: VaSize::Bits48 }
        .admit_split(&request(address, length))
        .expect("one or two")
}

fn reserve(tables: &TestTables, address: u64, length: u64) -> Result<Pieces<SlotId>, SlotError> {
    tables.reserve_pieces(admit(address, length), Cpus::ALL, 7, 4)
}

fn remove(tables: &TestTables, id: SlotId) {
    tables.retire(id).and_then(|()| tables.free(id)).expect("live");
}

#[test]
fn two_slots_are_reserved_for_a_range_that_one_does_not_hold() {
    let tables = TestTables::new();
    let Ok(Pieces::Two(first, second)) = reserve(&tables, DATA + 6, 4) else { panic!("two") };
    let watched = |id| tables.encoding_of(id).expect("live").watched();
    assert_eq!(watched(first), (DATA + 6, DATA + 7));
    assert_eq!(watched(second), (DATA + 8, DATA + 9));
    assert_eq!(tables.iter().map(|r| r.payload).collect::<Vec<_>>(), [7, 7]);
    assert!(matches!(reserve(&tables, DATA, 8), Ok(Pieces::One(_))));
}

#[test]
fn all_or_nothing_is_reserved() {
    let tables = TestTables::new();
    let three: Vec<SlotId> = (0..3)
        .map(|_| tables.reserve(watchpoint(DATA, 8, Access::Write), Cpus::ALL, 0, 4).expect("free"))
        .collect();
    let kind = Kind::Watchpoint;
    assert_eq!(reserve(&tables, DATA + 6, 4), Err(SlotError::NeedsTwo { kind }));
    assert_eq!(tables.iter().count(), 3);
    // The slot that the refused request had taken is free again.
    let fourth = reserve(&tables, DATA, 8).expect("free").first();
    assert_eq!(fourth.index, 3);
    assert_eq!(reserve(&tables, DATA + 6, 4), Err(SlotError::NoFreeSlot { kind, total: 4 }));
    remove(&tables, three[1]);
    remove(&tables, fourth);
    let pair = reserve(&tables, DATA + 6, 4).expect("two are free");
    assert_eq!(pair.iter().map(|id| id.index).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(tables.reserve_pieces(admit(DATA + 6, 4), Cpus(0), 0, 4), Err(SlotError::NoCpu));
}

#[test]
fn h6_is_enforced_for_both_pieces() {
    let (first, last) = (DATA + 6, DATA + 9);
    for byte in first - 1..=last + 1 {
        let data = core::ops::Range { start: byte, end: byte + 1 };
        let no_probe = NoProbe { text: &[], data: core::slice::from_ref(&data), va: VaSize::Bits48 };
        let admitted = no_probe.admit_split(&request(first, 4));
        let piece = if byte < DATA + 8 { first } else { DATA + 8 };
        let wanted = if (first..=last).contains(&byte) {
            Some(SlotError::NoProbeData { address: piece })
        } else {
            None
        };
        assert_eq!(admitted.err(), wanted, "{byte:#x}");
    }
}

#[test]
fn why_it_cannot_be_is_told() {
    let refused = |address, length| {
        NoProbe { text: &[], data: &[], va: VaSize::Bits48 }
            .admit_split(&request(address, length))
            .expect_err("refused")
    };
    assert_eq!(refused(DATA + 4, 16), SlotError::CannotSplit { address: DATA + 4, length: 16 });
    assert_eq!(refused(DATA, 0), SlotError::BadLength { length: 0 });
    assert_eq!(refused(DATA, (1 << 31) + 1), SlotError::BadLength { length: (1 << 31) + 1 });
    let (address, last) = (u64::MAX - 2, u64::MAX);
    assert_eq!(refused(address, 8), SlotError::PastTheEnd { address, length: 8, last });
}

#[test]
fn the_halves_of_a_pair_find_each_other_and_nobody_else() {
    let tables = TestTables::new();
    let alone = reserve(&tables, DATA, 8).expect("free").first();
    let Ok(Pieces::Two(first, second)) = reserve(&tables, DATA + 6, 4) else { panic!("two") };
    let (mut cpu, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
    let mate =
        |cpu: &CpuSlots, id: SlotId| cpu.record(&tables, id.kind, id.index).and_then(|record| record.mate);
    cpu.arm(&mut regs, &tables, alone).expect("live");
    cpu.arm(&mut regs, &tables, first).expect("live");
    assert_eq!((mate(&cpu, first), mate(&cpu, alone)), (None, None), "the other half is not armed yet");
    cpu.arm(&mut regs, &tables, second).expect("live");
    assert_eq!((mate(&cpu, first), mate(&cpu, second)), (Some(second.index), Some(first.index)));
    tables.retire(first).expect("live");
    assert_eq!(mate(&cpu, second), Some(first.index), "as long as it is armed");
    cpu.disarm(&mut regs, first);
    tables.free(first).expect("retired");
    assert_eq!(mate(&cpu, second), None);
    // Another use of the mate's slot, alone or as half of another pair, is no mate.
    let other = reserve(&tables, DATA + 16, 8).expect("free").first();
    cpu.arm(&mut regs, &tables, other).expect("live");
    assert_eq!((other.index, mate(&cpu, second), mate(&cpu, other)), (first.index, None, None));
    cpu.disarm(&mut regs, other);
    remove(&tables, other);
    let Ok(Pieces::Two(third, fourth)) = reserve(&tables, DATA + 30, 4) else { panic!("two") };
    cpu.arm(&mut regs, &tables, third).expect("live");
    cpu.arm(&mut regs, &tables, fourth).expect("live");
    assert_eq!((third.index, fourth.index), (first.index, 3));
    assert_eq!(
        [second, third, fourth].map(|id| mate(&cpu, id)),
        [None, Some(fourth.index), Some(third.index)]
    );
}

#[test]
fn h7_of_a_pair_one_half_is_named_when_the_syndrome_leaves_both() {
    const WNR_FNV: u32 = 1 << 6 | 1 << 10;
    let tables = TestTables::new();
    let Ok(Pieces::Two(first, second)) = reserve(&tables, DATA + 6, 4) else { panic!("two") };
    let alone = reserve(&tables, DATA, 8).expect("free").first();
    let (mut cpu, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
    for id in [first, second, alone] {
        cpu.arm(&mut regs, &tables, id).expect("live");
    }
    let hits = |iss, far| cpu.watchpoint_hits(&tables, &WatchHit::from_syndrome(iss, far, 64));
    let named = |ids: &[SlotId]| ids.iter().fold(SlotMask::EMPTY, |mask, id| mask.with(id.index));
    assert_eq!(hits(WNR_FNV, 0), named(&[first, alone]));
    // The syndrome's number is one half, FAR lies in the other.
    let wpt = |id: SlotId| 1 << 6 | 1 << 17 | u32::from(id.index) << 18;
    assert_eq!(hits(wpt(second), DATA + 6), named(&[first, alone]));
    assert_eq!(hits(wpt(second), DATA + 8), named(&[second]));
    assert_eq!(hits(1 << 6, DATA + 8), named(&[second]));
}

/// LDXP and STXP of two X registers access 16 bytes at once, so one access can touch both slots of a range. One hit must then
/// suspend both slots. Otherwise the second slot causes another exception, which clears the exclusive monitor, and STXP fails for
/// ever.
#[test]
fn h9_an_access_of_16_bytes_that_touches_both_halves_is_one_hit_and_one_step_over() {
    const WNR: u32 = 1 << 6;
    let tables = TestTables::new();
    let split = |access| {
        let request = Request::Watchpoint { address: DATA + 4, length: 8, access, privilege: Privilege::El1 };
        NoProbe { text: &[], data: &[], va: VaSize::Bits48 }.admit_split(&request).expect("two")
    };
    // STXP or LDXP; the accesses that the range is watched for; the accesses that a second range on the same bytes is watched for,
    // which the instruction must not hit.
    for (write, access, other) in [
        (false, Access::Read, Access::Write),
        (false, Access::ReadWrite, Access::Write),
        (true, Access::Write, Access::Read),
        (true, Access::ReadWrite, Access::Read),
    ] {
        let (mut cpu, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
        let pieces = tables.reserve_pieces(split(access), Cpus::ALL, 0, 4).expect("free");
        let others = tables.reserve_pieces(split(other), Cpus::ALL, 0, 4).expect("free");
        for id in pieces.iter().chain(others.iter()) {
            cpu.arm(&mut regs, &tables, id).expect("live");
        }
        let caught = |regs: &FakeRegs| {
            (DATA..DATA + 16).any(|byte| regs.any_watchpoint(byte, write, Level::El1) != Hit::Never)
        };
        // FAR is anywhere from the first byte accessed to the last one watched.
        for far in DATA..DATA + 12 {
            assert!(caught(&regs), "{access:?}");
            let hit = WatchHit::from_syndrome(if write { WNR } else { 0 }, far, 64);
            let hits = cpu.watchpoint_hits(&tables, &hit);
            assert_eq!(hits.count(), 1, "{access:?}, FAR {far:#x}: {hits:?}");
            for n in hits {
                let record = cpu.suspend_whole(&mut regs, &tables, Kind::Watchpoint, n).expect("armed");
                assert!(record.mate.is_some(), "{access:?}, FAR {far:#x}: the other half");
                assert!(pieces.iter().any(|id| id == record.id), "{access:?}, FAR {far:#x}: the other range");
                regs.isb();
            }
            assert!(!caught(&regs), "{access:?}, FAR {far:#x}: it would be caught again");
            cpu.rearm_all(&mut regs);
            regs.isb();
        }
        for id in pieces.iter().chain(others.iter()) {
            tables.retire(id).expect("live");
            cpu.disarm(&mut regs, id);
            tables.free(id).expect("retired");
        }
    }
}
