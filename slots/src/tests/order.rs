//! Rules H1, H2 and H8: the order of writes, and what an access between any two of them may do.

use std::vec::Vec;

use super::{Random, TEXT, TestTables, breakpoint, counts};
use crate::fake::{FakeRegs, Hit, Level, Op};
use crate::{Access, CpuSlots, Cpus, DebugRegs, Kind, Privilege, Request, SlotId, arm, disarm, reset_all};

#[test]
fn h1_arm_writes_value_then_control_then_isb() {
    for kind in [Kind::Breakpoint, Kind::Watchpoint] {
        let mut regs = FakeRegs::zeroed(6, 4);
        let encoding = breakpoint(TEXT).encoding();
        arm(&mut regs, kind, 3, encoding);
        assert_eq!(
            regs.trace,
            [Op::Value(kind, 3, TEXT), Op::Control(kind, 3, encoding.control | 1), Op::Isb]
        );
    }
}

#[test]
fn h1_disarm_writes_control_zero_then_isb() {
    let mut regs = FakeRegs::zeroed(6, 4);
    disarm(&mut regs, Kind::Watchpoint, 2);
    assert_eq!(regs.trace, [Op::Control(Kind::Watchpoint, 2, 0), Op::Isb]);
}

/// The six points of the sequences in the architecture: before the write, between write and ISB, after the ISB.
#[test]
fn h2_before_the_write_never_between_maybe_after_the_isb_always_and_in_reverse() {
    let request =
        Request::Watchpoint { address: 0x1000, length: 8, access: Access::Read, privilege: Privilege::El1 };
    let encoding = request.encode().expect("encodable");
    let mut regs = FakeRegs::zeroed(0, 1);
    let load = |regs: &FakeRegs| regs.watchpoint(0, 0x1004, false, Level::El1);

    assert_eq!(load(&regs), Hit::Never);
    regs.write_value(Kind::Watchpoint, 0, encoding.value);
    assert_eq!(load(&regs), Hit::Never);
    regs.write_control(Kind::Watchpoint, 0, encoding.enabled());
    assert_eq!(load(&regs), Hit::May);
    regs.isb();
    assert_eq!(load(&regs), Hit::Always);

    regs.write_control(Kind::Watchpoint, 0, 0);
    assert_eq!(load(&regs), Hit::May);
    regs.isb();
    assert_eq!(load(&regs), Hit::Never);

    arm(&mut regs, Kind::Watchpoint, 0, encoding);
    assert_eq!(load(&regs), Hit::Always);
    regs.write_control(Kind::Watchpoint, 0, encoding.control);
    assert_eq!(load(&regs), Hit::May, "the caller's exception return synchronises");
    disarm(&mut regs, Kind::Watchpoint, 0);
    assert_eq!(load(&regs), Hit::Never);
}

#[test]
fn h8_every_slot_is_off_after_a_reset_that_left_them_unknown() {
    for seed in 1..200 {
        let mut regs = FakeRegs::unknown(16, 16, seed * 0x9e37_79b9);
        let mut other = regs.clone();
        let addresses: Vec<u64> = (0..16)
            .flat_map(|n| [regs.read(Kind::Breakpoint, n).0, regs.read(Kind::Watchpoint, n).0])
            .chain([0])
            .collect();
        let hits = |regs: &FakeRegs| {
            addresses
                .iter()
                .flat_map(|&address| [Level::El0, Level::El1].map(|level| (address, level)))
                .filter(|&(address, level)| {
                    regs.any_breakpoint(address, level) != Hit::Never
                        || regs.any_watchpoint(address, true, level) != Hit::Never
                })
                .count()
        };
        reset_all(&mut regs, counts(16, 16));
        assert_eq!(hits(&regs), 0);
        assert_eq!(regs.trace.last(), Some(&Op::Isb));
        for n in 0..16 {
            assert_eq!(regs.read(Kind::Breakpoint, n), (0, 0));
            assert_eq!(regs.read(Kind::Watchpoint, n), (0, 0));
        }
        // One slot too few is noticed: the count is the ID field plus one.
        reset_all(&mut other, counts(15, 15));
        assert_ne!(other.read(Kind::Breakpoint, 15), (0, 0));
    }
}

/// Registers that, after every operation, look up the record of each hit that is possible now. They count these hits (`possible`),
/// and those for which there is no record, or the record of another address (`unaccounted`).
struct Hostile<'a> {
    regs: FakeRegs,
    tables: &'a TestTables,
    unaccounted: usize,
    possible: usize,
}

impl Hostile<'_> {
    fn probe(&mut self) {
        for index in 0..6 {
            for address in [TEXT, TEXT + 4, TEXT + 8] {
                if self.regs.breakpoint(index, address, Level::El1) == Hit::Never {
                    continue;
                }
                self.possible += 1;
                let record = self.tables.lookup(Kind::Breakpoint, index);
                self.unaccounted += usize::from(record.is_none_or(|r| r.encoding.value != address));
            }
        }
    }
}

impl DebugRegs for Hostile<'_> {
    fn write_value(&mut self, kind: Kind, n: u8, value: u64) {
        self.regs.write_value(kind, n, value);
        self.probe();
    }

    fn write_control(&mut self, kind: Kind, n: u8, control: u32) {
        self.regs.write_control(kind, n, control);
        self.probe();
    }

    fn isb(&mut self) {
        self.regs.isb();
        self.probe();
    }
}

fn hostile(tables: &TestTables) -> Hostile<'_> {
    Hostile { regs: FakeRegs::zeroed(6, 4), tables, unaccounted: 0, possible: 0 }
}

fn reserve(tables: &TestTables, address: u64) -> SlotId {
    tables.reserve(breakpoint(address), Cpus::ALL, 7, 6).expect("a free slot")
}

#[test]
fn h1_at_no_point_can_a_hit_miss_its_record() {
    let tables = TestTables::new();
    let mut regs = hostile(&tables);
    let mut cpu = CpuSlots::new();
    let mut random = Random(3);
    let mut live: Vec<SlotId> = Vec::new();
    for _ in 0..2000 {
        if live.len() == 6 || !live.is_empty() && random.below(2) == 0 {
            let id = live.swap_remove(random.below(live.len() as u64) as usize);
            tables.retire(id).expect("live");
            regs.probe();
            cpu.disarm(&mut regs, id);
            regs.probe();
            tables.free(id).expect("retired");
        } else {
            let id = reserve(&tables, TEXT + 4 * random.below(3));
            regs.probe();
            cpu.arm(&mut regs, &tables, id).expect("live");
            live.push(id);
        }
        regs.probe();
    }
    assert_eq!(regs.unaccounted, 0);
    assert!(regs.possible > 2000, "{} possible hits", regs.possible);
}

/// The order that can livelock: the record goes before the control register is cleared.
#[test]
fn h1_the_record_freed_before_the_register_is_cleared_is_noticed() {
    let tables = TestTables::new();
    let mut regs = hostile(&tables);
    let mut cpu = CpuSlots::new();
    let id = reserve(&tables, TEXT);
    cpu.arm(&mut regs, &tables, id).expect("live");
    assert_eq!(regs.unaccounted, 0);
    tables.retire(id).expect("live");
    tables.free(id).expect("retired");
    cpu.disarm(&mut regs, id);
    assert_ne!(regs.unaccounted, 0);
}

#[test]
fn h1_control_written_before_the_value_is_noticed() {
    let tables = TestTables::new();
    let mut regs = hostile(&tables);
    let old = breakpoint(TEXT).encoding();
    regs.regs.write_value(Kind::Breakpoint, 0, old.value);
    regs.regs.isb();
    reserve(&tables, TEXT + 4);
    let new = breakpoint(TEXT + 4).encoding();
    regs.write_control(Kind::Breakpoint, 0, new.enabled());
    regs.write_value(Kind::Breakpoint, 0, new.value);
    regs.isb();
    assert_ne!(regs.unaccounted, 0);
}

#[test]
fn h1_a_missing_isb_is_noticed() {
    let mut regs = FakeRegs::zeroed(6, 4);
    let encoding = breakpoint(TEXT).encoding();
    arm(&mut regs, Kind::Breakpoint, 0, encoding);
    regs.write_control(Kind::Breakpoint, 0, 0);
    assert_eq!(regs.breakpoint(0, TEXT, Level::El1), Hit::May);
}
