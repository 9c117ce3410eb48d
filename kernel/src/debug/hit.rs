//! Breakpoint and watchpoint exceptions from EL1 (M10): attribute, count, step over.

use super::slots::{self, Disposition, Hit};
use super::{CpuDebug, debugger, exclusive, stats, step};
use crate::exception::Frame;
use ::slots::{Kind, SlotMask, WatchHit};
use rules::step::Owners;

/// A breakpoint exception.
#[inline(always)]
pub fn breakpoint(cpu: &CpuDebug, frame: &mut Frame) {
    stats::BREAKPOINTS.count();
    let hits = slots::breakpoint_hits(cpu, frame.pc);
    each(cpu, frame, Kind::Breakpoint, hits);
}

/// A watchpoint exception.
#[inline(always)]
pub fn watchpoint(cpu: &CpuDebug, frame: &mut Frame) {
    stats::WATCHPOINTS.count();
    let hit = WatchHit::from_syndrome(frame.esr as u32 & 0x1ff_ffff, frame.far, zva_block());
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
#[inline(always)]
pub(super) fn each(cpu: &CpuDebug, frame: &mut Frame, kind: Kind, hits: SlotMask) {
    if !hits.is_empty() && exclusive::is_part(frame.pc) && exclusive::hit(cpu, frame, kind, hits) {
        return;
    }
    if hits.is_empty() || step::request(cpu, frame, Owners::STEP_OVER).is_err() {
        return slots::spurious(cpu, kind);
    }
    for index in hits {
        let Some(record) = slots::suspend(cpu, kind, index, true) else { continue };
        let hit = || Hit { id: record.id, address: record.encoding.watched().0 };
        match record.payload {
            Disposition::Count => {}
            Disposition::Call(handler) => handler(&hit(), frame),
            Disposition::Stop => debugger::slot(&hit(), frame),
        }
    }
}
