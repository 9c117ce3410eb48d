//! Step, breakpoint and watchpoint exceptions from EL0: the first phase of M4, which runs masked.
//!
//! The first phase only takes from the CPU's debug hardware what has happened: whose step is done, which slots were hit. Hits are counted,
//! and slots that were hit are suspended so that the instruction can run once. If there is nothing to report, the task goes on at once. Else
//! the second phase, in which everything is open, gets a [`Report`]: values, by which it finds what they stand for, or finds that it is gone (T4).

use super::entry::held;
use super::list::{Use, untagged};
use crate::arch::usercopy;
use crate::debug::cpu::MaskedCpu;
use crate::debug::slots::bank::MOST;
use crate::debug::{control, exclusive, slots, stats};
use crate::exception::{DebugFrame, Frame};
use ::slots::{Kind, SlotMask, WatchHit};
use probe::{is_load_exclusive, is_store_exclusive};
use rules::step::Owners;

/// What the second phase of M4 deals with.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// These owners' step is done.
    Step(Owners),
    /// Slots were hit.
    Hits(Hits),
}

/// Slots that one instruction has hit.
#[derive(Clone, Copy, Debug)]
pub struct Hits {
    /// What kind of slots.
    pub kind: Kind,
    /// The address that was accessed, or that of the instruction, without a tag.
    pub address: u64,
    /// The uses of the task's slots that were hit, first those that count. The task can look them up.
    uses: [Use; MOST],
    /// How many of `uses` count.
    known: usize,
    /// Set if the instruction is an exclusive, or perhaps in an exclusive sequence, so that it cannot be stepped over (H9).
    pub exclusive: bool,
}

impl Hits {
    /// No hit, at an instruction that is executed by other means.
    pub const fn none(address: u64) -> Self {
        Self { exclusive: true, ..Self::of(Kind::Breakpoint, address) }
    }

    /// No hit yet.
    const fn of(kind: Kind, address: u64) -> Self {
        Self { kind, address, uses: [Use::NONE; MOST], known: 0, exclusive: false }
    }

    /// The uses of the slots that are to be reported: first those that stop the task.
    pub fn reported(&self) -> impl Iterator<Item = Use> + '_ {
        let of = |stops| move |this: &Use| this.is_reported() && this.stops() == stops;
        let uses = || self.uses.iter().take(self.known).copied();
        uses().filter(of(true)).chain(uses().filter(of(false)))
    }

    /// Whether a use was hit.
    pub(super) fn contains(&self, this: Use) -> bool {
        self.uses.contains(&this)
    }
}

/// What is counted as the exception of a kind of slots.
const fn exception_of(kind: Kind) -> stats::Counter {
    match kind {
        Kind::Breakpoint => stats::BREAKPOINTS,
        Kind::Watchpoint => stats::WATCHPOINTS,
    }
}

/// A step exception, if the only owner is a step-over of one slot. Returns false, and has done nothing, for any other.
#[inline(always)]
pub fn plain_step(cpu: &MaskedCpu) -> bool {
    if cpu.owners.get() != Owners::STEP_OVER || !slots::rearm_one(cpu) {
        return false;
    }
    stats::STEPS.count_on(cpu);
    stats::STEP_OVERS.count_on(cpu);
    cpu.set_owners(Owners::empty());
    true
}

/// A step exception that [`plain_step`] has left: its owners' steps are done.
#[inline(always)]
pub fn step(cpu: &MaskedCpu) -> Option<Report> {
    stats::STEPS.count_on(cpu);
    let owners = cpu.owners.get();
    if owners.is_empty() {
        stats::SPURIOUS.count_on(cpu);
        control::force(cpu, cpu.wanted() & !crate::arch::mdscr::SS);
        return None;
    }
    if owners.contains(Owners::STEP_OVER) {
        end_step_over(cpu);
    }
    cpu.set_owners(Owners::empty());
    let others = owners - Owners::STEP_OVER;
    (!others.is_empty()).then_some(Report::Step(others))
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn end_step_over(cpu: &MaskedCpu) {
    stats::STEP_OVERS.count_on(cpu);
    slots::rearm(cpu);
}

/// A breakpoint exception, if one slot of the task was hit, whose hits are only counted, and the instruction can be stepped over. Returns
/// false, and has counted nothing, for any other.
#[inline(always)]
pub fn plain_breakpoint(cpu: &MaskedCpu, frame: &mut Frame) -> bool {
    let n = slots::only_breakpoint(cpu, frame.pc);
    n.is_some_and(|n| count(cpu, frame, Kind::Breakpoint, n))
}

/// A breakpoint exception that [`plain_breakpoint`] has left.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn breakpoint(cpu: &MaskedCpu, frame: &mut Frame) -> Option<Report> {
    let hits = slots::breakpoint_hits(cpu, frame.pc);
    let mut report = Hits::of(Kind::Breakpoint, frame.pc);
    hit(cpu, frame, hits, &mut report).then_some(Report::Hits(report))
}

/// FAR_EL1 without the top byte, which is ignored for a program's addresses (TCR_EL1.TBI0).
#[inline(always)]
fn accessed(frame: &Frame) -> u64 {
    untagged(frame.far)
}

/// The ISS of the syndrome.
#[inline(always)]
fn iss(frame: &Frame) -> u32 {
    frame.esr as u32 & 0x1ff_ffff
}

/// A watchpoint exception, under the conditions of [`plain_breakpoint`].
#[inline(always)]
pub fn plain_watchpoint(cpu: &MaskedCpu, frame: &mut Frame) -> bool {
    let n = slots::only_watchpoint(cpu, iss(frame), accessed(frame));
    n.is_some_and(|n| count(cpu, frame, Kind::Watchpoint, n))
}

/// A watchpoint exception that [`plain_watchpoint`] has left.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn watchpoint(cpu: &MaskedCpu, frame: &mut Frame) -> Option<Report> {
    let address = accessed(frame);
    let hit_by =
        WatchHit::from_syndrome(iss(frame), address, exclusive::zva_block()).by_instruction(word(frame));
    let hits = slots::watchpoint_hits(cpu, &hit_by);
    let mut report = Hits::of(Kind::Watchpoint, address);
    hit(cpu, frame, hits, &mut report).then_some(Report::Hits(report))
}

/// The use of slot `n` by the running task; [`Use::NONE`] if the slot is not the task's.
#[inline(always)]
fn use_of(cpu: &MaskedCpu, kind: Kind, n: u8) -> Use {
    // SAFETY: the value is this CPU's, D is masked, and nothing changes it here.
    let armed = unsafe { &*cpu.task_slots.get() };
    armed.uses[kind as usize].get(usize::from(n)).map_or(Use::NONE, |&word| Use::from_word(word))
}

/// The instruction at PC; all ones, which is none, if it cannot be read: another thread of the program may just have unmapped it.
#[inline(always)]
fn word(frame: &Frame) -> u32 {
    usercopy::load_instruction(frame.pc)
}

/// Counts a hit of slot `n`, the only one that was hit, and has the instruction run. Returns false, and has done nothing, unless hits of the
/// slot are only counted, the task has neither another owner of a step nor a step-over that waits, and no exclusive sequence is met.
#[inline(always)]
fn count(cpu: &MaskedCpu, frame: &mut Frame, kind: Kind, n: u8) -> bool {
    let counted = cpu.owners.get().is_empty()
        && use_of(cpu, kind, n).is_counted()
        && held(cpu, |held| held.put_off.is_empty()) == Some(true);
    let this = next_hit(cpu, frame.pc);
    if !counted || is_exclusive(frame) || is_looked_at(this) {
        return false;
    }
    cpu.repeated.set((frame.pc, this));
    exception_of(kind).count_on(cpu);
    cpu.hits.count(kind, n);
    slots::suspend(cpu, kind, n);
    step_over(cpu, frame, Owners::empty());
    true
}

/// Asks for the step-over of the instruction that was hit, beside the steps of other owners. PSTATE.D is clear at EL0, so it can be stepped.
#[inline(always)]
fn step_over(cpu: &MaskedCpu, frame: &mut Frame, mut owners: Owners) {
    if let Ok(pstate) = owners.request(Owners::STEP_OVER, frame.pstate) {
        frame.pstate = pstate;
        cpu.set_owners_at_el0(owners);
    }
}

/// Whether the instruction is an exclusive (H9).
#[inline(always)]
fn is_exclusive(frame: &Frame) -> bool {
    let word = word(frame);
    is_load_exclusive(word) || is_store_exclusive(word)
}

/// Notes in `report` which slots were hit, and has the instruction run, unless a slot stops the task. Returns whether there is something to
/// report.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn hit(cpu: &MaskedCpu, frame: &mut Frame, hits: SlotMask, report: &mut Hits) -> bool {
    let kind = report.kind;
    exception_of(kind).count_on(cpu);
    if hits.is_empty() {
        slots::spurious(cpu, kind);
        return false;
    }
    let (pc, sp) = (frame.pc, frame.sp);
    let _ = held(cpu, |held| held.put_off.is_hit(pc, sp));
    let this = next_hit(cpu, pc);
    report.exclusive = is_exclusive(frame) || is_looked_at(this);
    if this != 0 {
        cpu.repeated.set((pc, this));
    }
    let mut reported = false;
    let mut stops = Use::NONE;
    for n in hits {
        let this = use_of(cpu, kind, n);
        if !this.is_some() {
            of_kernel(cpu, frame, kind, n);
            continue;
        }
        cpu.hits.count(kind, n);
        if let Some(place) = report.uses.get_mut(report.known) {
            *place = this;
            report.known += 1;
        }
        reported |= this.is_reported();
        if this.stops() {
            stops = this;
        } else {
            slots::suspend(cpu, kind, n);
        }
    }
    if stops.is_some() {
        // The instruction is not executed before somebody has seen the hit, by no means.
        report.exclusive = false;
        let _ = held(cpu, |held| held.stopped = (pc, stops));
    }
    if !stops.is_some() || slots::any_suspended_here(cpu) {
        step_over(cpu, frame, cpu.owners.get());
    }
    reported || report.exclusive
}

/// How far from each other the instructions of one exclusive sequence are at most, in bytes: as far as the second phase looks for a
/// load-exclusive.
const SEQUENCE: u64 = 4 * 32;

/// The number of this hit among those that are close to each other, one after the other; 0 if the instruction is known to be in a sequence.
#[inline(always)]
fn next_hit(cpu: &MaskedCpu, pc: u64) -> u32 {
    let (last, count) = cpu.repeated.get();
    let before = if last.abs_diff(pc) <= SEQUENCE { count } else { 0 };
    // IN_SEQUENCE becomes 0. A count that gets there by itself only has each hit looked at.
    before.wrapping_add(1)
}

/// Whether the hit of this number is looked at: perhaps its instruction is in an exclusive sequence that gets no further. A hit of an
/// instruction between the exclusives lets the store-exclusive fail each time. Such an instruction cannot be told by its word, and to look for
/// a sequence costs much; so hits that come again are looked at: the numbers 4, 8, 16 and so on. They need not be at one PC: two watched
/// accesses between the exclusives hit in turn.
#[inline(always)]
fn is_looked_at(this: u32) -> bool {
    this & this.wrapping_sub(1) == 0 && !matches!(this, 1 | 2)
}

/// A slot of the kernel's that matches accesses at EL0: its watcher is told in debug context, as for a hit at EL1.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn of_kernel(cpu: &MaskedCpu, frame: &mut Frame, kind: Kind, n: u8) {
    let Some(record) = slots::suspend_whole(cpu, kind, n) else { return };
    cpu.hits.count(kind, n);
    let depth = cpu.depth.get();
    cpu.depth.set(depth + 1);
    // SAFETY: D, A, I and F are masked in the first phase of M4.
    slots::dispose(unsafe { DebugFrame::of(frame) }, &record);
    cpu.depth.set(depth);
}
