//! Rules M8 and H3 as far as slots are concerned: suspend, stash, re-arm, and hits that nobody owns.

use super::{DATA, TEXT, TestTables, breakpoint, watchpoint};
use crate::fake::{FakeRegs, Hit, Level, Op};
use crate::{Access, CpuSlots, Cpus, DebugRegs, Kind, SlotId, SlotMask, Suspended};

struct Fixture {
    tables: TestTables,
    cpu: CpuSlots,
    regs: FakeRegs,
    text: SlotId,
    data: SlotId,
}

/// A breakpoint at TEXT and a watchpoint on DATA, armed, and both hit and suspended.
fn suspended() -> Fixture {
    let tables = TestTables::new();
    let mut cpu = CpuSlots::new();
    let mut regs = FakeRegs::zeroed(6, 4);
    let text = tables.reserve(breakpoint(TEXT), Cpus::ALL, 0, 6).expect("free");
    let data = tables.reserve(watchpoint(DATA, 8, Access::Write), Cpus::ALL, 0, 4).expect("free");
    for id in [text, data] {
        cpu.arm(&mut regs, &tables, id).expect("live");
    }
    assert_eq!(cpu.matching(Kind::Breakpoint), SlotMask::of(text.index));
    for id in [text, data] {
        cpu.suspend(&mut regs, id.kind, id.index);
    }
    regs.isb();
    regs.trace.clear();
    Fixture { tables, cpu, regs, text, data }
}

impl Fixture {
    fn matches(&self) -> (Hit, Hit) {
        (self.regs.any_breakpoint(TEXT, Level::El1), self.regs.any_watchpoint(DATA, true, Level::El1))
    }

    fn remove(&mut self, id: SlotId) {
        self.tables.retire(id).expect("live");
        self.cpu.disarm(&mut self.regs, id);
        self.tables.free(id).expect("retired");
    }
}

#[test]
fn a_step_over_suspends_and_re_arms_with_one_write_each() {
    let mut f = suspended();
    assert_eq!(f.matches(), (Hit::Never, Hit::Never));
    assert!(f.cpu.matching(Kind::Breakpoint).is_empty());
    assert_eq!(f.cpu.armed(Kind::Breakpoint), SlotMask::of(0));
    assert!(f.cpu.suspended().contains(f.text) && f.cpu.suspended().contains(f.data));
    f.cpu.rearm_all(&mut f.regs);
    let control = |id| f.tables.encoding_of(id).expect("live").enabled();
    assert_eq!(
        f.regs.trace,
        [
            Op::Control(Kind::Breakpoint, 0, control(f.text)),
            Op::Control(Kind::Watchpoint, 0, control(f.data)),
        ]
    );
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Always, Hit::Always));
    assert!(f.cpu.suspended().is_empty());
}

/// For every set of suspended slots, out of three breakpoints and three watchpoints: `rearm_one` re-arms the slot if there is only
/// one, and otherwise changes nothing.
#[test]
fn the_short_way_re_arms_what_is_one_slot_alone() {
    for suspended in 0..64u32 {
        let tables = TestTables::new();
        let (mut cpu, mut regs) = (CpuSlots::new(), FakeRegs::zeroed(6, 4));
        let mut ids = [None; 6];
        for (n, id) in ids.iter_mut().enumerate() {
            let (offset, cpus) = (8 * n as u64, Cpus::ALL);
            let reserved = if n < 3 {
                tables.reserve(breakpoint(TEXT + offset), cpus, 0, 6)
            } else {
                tables.reserve(watchpoint(DATA + offset, 8, Access::Write), cpus, 0, 4)
            };
            let reserved = reserved.expect("free");
            cpu.arm(&mut regs, &tables, reserved).expect("live");
            *id = Some(reserved);
        }
        let chosen = ids.iter().flatten().enumerate().filter(|(n, _)| suspended & 1 << n != 0);
        let chosen: std::vec::Vec<_> = chosen.map(|(_, id)| *id).collect();
        for id in &chosen {
            cpu.suspend(&mut regs, id.kind, id.index);
        }
        regs.trace.clear();
        assert_eq!(cpu.rearm_one(&mut regs), chosen.len() == 1, "{suspended:06b}");
        if let [id] = chosen[..] {
            let control = tables.encoding_of(id).expect("live").enabled();
            assert_eq!(regs.trace, [Op::Control(id.kind, id.index, control)]);
            assert!(cpu.suspended().is_empty());
        } else {
            assert!(regs.trace.is_empty());
            assert!(chosen.iter().all(|id| cpu.suspended().contains(*id)));
        }
    }
}

#[test]
fn m8_an_interrupt_handler_sees_the_slots_armed_and_the_context_gets_them_back_suspended() {
    let mut f = suspended();
    let stashed = f.cpu.stash(&mut f.regs);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Always, Hit::Always));
    assert!(stashed.contains(f.text) && stashed.contains(f.data));

    // The interrupt handler hits the breakpoint itself, and is interrupted during its own step-over.
    f.cpu.suspend(&mut f.regs, f.text.kind, f.text.index);
    let inner = f.cpu.stash(&mut f.regs);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Always, Hit::Always));
    f.cpu.unstash(&mut f.regs, &inner);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Never, Hit::Always));
    f.cpu.rearm_all(&mut f.regs);

    f.cpu.unstash(&mut f.regs, &stashed);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Never, Hit::Never));
    f.cpu.rearm_all(&mut f.regs);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Always, Hit::Always));
}

#[test]
fn m8_a_slot_removed_by_the_interrupt_handler_stays_off() {
    let mut f = suspended();
    let stashed = f.cpu.stash(&mut f.regs);
    f.remove(f.text);
    f.regs.trace.clear();
    f.cpu.unstash(&mut f.regs, &stashed);
    assert!(f.regs.trace.iter().all(|op| !matches!(op, Op::Control(Kind::Breakpoint, ..))));
    f.cpu.rearm_all(&mut f.regs);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Never, Hit::Always));
}

#[test]
fn m8_another_use_of_the_same_index_is_not_suspended_by_the_old_stash() {
    let mut f = suspended();
    let stashed = f.cpu.stash(&mut f.regs);
    f.remove(f.text);
    let new = f.tables.reserve(breakpoint(TEXT + 4), Cpus::ALL, 0, 6).expect("free");
    assert_eq!(new.index, f.text.index);
    f.cpu.arm(&mut f.regs, &f.tables, new).expect("live");
    f.cpu.unstash(&mut f.regs, &stashed);
    f.regs.isb();
    assert_eq!(f.regs.any_breakpoint(TEXT + 4, Level::El1), Hit::Always);
    assert!(!f.cpu.suspended().contains(new) && !f.cpu.suspended().contains(f.text));
}

/// A CPU that has not disarmed a retired slot yet still attributes hits to it, because the record is still there. But no CPU arms
/// the slot anew.
#[test]
fn a_retired_slot_is_armed_until_it_is_disarmed_and_never_again() {
    let mut f = suspended();
    f.tables.retire(f.text).expect("live");
    f.cpu.rearm_all(&mut f.regs);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Always, Hit::Always));
    assert_eq!(f.cpu.breakpoint_hits(TEXT), SlotMask::of(f.text.index));
    assert!(f.tables.lookup(Kind::Breakpoint, f.text.record).is_some());
    f.cpu.disarm(&mut f.regs, f.text);
    assert_eq!(f.matches().0, Hit::Never);
    assert!(f.cpu.arm(&mut f.regs, &f.tables, f.text).is_err());
    assert_eq!(f.matches().0, Hit::Never);
}

#[test]
fn a_slot_retired_but_still_armed_here_is_not_hit_twice_by_one_instruction() {
    let mut f = suspended();
    let stashed = f.cpu.stash(&mut f.regs);
    f.tables.retire(f.text).expect("live");
    f.cpu.unstash(&mut f.regs, &stashed);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Never, Hit::Never));
}

#[test]
fn a_disarmed_slot_is_not_re_armed_though_its_record_lives() {
    let mut f = suspended();
    let stashed = f.cpu.stash(&mut f.regs);
    f.cpu.disarm(&mut f.regs, f.text);
    f.cpu.unstash(&mut f.regs, &stashed);
    f.cpu.rearm_all(&mut f.regs);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Never, Hit::Always));
}

#[test]
fn a_slot_disarmed_or_armed_anew_is_suspended_no_more() {
    let mut f = suspended();
    f.cpu.disarm(&mut f.regs, f.text);
    assert!(!f.cpu.suspended().contains(f.text));
    f.cpu.arm(&mut f.regs, &f.tables, f.text).expect("live");
    assert_eq!(f.cpu.matching(Kind::Breakpoint), SlotMask::of(f.text.index));
    f.cpu.arm(&mut f.regs, &f.tables, f.data).expect("live");
    assert_eq!(f.cpu.matching(Kind::Watchpoint), SlotMask::of(f.data.index));
    assert_eq!(f.matches(), (Hit::Always, Hit::Always));
}

#[test]
fn a_set_of_suspended_slots_holds_those_put_in_and_no_newer_use_of_them() {
    let id = |kind, index, generation| SlotId { kind, index, record: index, generation };
    use Kind::{Breakpoint, Watchpoint};
    let mut set = Suspended::new();
    set.insert(id(Watchpoint, 63, 8));
    set.insert(id(Watchpoint, 2, 5));
    assert!(set.contains(id(Watchpoint, 63, 8)) && set.contains(id(Watchpoint, 2, 5)));
    assert!(!set.contains(id(Watchpoint, 63, 9)) && !set.contains(id(Watchpoint, 2, 9)));
    assert!(!set.contains(id(Watchpoint, 3, 5)) && !set.contains(id(Breakpoint, 2, 5)));
    set.insert(id(Breakpoint, 2, 100));
    assert!(!set.contains(id(Watchpoint, 2, 9)), "each kind has its own generations");
    set.insert(id(Watchpoint, 4, 9));
    assert_eq!(set.mask(Watchpoint), SlotMask::EMPTY.with(63).with(2).with(4));
    set.remove(id(Watchpoint, 2, 10));
    assert!(set.contains(id(Watchpoint, 2, 5)), "a later use is not in it");
    set.remove(id(Watchpoint, 2, 5));
    assert!(!set.contains(id(Watchpoint, 2, 5)));
    set.clear();
    assert!(set.is_empty());
    // `clear` also forgets the newest generation.
    set.insert(id(Watchpoint, 2, 3));
    assert!(set.contains(id(Watchpoint, 2, 3)) && !set.contains(id(Watchpoint, 2, 4)));
}

#[test]
fn generations_wrap_around_in_a_set_of_suspended_slots() {
    let last = (1 << 30) - 1;
    let id = |generation| SlotId { kind: Kind::Breakpoint, index: 0, record: 0, generation };
    let mut set = Suspended::new();
    set.insert(id(last));
    assert!(set.contains(id(last)) && !set.contains(id(0)) && !set.contains(id(1)));
    set.insert(id(1));
    assert!(set.contains(id(last)) && set.contains(id(0)) && set.contains(id(1)) && !set.contains(id(2)));
}

#[test]
fn a_stash_entry_is_as_small_for_64_slots() {
    assert!(size_of::<Suspended>() <= 24);
}

#[test]
fn h3_what_nobody_owns_is_switched_off_and_the_rest_is_put_right() {
    let mut f = suspended();
    f.cpu.rearm_all(&mut f.regs);
    // A slot that was set without a record, and a slot whose value register is not what its record says.
    let stray = breakpoint(TEXT + 0x40).encoding();
    f.regs.write_value(Kind::Breakpoint, 5, stray.value);
    f.regs.write_control(Kind::Breakpoint, 5, stray.enabled());
    f.regs.write_value(Kind::Breakpoint, f.text.index, TEXT + 0x80);
    f.regs.isb();
    assert_eq!(f.regs.any_breakpoint(TEXT + 0x40, Level::El1), Hit::Always);
    let off = f.cpu.resync(&mut f.regs, &f.tables, Kind::Breakpoint, 6);
    assert_eq!(off, SlotMask::first(6).without(SlotMask::of(f.text.index)));
    for address in [TEXT + 0x40, TEXT + 0x80] {
        assert_eq!(f.regs.any_breakpoint(address, Level::El1), Hit::Never);
    }
    assert_eq!(f.matches(), (Hit::Always, Hit::Always));
}

#[test]
fn h3_a_slot_whose_record_is_gone_is_switched_off_and_forgotten() {
    let mut f = suspended();
    f.cpu.rearm_all(&mut f.regs);
    f.regs.isb();
    f.tables.retire(f.text).and_then(|()| f.tables.free(f.text)).expect("removed too early");
    assert_eq!(f.matches().0, Hit::Always);
    let off = f.cpu.resync(&mut f.regs, &f.tables, Kind::Breakpoint, 6);
    assert!(off.contains(f.text.index));
    assert_eq!(f.matches(), (Hit::Never, Hit::Always));
    assert!(f.cpu.armed(Kind::Breakpoint).is_empty());
}

#[test]
fn h3_a_suspended_slot_whose_record_is_gone_is_not_armed_again() {
    let mut f = suspended();
    f.tables.retire(f.text).and_then(|()| f.tables.free(f.text)).expect("removed too early");
    f.cpu.resync(&mut f.regs, &f.tables, Kind::Breakpoint, 6);
    f.cpu.rearm_all(&mut f.regs);
    f.regs.isb();
    assert_eq!(f.matches(), (Hit::Never, Hit::Always));
}

#[test]
fn h3_a_resync_arms_what_was_armed_if_the_record_has_something_else() {
    let mut f = suspended();
    f.cpu.rearm_all(&mut f.regs);
    // A number that is kept for programs has a record which says nothing of what each CPU arms there.
    f.cpu.disarm(&mut f.regs, f.text);
    f.cpu.arm_new(&mut f.regs, f.text, breakpoint(TEXT + 0x40).encoding(), false);
    let off = f.cpu.resync(&mut f.regs, &f.tables, Kind::Breakpoint, 6);
    assert!(!off.contains(f.text.index));
    assert_eq!(f.regs.any_breakpoint(TEXT + 0x40, Level::El1), Hit::Always);
    assert_eq!(f.matches(), (Hit::Never, Hit::Always));
}

#[test]
fn h3_a_resync_leaves_suspended_and_retired_slots_off() {
    let mut f = suspended();
    f.cpu.resync(&mut f.regs, &f.tables, Kind::Breakpoint, 6);
    f.cpu.resync(&mut f.regs, &f.tables, Kind::Watchpoint, 4);
    assert_eq!(f.matches(), (Hit::Never, Hit::Never));
    f.tables.retire(f.text).expect("live");
    f.cpu.rearm_all(&mut f.regs);
    f.cpu.resync(&mut f.regs, &f.tables, Kind::Breakpoint, 6);
    assert_eq!(f.matches(), (Hit::Never, Hit::Always));
}
