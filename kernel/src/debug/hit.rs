//! Breakpoint, watchpoint and step exceptions from EL1 (M10). A hit is attributed to slots, counted and stepped over. A step is
//! reported to each of its owners.
//!
//! The most frequent exceptions are dealt with inline, without a call: the hit of exactly one slot that only counts
//! ([`plain_breakpoint`], [`plain_watchpoint`]), and the step exception that ends the step-over of such a hit ([`plain_step`]).
//! [`breakpoint`], [`watchpoint`] and [`step`] deal with all others: with handlers, with several slots, and with other owners of
//! steps.

use super::client::Stop;
use super::cpu::MaskedCpu;
use super::session::{self, Sequences};
use super::step::{make_up_reschedule, request};
use super::{control, debugger, exclusive, slots, stats};
use crate::arch::mdscr;
use crate::exception::DebugFrame;
use crate::kprobe;
use ::slots::{Kind, SlotMask, WatchHit};
use rules::pstate::SPSR_SS;
use rules::step::Owners;

/// Deals with a breakpoint exception if exactly one slot was hit and the hit is only counted. Returns false, and has done nothing,
/// for any other.
#[inline(always)]
pub fn plain_breakpoint(cpu: &MaskedCpu, frame: &mut DebugFrame) -> bool {
    let Some(n) = slots::plain_breakpoint(cpu, frame.pc) else { return false };
    plain(cpu, frame, Kind::Breakpoint, n)
}

/// Deals with a watchpoint exception as [`plain_breakpoint`] does with a breakpoint exception. Returns false also if
/// the instruction may be displaced or may be part of an exclusive sequence, and if a watchpoint is widened.
#[inline(always)]
pub fn plain_watchpoint(cpu: &MaskedCpu, frame: &mut DebugFrame) -> bool {
    let Some(n) = slots::plain_watchpoint(cpu, frame.esr as u32, frame.far) else { return false };
    if kprobe::may_be_shown(frame) || exclusive::is_in_sequence(frame.pc) || slots::any_widened(cpu) {
        return false;
    }
    plain(cpu, frame, Kind::Watchpoint, n)
}

/// Counts the hit of slot `n`, suspends the slot, and asks for the step-over.
#[inline(always)]
fn plain(cpu: &MaskedCpu, frame: &mut DebugFrame, kind: Kind, n: u8) -> bool {
    if request(cpu, frame, Owners::STEP_OVER).is_err() {
        return false;
    }
    exception_of(kind).count_on(cpu);
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

/// Deals with a breakpoint exception that [`plain_breakpoint`] has left.
pub fn breakpoint(cpu: &MaskedCpu, frame: &mut DebugFrame) {
    exception_of(Kind::Breakpoint).count_on(cpu);
    let hits = slots::breakpoint_hits(cpu, frame.pc);
    dispose_of_hits(cpu, frame, Kind::Breakpoint, hits);
}

/// Deals with a watchpoint exception that [`plain_watchpoint`] has left. If a displaced instruction has hit, handlers are shown the
/// probed context. If an access of the probes' engine itself has hit, the hit is not counted.
pub fn watchpoint(cpu: &MaskedCpu, frame: &mut DebugFrame) {
    // SAFETY: EL1 can read the text that it executes, and `pc` is aligned. The PC of a displaced instruction is in its copy.
    let word = unsafe { (frame.pc as *const u32).read_volatile() };
    if kprobe::may_be_shown(frame) { in_copy(cpu, frame, word) } else { any_watchpoint(cpu, frame, word) }
}

#[cold]
#[inline(never)]
fn in_copy(cpu: &MaskedCpu, frame: &mut DebugFrame, word: u32) {
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
fn any_watchpoint(cpu: &MaskedCpu, frame: &mut DebugFrame, word: u32) {
    exception_of(Kind::Watchpoint).count_on(cpu);
    // The top byte of a program's address is ignored (TCR_EL1.TBI0), and FAR_EL1 may have it.
    let far = if frame.far >> 55 & 1 == 0 { frame.far & !(0xff << 56) } else { frame.far };
    let hit = WatchHit::from_syndrome(frame.esr as u32 & 0x1ff_ffff, far, exclusive::zva_block())
        .by_instruction(word);
    let mut hits = slots::watchpoint_hits(cpu, &hit);
    if slots::any_widened(cpu) && !hits.is_empty() {
        hits = exclusive::without_quiet(cpu, frame.pc, hits, &hit);
        if hits.is_empty() {
            let _ = request(cpu, frame, Owners::STEP_OVER);
            return;
        }
    }
    dispose_of_hits(cpu, frame, Kind::Watchpoint, hits);
}

/// Asks for the step-over, suspends every slot that was hit, and deals with each hit as the slot's disposition says.
fn dispose_of_hits(cpu: &MaskedCpu, frame: &mut DebugFrame, kind: Kind, hits: SlotMask) {
    if !hits.is_empty() && exclusive::is_in_sequence(frame.pc) && exclusive::hit(cpu, frame, kind, hits) {
        return;
    }
    if hits.is_empty() || request(cpu, frame, Owners::STEP_OVER).is_err() {
        return slots::spurious(cpu, kind);
    }
    let pc = frame.pc;
    for n in hits {
        // An unprivileged access of the kernel's own that hits a program's slot is stepped over, and nothing else (M15).
        if let Some(record) = slots::suspend_whole(cpu, kind, n)
            && !record.payload.is_program()
        {
            cpu.hits.count(kind, n);
            slots::dispose(frame, &record);
        }
    }
    // The step begins at the breakpoint, or where a handler has moved PC to: an optimised probe there has to be hit by its BRK.
    if matches!(kind, Kind::Breakpoint) || frame.pc != pc {
        kprobe::unsettle(cpu, frame, true);
    }
}

/// Deals with the watchpoints that a probed instruction would have hit by an exception if it were not simulated: counts the hits,
/// and does what the dispositions say. No slot is suspended, because the engine makes the access with D masked. Debug context.
pub fn simulated(cpu: &MaskedCpu, frame: &mut DebugFrame, hits: SlotMask) {
    for n in hits {
        if let Some(record) = slots::record(cpu, Kind::Watchpoint, n) {
            cpu.hits.count(Kind::Watchpoint, n);
            slots::dispose(frame, &record);
        }
    }
}

/// Deals with a step exception if the only owner is a step-over of one slot. Returns false, and has done nothing, for any other.
#[inline(always)]
pub fn plain_step(cpu: &MaskedCpu) -> bool {
    if cpu.owners.get() != Owners::STEP_OVER || cpu.anything_pending() || !slots::rearm_one(cpu) {
        return false;
    }
    stats::STEPS.count_on(cpu);
    stats::STEP_OVERS.count_on(cpu);
    cpu.set_owners(Owners::empty());
    true
}

/// Deals with a step exception that [`plain_step`] has left. If the step has ended in front of or behind a displaced instruction,
/// the debugger is shown the probed context. A step that ends in the probes' engine itself is not reported, since no probed code
/// was stepped: SPSR.SS is set again.
#[inline(always)]
pub fn step(cpu: &MaskedCpu, frame: &mut DebugFrame) {
    if kprobe::may_be_shown(frame) { step_in_copy(cpu, frame) } else { stepped(cpu, frame) }
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn step_in_copy(cpu: &MaskedCpu, frame: &mut DebugFrame) {
    if cpu.owners.get().is_empty() {
        return stepped(cpu, frame);
    }
    match kprobe::show(cpu, frame) {
        kprobe::Origin::Engine => frame.pstate |= SPSR_SS,
        kprobe::Origin::Elsewhere | kprobe::Origin::Behind => stepped(cpu, frame),
        kprobe::Origin::Instruction(displaced) => {
            stepped(cpu, frame);
            displaced.resume(cpu, frame);
        }
    }
}

/// Ends the step of every owner: re-arms the slots of a step-over, and lets a debugger's session go on.
#[inline(always)]
fn stepped(cpu: &MaskedCpu, frame: &mut DebugFrame) {
    stats::STEPS.count();
    let owners = cpu.owners.get();
    if owners.is_empty() {
        return spurious_step(cpu);
    }
    if owners.contains(Owners::STEP_OVER) {
        stats::STEP_OVERS.count();
        slots::rearm(cpu);
    }
    cpu.set_owners(Owners::empty());
    if owners.contains(Owners::DEBUGGER) {
        session::carry_on(cpu, frame, |cpu, frame, client, how| {
            debugger::tell(cpu, frame, client, Stop::Step(how), Sequences::Here);
        });
    }
    make_up_reschedule(cpu);
}

/// Deals with a step exception that no owner has asked for (rule H3): clears MDSCR_EL1.SS, whatever the shadow of MDSCR_EL1 says,
/// so that the exception does not come again.
#[cold]
#[unsafe(link_section = ".noprobe.text")]
fn spurious_step(cpu: &MaskedCpu) {
    stats::SPURIOUS.count();
    control::force(cpu, cpu.wanted() & !mdscr::SS);
}
