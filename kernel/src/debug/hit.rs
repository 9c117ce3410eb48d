//! Breakpoint and watchpoint exceptions from EL1 (M10): attribute, count, step over.
//!
//! A hit that is only to be counted, of a slot that alone matches, takes the shortest way ([`plain_breakpoint`],
//! [`plain_watchpoint`]), which knows nothing of handlers and of several slots; every other one is [`breakpoint`]'s or
//! [`watchpoint`]'s.

use super::slots::{self, Disposition, Hit};
use super::{CpuDebug, exclusive, stats, step};
use crate::exception::Frame;
use crate::kprobe;
use ::slots::{Kind, SlotMask, Snapshot, WatchHit};
use rules::step::Owners;

/// A breakpoint exception that is only to be counted. False, and nothing done, for any other.
#[inline(always)]
pub fn plain_breakpoint(cpu: &CpuDebug, frame: &mut Frame) -> bool {
    let Some(n) = slots::plain_breakpoint(cpu, frame.pc) else { return false };
    plain(cpu, frame, Kind::Breakpoint, n)
}

/// The same for a watchpoint exception.
#[inline(always)]
pub fn plain_watchpoint(cpu: &CpuDebug, frame: &mut Frame) -> bool {
    let Some(n) = slots::plain_watchpoint(cpu, frame.esr as u32, frame.far) else { return false };
    if kprobe::may_be_shown(frame) || exclusive::is_in_sequence(frame.pc) || exclusive::any_widened(cpu) {
        return false;
    }
    plain(cpu, frame, Kind::Watchpoint, n)
}

#[inline(always)]
fn plain(cpu: &CpuDebug, frame: &mut Frame, kind: Kind, n: u8) -> bool {
    if step::request(cpu, frame, Owners::STEP_OVER).is_err() {
        return false;
    }
    exception_of(kind).count();
    cpu.hits.count(kind, n);
    slots::suspend(cpu, kind, n);
    if matches!(kind, Kind::Breakpoint) {
        kprobe::stand_in(frame);
    }
    true
}

#[inline(always)]
const fn exception_of(kind: Kind) -> stats::Counter {
    match kind {
        Kind::Breakpoint => stats::BREAKPOINTS,
        Kind::Watchpoint => stats::WATCHPOINTS,
    }
}

/// A breakpoint exception.
pub fn breakpoint(cpu: &CpuDebug, frame: &mut Frame) {
    exception_of(Kind::Breakpoint).count();
    let hits = slots::breakpoint_hits(cpu, frame.pc);
    each(cpu, frame, Kind::Breakpoint, hits);
}

/// A watchpoint exception. Of one by a displaced instruction the probed context is shown; what the engine does for itself hits nothing.
pub fn watchpoint(cpu: &CpuDebug, frame: &mut Frame) {
    // SAFETY: what EL1 executes it can read, and `pc` is aligned. A displaced instruction is where it is executed.
    let word = unsafe { (frame.pc as *const u32).read_volatile() };
    if kprobe::may_be_shown(frame) { in_copy(cpu, frame, word) } else { any_watchpoint(cpu, frame, word) }
}

#[cold]
#[inline(never)]
fn in_copy(cpu: &CpuDebug, frame: &mut Frame, word: u32) {
    match kprobe::show(cpu, frame) {
        kprobe::Origin::Engine => {}
        kprobe::Origin::Elsewhere | kprobe::Origin::Behind => any_watchpoint(cpu, frame, word),
        kprobe::Origin::Instruction(displaced) => {
            any_watchpoint(cpu, frame, word);
            displaced.resume(cpu, frame);
        }
    }
}

#[inline(always)]
fn any_watchpoint(cpu: &CpuDebug, frame: &mut Frame, word: u32) {
    exception_of(Kind::Watchpoint).count();
    let hit =
        WatchHit::from_syndrome(frame.esr as u32 & 0x1ff_ffff, frame.far, zva_block()).by_instruction(word);
    let hits = slots::watchpoint_hits(cpu, &hit);
    if exclusive::any_widened(cpu) && exclusive::read_by_others(cpu, frame, hits, &hit) {
        return;
    }
    each(cpu, frame, Kind::Watchpoint, hits);
}

/// Bytes that DC ZVA zeroes (DCZID_EL0.BS).
#[inline(always)]
fn zva_block() -> u64 {
    4 << (crate::read_sysreg!("dczid_el0") & 0xf)
}

/// Suspends every slot that was hit and asks for the step-over, then gives each its own disposition.
pub(super) fn each(cpu: &CpuDebug, frame: &mut Frame, kind: Kind, hits: SlotMask) {
    if !hits.is_empty() && exclusive::is_in_sequence(frame.pc) && exclusive::hit(cpu, frame, kind, hits) {
        return;
    }
    if hits.is_empty() || step::request(cpu, frame, Owners::STEP_OVER).is_err() {
        return slots::spurious(cpu, kind);
    }
    let pc = frame.pc;
    for n in hits {
        if let Some(record) = slots::suspend_whole(cpu, kind, n) {
            cpu.hits.count(kind, n);
            dispose(frame, &record);
        }
    }
    // A handler may have moved PC: to where the step has another instruction done, or with that, which then is.
    if matches!(kind, Kind::Breakpoint) || frame.pc != pc {
        kprobe::unsettle(frame, true);
    }
}

/// What a probed instruction that is about to be simulated would have hit, as by a watchpoint exception. Nothing is suspended: the
/// access that is to be let through is the engine's. Debug context.
pub fn simulated(cpu: &CpuDebug, frame: &mut Frame, hits: SlotMask) {
    for n in hits {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, n) {
            cpu.hits.count(Kind::Watchpoint, n);
            dispose(frame, &record);
        }
    }
}

/// Does what a slot is there for, besides counting.
pub(super) fn dispose(frame: &mut Frame, record: &Snapshot<Disposition>) {
    if let Disposition::Call(handler) = record.payload {
        handler(&Hit { id: record.id, address: record.encoding.watched().0 }, frame);
    }
}
