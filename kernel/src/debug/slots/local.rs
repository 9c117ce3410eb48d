//! What a hit, a step-over, and an interrupt during a step-over do with the slots of this CPU. All functions are called
//! with D masked. The registers that they write take effect when the CPU pays its debt
//! ([`control`](crate::debug::control)).
//!
//! All functions are no-probe text (rules H6, I8): the handler of a BRK may set and remove slots, and must not find a
//! slot that is being changed. So a function here may be inlined only into callers that are no-probe text too.

use super::records::{Disposition, SLOTS, limit};
use super::registers;
use crate::arch::daif::{self, AllMasked};
use crate::arch::mdscr;
use crate::debug::cpu::{self, CPU_DEBUG, MaskedCpu, Widened};
use crate::debug::stats;
use crate::percpu;
use ::slots::{
    CpuSlots, DebugRegs, Encoding, Kind, Privilege, SlotId, SlotMask, Snapshot, State, Suspended, WatchHit,
};
use core::sync::atomic::Ordering::Acquire;
use rules::pstate::Daif;

/// Calls `use_` with this CPU's slots.
#[inline(always)]
pub(super) fn with_slots<R>(cpu: &MaskedCpu, use_: impl FnOnce(&mut CpuSlots) -> R) -> R {
    // SAFETY: no caller's closure calls back into this module.
    use_(unsafe { slots_of(cpu) })
}

/// This CPU's slots, for the path of a hit. [`with_slots`] takes a closure, which the compiler may choose not to inline.
///
/// # Safety
/// The caller holds no other reference to the slots.
#[inline(always)]
#[expect(clippy::mut_from_ref, reason = "the cell is this CPU's, and D is masked")]
pub(super) unsafe fn slots_of(cpu: &MaskedCpu) -> &mut CpuSlots {
    debug_assert!(daif::read().contains(Daif::D), "slots are changed with D masked (H1)");
    // SAFETY: the value belongs to this CPU; with D masked no exception that uses it can interrupt; the caller holds no other.
    unsafe { &mut *cpu.slots.get() }
}

/// The breakpoint that was hit at `pc`, if no other was hit and its hits are only counted. Takes constant time. The
/// result None does not mean that no breakpoint was hit.
#[inline(always)]
pub fn plain_breakpoint(cpu: &MaskedCpu, pc: u64) -> Option<u8> {
    // SAFETY: this function has no other reference to the slots.
    unsafe { slots_of(cpu) }.plain_breakpoint(pc)
}

/// The watchpoint that was hit according to the syndrome, under the same conditions as for [`plain_breakpoint`].
#[inline(always)]
pub fn plain_watchpoint(cpu: &MaskedCpu, iss: u32, far: u64) -> Option<u8> {
    // SAFETY: this function has no other reference to the slots.
    unsafe { slots_of(cpu) }.plain_watchpoint(iss, far)
}

/// The breakpoint that was hit at `pc`, if no other was hit. As [`plain_breakpoint`], but the caller looks what becomes of its hits.
#[inline(always)]
pub fn only_breakpoint(cpu: &MaskedCpu, pc: u64) -> Option<u8> {
    // SAFETY: this function has no other reference to the slots.
    unsafe { slots_of(cpu) }.only_breakpoint(pc)
}

/// The watchpoint that was hit according to the syndrome, under the same conditions as for [`only_breakpoint`].
#[inline(always)]
pub fn only_watchpoint(cpu: &MaskedCpu, iss: u32, far: u64) -> Option<u8> {
    // SAFETY: this function has no other reference to the slots.
    unsafe { slots_of(cpu) }.only_watchpoint(iss, far)
}

/// The slots that a breakpoint exception at `pc` belongs to.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn breakpoint_hits(cpu: &MaskedCpu, pc: u64) -> SlotMask {
    with_slots(cpu, |slots| slots.breakpoint_hits(pc))
}

/// The slots that a watchpoint exception belongs to (rule H7).
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn watchpoint_hits(cpu: &MaskedCpu, hit: &WatchHit) -> SlotMask {
    with_slots(cpu, |slots| slots.watchpoint_hits(&SLOTS, hit))
}

/// The record of the use that is armed in slot `n`. None if the slot is not armed, or if its record is gone.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn record(cpu: &MaskedCpu, kind: Kind, n: u8) -> Option<Snapshot<Disposition>> {
    with_slots(cpu, |slots| slots.record(&SLOTS, kind, n))
}

/// Suspends a slot so that an instruction can run once.
#[inline(always)]
pub fn suspend(cpu: &MaskedCpu, kind: Kind, n: u8) {
    // SAFETY: this function has no other reference to the slots.
    unsafe { slots_of(cpu) }.suspend(&mut registers::all(cpu), kind, n);
}

/// Suspends a slot as [`suspend`] does, and also the slot that has the other half of its range, if the range needs two. Returns the
/// slot's record.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn suspend_whole(cpu: &MaskedCpu, kind: Kind, n: u8) -> Option<Snapshot<Disposition>> {
    with_slots(cpu, |slots| slots.suspend_whole(&mut registers::all(cpu), &SLOTS, kind, n))
}

/// The watchpoints that an access from EL1 would hit on this CPU if D were open: armed slots that are not suspended. Of two slots
/// that share one range ([`install_split`](super::install_split)) only the first is returned.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn touched(cpu: &MaskedCpu, address: u64, bytes: u64, write: bool) -> SlotMask {
    let mut hits = SlotMask::EMPTY;
    for n in with_slots(cpu, |slots| slots.matching(Kind::Watchpoint)) {
        let Some(record) = record(cpu, Kind::Watchpoint, n) else { continue };
        let (first, last) = record.encoding.watched();
        if record.encoding.privilege() != Privilege::El0
            && record.encoding.matches_access(write)
            && first < address.saturating_add(bytes)
            && address <= last
            && !record.mate.is_some_and(|mate| hits.contains(mate))
        {
            hits = hits.with(n);
        }
    }
    hits
}

/// Those of the watchpoints `slots` for whose record `wanted` is true.
pub fn filter(cpu: &MaskedCpu, slots: SlotMask, wanted: impl Fn(&Snapshot<Disposition>) -> bool) -> SlotMask {
    slots.into_iter().fold(SlotMask::EMPTY, |mask, index| {
        let fits = record(cpu, Kind::Watchpoint, index).is_some_and(|record| wanted(&record));
        if fits { mask.with(index) } else { mask }
    })
}

/// Calls `use_` with the set of this CPU's widened watchpoints.
fn with_widened<R>(cpu: &MaskedCpu, use_: impl FnOnce(&mut Widened) -> R) -> R {
    // SAFETY: the value belongs to this CPU; with D masked no exception that uses it can interrupt, and no closure of the
    // callers, which are all in this file, calls back into a function that uses it.
    use_(unsafe { &mut *cpu.widened.get() })
}

/// Whether any watchpoint is widened on this CPU ([`Widened`]).
#[inline(always)]
pub fn any_widened(cpu: &MaskedCpu) -> bool {
    with_widened(cpu, |widened| !widened.mask.is_empty())
}

/// Those of `slots` that are widened.
pub fn widened_among(cpu: &MaskedCpu, slots: SlotMask) -> SlotMask {
    let slots = with_widened(cpu, |widened| slots.intersection(widened.mask));
    filter(cpu, slots, |record| {
        with_widened(cpu, |widened| {
            widened.generations.get(usize::from(record.id.index)) == Some(&record.id.generation)
        })
    })
}

/// Widens a slot: has it match loads too on this CPU.
pub fn widen(cpu: &MaskedCpu, id: SlotId) {
    if match_loads(cpu, id, true) {
        with_widened(cpu, |widened| {
            if let Some(generation) = widened.generations.get_mut(usize::from(id.index)) {
                *generation = id.generation;
                widened.mask = widened.mask.with(id.index);
            }
        });
    }
}

/// Ends [`widen`]: has a slot match again only what its record says.
pub fn narrow(cpu: &MaskedCpu, id: SlotId) {
    match_loads(cpu, id, false);
    with_widened(cpu, |widened| widened.mask = widened.mask.without(SlotMask::of(id.index)));
}

/// Writes the registers of the widened slots again, after re-arming has put the registers of all slots back to what the
/// records say.
#[cold]
#[inline(never)]
fn widen_again(cpu: &MaskedCpu) {
    let all = with_widened(cpu, |widened| widened.mask);
    let mut left = SlotMask::EMPTY;
    for index in widened_among(cpu, all) {
        if let Some(record) = record(cpu, Kind::Watchpoint, index)
            && match_loads(cpu, record.id, true)
        {
            left = left.with(index);
        }
    }
    with_widened(cpu, |widened| widened.mask = left);
}

/// Has a watchpoint match loads too on this CPU (`loads`), or again only what its record says. Returns false if the watchpoint is
/// gone or is not armed on this CPU.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn match_loads(cpu: &MaskedCpu, id: SlotId, loads: bool) -> bool {
    const LSC_LOADS: u32 = 1 << 3;
    let of_id =
        record(cpu, id.kind, id.index).filter(|record| record.id == id && record.state == State::Live);
    let Some(record) = of_id else { return false };
    if !with_slots(cpu, |slots| slots.suspended().contains(id)) {
        let control = record.encoding.enabled() | if loads { LSC_LOADS } else { 0 };
        registers::all(cpu).write_control(id.kind, id.index, control);
    }
    true
}

/// Re-arms all suspended slots of this CPU.
#[inline(always)]
pub fn rearm(cpu: &MaskedCpu) {
    // SAFETY: this function has no other reference to the slots.
    unsafe { slots_of(cpu) }.rearm_all(&mut registers::all(cpu));
    if any_widened(cpu) {
        widen_again(cpu);
    }
}

/// Re-arms the suspended slot if exactly one is suspended. Returns false, and has done nothing, if none or several are suspended,
/// or if a slot is widened.
#[inline(always)]
pub fn rearm_one(cpu: &MaskedCpu) -> bool {
    // SAFETY: this function has no other reference to the slots.
    !any_widened(cpu) && unsafe { slots_of(cpu) }.rearm_one(&mut registers::all(cpu))
}

/// Re-arms all suspended slots at the entry of an interrupt, and returns which they were (M8).
#[inline(always)]
pub fn stash(cpu: &MaskedCpu) -> Suspended {
    let suspended = with_slots(cpu, |slots| slots.stash(&mut registers::all(cpu)));
    if any_widened(cpu) {
        widen_again(cpu);
    }
    suspended
}

/// Suspends again, at the end of an interrupt, those of the slots that are still in the same use (M8). Returns whether
/// any slot is suspended now.
#[inline(always)]
pub fn unstash(cpu: &MaskedCpu, suspended: &Suspended) -> bool {
    with_slots(cpu, |slots| {
        slots.unstash(&mut registers::all(cpu), suspended);
        !slots.suspended().is_empty()
    })
}

/// Arms a slot that is kept for programs ([`bank`](super::bank)), for the task that runs on this CPU.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn arm_for_task(cpu: &MaskedCpu, id: SlotId, encoding: Encoding) {
    cpu.hits.clear(id.kind, id.index);
    with_slots(cpu, |slots| slots.arm_new(&mut registers::all(cpu), id, encoding, false));
}

/// Ends [`arm_for_task`], and returns how often the slot was hit meanwhile.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn disarm_for_task(cpu: &MaskedCpu, kind: Kind, n: u8) -> u64 {
    with_slots(cpu, |slots| {
        if let Some(id) = slots.id(kind, n) {
            slots.disarm(&mut registers::all(cpu), id);
        }
    });
    let hits = cpu.hits.of(kind, n);
    cpu.hits.clear(kind, n);
    hits
}

/// Has MDSCR_EL1 hold MDE and KDE as the armed slots need them (H8). MDSCR_EL1 is owed.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn set_armed(cpu: &MaskedCpu) {
    let (any, el1) = with_slots(cpu, |slots| {
        let none = slots.armed(Kind::Breakpoint).is_empty() && slots.armed(Kind::Watchpoint).is_empty();
        (!none, slots.reaches_el1())
    });
    cpu.set_armed_bits(if any { mdscr::MDE } else { 0 } | if el1 { mdscr::KDE } else { 0 });
}

/// Whether a slot is suspended on this CPU.
#[inline(always)]
pub fn any_suspended_here(cpu: &MaskedCpu) -> bool {
    with_slots(cpu, |slots| !slots.suspended().is_empty())
}

/// How often a slot that is kept for programs was hit since it was armed on the CPU that runs the task whose debug state is at `task`; 0 if
/// it runs on no CPU. The caller keeps the slot as it is.
pub fn live_hits(id: SlotId, task: *const ()) -> u64 {
    // SAFETY: only atomic fields are read.
    let of = |cpu| unsafe { CPU_DEBUG.of_unchecked(cpu) };
    let on = (0..percpu::MAX_CPUS).map(of).find(|cpu| core::ptr::eq(cpu.task.load(Acquire), task));
    on.map_or(0, |cpu| cpu.hits.of(id.kind, id.index))
}

/// Whether a slot is suspended on this CPU. Any context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn any_suspended() -> bool {
    // This is not a `Masked` section, because the end of such a section pays the debt, and a check of the debug state
    // must not change that state.
    let _masked = AllMasked::new();
    // SAFETY: D is masked for as long as `_masked` lives.
    with_slots(unsafe { cpu::masked() }, |slots| !slots.suspended().is_empty())
}

/// Deals with a hit that belongs to no slot (rule H3): counts it as spurious, and switches off all slots that have no
/// record, so that the hit does not come again.
#[cold]
#[unsafe(link_section = ".noprobe.text")]
pub fn spurious(cpu: &MaskedCpu, kind: Kind) {
    stats::SPURIOUS.count();
    with_slots(cpu, |slots| slots.resync(&mut registers::all(cpu), &SLOTS, kind, limit(kind)));
}
