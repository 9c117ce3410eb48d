//! Banked registers: each access reaches the slot that is meant, and no other.

use std::vec::Vec;

use super::{DATA, TEXT, breakpoint, counts, watchpoint};
use crate::fake::{Fault, Hit, Level, Pe, Stale};
use crate::{
    Access, BankSelect, Banked, CpuSlots, Cpus, DebugRegs, EMBWE, Kind, ReadRegs, SlotId, SlotMask, Tables,
    reset_all,
};

pub(super) type BigTables = Tables<u64, 64, 64>;

pub(super) const KINDS: [Kind; 2] = [Kind::Breakpoint, Kind::Watchpoint];
pub(super) const STALE: [Stale; 2] = [Stale::Oldest, Stale::Newest];
/// MDE and KDE.
const ENABLED: u64 = 1 << 15 | 1 << 13;

/// The address that slot `n` is set on in these tests. Each slot has its own.
fn address(kind: Kind, n: u8) -> u64 {
    let base = if kind == Kind::Breakpoint { TEXT } else { DATA };
    base + 64 * u64::from(n)
}

/// A live record for each slot of a kind, by index.
pub(super) fn reserve_all(tables: &BigTables, kind: Kind, count: u8) -> Vec<SlotId> {
    (0..count)
        .map(|n| {
            let admitted = match kind {
                Kind::Breakpoint => breakpoint(address(kind, n)),
                Kind::Watchpoint => watchpoint(address(kind, n), 8, Access::Write),
            };
            let id = tables.reserve(admitted, Cpus::ALL, 0, count).expect("free");
            assert_eq!(id.index, n);
            id
        })
        .collect()
}

#[test]
fn every_slot_of_every_bank_is_armed_hit_suspended_re_armed_and_disarmed() {
    for (kind, stale) in KINDS.into_iter().flat_map(|kind| STALE.map(|stale| (kind, stale))) {
        let tables = BigTables::new();
        let mut cpu = CpuSlots::new();
        let mut pe = Pe::brought_up(counts(64, 64), stale);
        let ids = reserve_all(&tables, kind, 64);
        let hits = |pe: &Pe| {
            (0..64).fold(SlotMask::EMPTY, |mask, n| match pe.any_hits(kind, address(kind, n), Level::El1) {
                Hit::Always => mask.with(n),
                Hit::Never => mask,
                Hit::May => panic!("{n}: not synchronised"),
            })
        };
        for n in 0..64 {
            pe.masked(|pe| cpu.arm(&mut Banked(pe), &tables, ids[usize::from(n)])).expect("live");
            assert_eq!(hits(&pe), SlotMask::first(n + 1));
            assert_eq!(pe.hits(kind, n, address(kind, n), Level::El1), Hit::Always);
        }
        for n in 0..64 {
            let id = ids[usize::from(n)];
            pe.masked(|pe| cpu.suspend(&mut Banked(&mut *pe), id.kind, id.index));
            pe.isb();
            assert_eq!(hits(&pe), SlotMask::first(64).without(SlotMask::of(n)));
            let stashed = pe.masked(|pe| cpu.stash(&mut Banked(&mut *pe)));
            pe.isb();
            assert_eq!(hits(&pe), SlotMask::first(64));
            pe.masked(|pe| cpu.unstash(&mut Banked(&mut *pe), &stashed));
            pe.isb();
            assert_eq!(hits(&pe), SlotMask::first(64).without(SlotMask::of(n)));
            pe.masked(|pe| cpu.rearm_all(&mut Banked(&mut *pe)));
            pe.isb();
        }
        for n in 0..64 {
            pe.masked(|pe| cpu.disarm(&mut Banked(pe), ids[usize::from(n)]));
            assert_eq!(hits(&pe), SlotMask::first(64).without(SlotMask::first(n + 1)));
        }
        assert_eq!((pe.faults(), pe.mdselr()), (&[][..], 0));
    }
}

#[test]
fn attribution_reaches_every_slot() {
    let tables = BigTables::new();
    let mut cpu = CpuSlots::new();
    let mut pe = Pe::brought_up(counts(64, 64), Stale::Oldest);
    for kind in KINDS {
        for id in reserve_all(&tables, kind, 64) {
            cpu.arm(&mut Banked(&mut pe), &tables, id).expect("live");
        }
    }
    for n in 0..64 {
        assert_eq!(cpu.breakpoint_hits(address(Kind::Breakpoint, n)), SlotMask::of(n));
        let far = address(Kind::Watchpoint, n);
        let hit = |iss, far| crate::WatchHit::from_syndrome(1 << 6 | iss, far, 64);
        assert_eq!(cpu.watchpoint_hits(&tables, &hit(0, far)), SlotMask::of(n));
        let named = 1 << 17 | 1 << 10 | u32::from(n) << 18;
        assert_eq!(cpu.watchpoint_hits(&tables, &hit(named, 0)), SlotMask::of(n), "by WPT");
    }
}

#[test]
fn all_64_suspended_at_once_come_back() {
    let tables = BigTables::new();
    let mut cpu = CpuSlots::new();
    let mut pe = Pe::brought_up(counts(64, 64), Stale::Oldest);
    let ids: Vec<SlotId> = KINDS.into_iter().flat_map(|kind| reserve_all(&tables, kind, 64)).collect();
    let regs = &mut Banked(&mut pe);
    for &id in &ids {
        cpu.arm(regs, &tables, id).expect("live");
    }
    for &id in ids.iter().rev() {
        cpu.suspend(regs, id.kind, id.index);
    }
    assert!(ids.iter().all(|&id| cpu.suspended().contains(id)));
    let stashed = cpu.stash(regs);
    assert!(cpu.suspended().is_empty());
    // One of the slots gets another use meanwhile.
    tables.retire(ids[40]).expect("live");
    cpu.disarm(regs, ids[40]);
    tables.free(ids[40]).expect("retired");
    let new = tables.reserve(breakpoint(TEXT + 4), Cpus::ALL, 0, 64).expect("free");
    cpu.arm(regs, &tables, new).expect("live");
    cpu.unstash(regs, &stashed);
    assert_eq!(cpu.suspended().mask(Kind::Breakpoint), SlotMask::first(64).without(SlotMask::of(40)));
    assert_eq!(cpu.suspended().mask(Kind::Watchpoint), SlotMask::first(64));
}

#[test]
fn h8_bring_up_puts_every_slot_of_every_bank_into_a_known_state() {
    for (breakpoints, watchpoints) in [(64, 64), (17, 4), (4, 17), (33, 48), (6, 4), (16, 16)] {
        let counts = counts(breakpoints, watchpoints);
        for seed in 1..50 {
            let mut pe = Pe::out_of_reset(counts, seed * 0x9e37_79b9);
            if counts.banked() {
                pe.write_mdscr(EMBWE);
                pe.isb();
                reset_all(&mut Banked(&mut pe), counts);
            } else {
                pe.write_mdscr(0);
                pe.isb();
                reset_all(&mut pe, counts);
            }
            for kind in KINDS {
                assert!(pe.contents(kind).iter().all(|&slot| slot == (0, 0)), "{counts:?} {seed}");
                assert_eq!(pe.contents(kind).len(), usize::from(counts.of(kind)));
            }
            assert_eq!(pe.faults(), []);
            assert!(!counts.banked() || pe.mdselr() == 0);
        }
    }
}

#[test]
fn embwe_gates_the_slots_above_15_and_the_way_to_them() {
    let tables = BigTables::new();
    let mut cpu = CpuSlots::new();
    let mut pe = Pe::brought_up(counts(64, 64), Stale::Newest);
    let ids = reserve_all(&tables, Kind::Breakpoint, 20);
    for n in [3, 17] {
        cpu.arm(&mut Banked(&mut pe), &tables, ids[n]).expect("live");
    }
    let hits =
        |pe: &Pe| [3, 17].map(|n| pe.any_hits(Kind::Breakpoint, address(Kind::Breakpoint, n), Level::El1));
    assert_eq!(hits(&pe), [Hit::Always; 2]);
    pe.write_mdscr(ENABLED);
    assert_eq!(hits(&pe), [Hit::Always, Hit::May]);
    pe.isb();
    assert_eq!(hits(&pe), [Hit::Always, Hit::Never]);
    // Without EMBWE a write that is meant for slot 19 goes to slot 3. `banks_answer` finds that out.
    let before = pe.contents(Kind::Breakpoint)[3];
    Banked(&mut pe).write_value(Kind::Breakpoint, 19, 0x4000);
    assert_ne!(pe.contents(Kind::Breakpoint)[3], before);
}

/// If bring-up has found no banks, the kernel uses the same back end, and relies on it not to access MDSELR_EL1.
#[test]
fn slots_of_bank_0_are_reached_without_a_word_about_banks() {
    let tables = BigTables::new();
    let mut cpu = CpuSlots::new();
    let mut pe = Pe::brought_up(counts(16, 16), Stale::Oldest);
    for kind in KINDS {
        for (n, id) in (0..16).zip(reserve_all(&tables, kind, 16)) {
            let before = pe.accesses();
            let regs = &mut Banked(&mut pe);
            cpu.arm(regs, &tables, id).expect("live");
            let encoding = tables.encoding_of(id).expect("live");
            let read = (regs.read_value(kind, n), regs.read_control(kind, n));
            assert_eq!(read, (encoding.value, encoding.enabled()));
            cpu.suspend(regs, id.kind, id.index);
            cpu.rearm_all(regs);
            cpu.resync(regs, &tables, kind, 16);
            cpu.disarm(regs, id);
            assert_eq!(pe.faults(), []);
            assert!(pe.accesses() > before);
        }
    }
}

#[test]
fn the_model_says_what_software_must_not_do() {
    let mut pe = Pe::brought_up(counts(20, 4), Stale::Newest);
    pe.write_control(Kind::Watchpoint, 4, 1);
    pe.write_mdselr(0x10);
    pe.write_value(Kind::Breakpoint, 3, 0x1000);
    pe.isb();
    pe.write_value(Kind::Breakpoint, 4, 0x1000);
    pe.write_mdselr(0x20);
    pe.isb();
    pe.read_value(Kind::Breakpoint, 0);
    assert_eq!(
        pe.faults(),
        [
            Fault::Undefined(Kind::Watchpoint, 4),
            Fault::Unsynchronised(Kind::Breakpoint, 3),
            Fault::Undefined(Kind::Breakpoint, 20),
            Fault::Reserved(2),
        ]
    );
    assert_eq!(pe.contents(Kind::Breakpoint)[19], (0x1000, 0));
    let mut pe = Pe::brought_up(counts(16, 16), Stale::Newest);
    pe.write_mdselr(0);
    assert_eq!(pe.faults(), [Fault::NoBanks]);
}
