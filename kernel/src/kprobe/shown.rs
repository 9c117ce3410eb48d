//! What the clients of debug exceptions are shown of a displaced instruction (M10, K1).
//!
//! A displaced instruction runs in a copy or in a trampoline, with I and F masked for it alone (K8), and what it accesses can hit
//! watchpoints there. Slots' handlers, debuggers and their predicates must not see that: they are shown the probed address and the
//! probed context's masks, may change both, and may begin steps. So the handler of a debug exception from the engine's text calls
//! [`show`] before anybody is told, and [`Displaced::resume`] behind the last who is. Where the instruction is still to be executed
//! then, it runs where it was about to: the probe's handlers are not called again, and the slots that it hit are stepped over there.
//!
//! What the engine does for itself, nobody is shown at all. A trampoline's first store lies below the probed context's SP, in front of
//! the instruction that masks D; the register that would be needed to mask D before it can only be freed by a store. A watchpoint on
//! that memory, or a step that comes there, puts the context back to the probed address with nothing done, and onto the BRK that stands
//! in for the trampoline: then the probe is hit by an exception, whose frame is stored with D masked.

use super::copies::{self, OPENED};
use super::level::{LONGER, Level};
use super::optimised;
use super::site::Site;
use crate::debug::CpuDebug;
use crate::exception::{Frame, Reason, fatal};
use crate::mm::layout;
use probe::ool::{Copies, Faulted};
use probe::trampoline::{Interrupted, Trampoline};
use rules::step::Owners;

/// Where a debug exception has come from.
pub enum Origin {
    /// From elsewhere, or from a BRK that leads back to the engine. The frame is as it was.
    Elsewhere,
    /// From what the engine does for itself. The frame is at the BRK that stands in for the probe's: nobody is to be told.
    Engine,
    /// From a displaced instruction that has not been executed. The frame is the probed context's, at the probed address.
    Instruction(Displaced),
    /// From behind a displaced instruction. The frame is the probed context's, behind the probed instruction, and stays so.
    Behind,
}

/// A displaced instruction that is still to be executed.
pub struct Displaced {
    site: &'static Site,
    /// PC in the copy or trampoline.
    pc: u64,
    /// I and F there.
    masks_there: u64,
    /// I and F of the probed context.
    masks: u64,
    /// Whether it is in the copy that traps, with a level.
    traps: bool,
    /// A step-over of the probed instruction, which the level keeps.
    waiting: Owners,
}

/// Shows the probed context in `frame`, if the exception has come from a copy or a trampoline. In the handler of a debug exception
/// (M10), before anybody is told.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn show(cpu: &CpuDebug, frame: &mut Frame) -> Origin {
    if let Some((site, offset)) = copies::site_of(frame.pc) {
        in_copy(cpu, frame, site, offset)
    } else if let Some((site, offset)) = optimised::site_of(frame.pc) {
        in_trampoline(frame, site, offset)
    } else {
        Origin::Elsewhere
    }
}

#[inline(always)]
fn in_copy(cpu: &CpuDebug, frame: &mut Frame, site: &'static Site, offset: u64) -> Origin {
    match Copies::faulted(offset) {
        Some(Faulted::Open) => instruction(frame, site, 0),
        Some(Faulted::Masked) => instruction(frame, site, OPENED.bits()),
        Some(Faulted::Trapping) => {
            let Some((level, top)) = cpu.top() else { return Origin::Elsewhere };
            if !core::ptr::eq(top, site) {
                return Origin::Elsewhere;
            }
            // The owners that wait for the end of the copy (M12) are the probed context's: a debugger's stop may end its plan.
            let parked = level.parked.replace(Owners::empty());
            cpu.set_owners(cpu.owners.get() | (parked - Owners::STEP_OVER));
            let waiting = parked & Owners::STEP_OVER;
            let displaced =
                Displaced { traps: true, waiting, ..at(frame, site, level.masks.get() & !LONGER) };
            Origin::Instruction(displaced)
        }
        None if Copies::settled(offset) => behind(frame, site, frame.pstate & OPENED.bits()),
        None => match Copies::faulted(offset.wrapping_sub(4)) {
            Some(Faulted::Open) => behind(frame, site, 0),
            Some(Faulted::Masked) => behind(frame, site, OPENED.bits()),
            // The BRK: all is the level's.
            Some(Faulted::Trapping) | None => Origin::Elsewhere,
        },
    }
}

#[inline(always)]
fn in_trampoline(frame: &mut Frame, site: &'static Site, offset: u64) -> Origin {
    let masks = frame.pstate & OPENED.bits();
    match Trampoline::interrupted(offset) {
        Some(Interrupted::Before) if offset == Trampoline::STAND_IN => {
            frame.pc = site.address;
            Origin::Elsewhere
        }
        Some(Interrupted::Before | Interrupted::Pushed | Interrupted::Read) => {
            optimised::settle(frame);
            optimised::stand_in(frame);
            Origin::Engine
        }
        Some(Interrupted::Faulted) => instruction(frame, site, 0),
        Some(Interrupted::FaultedMasked) => instruction(frame, site, masks),
        Some(Interrupted::Behind) => behind(frame, site, masks),
        None => match Trampoline::interrupted(offset.wrapping_sub(4)) {
            Some(Interrupted::Faulted) => behind(frame, site, 0),
            Some(Interrupted::FaultedMasked) => behind(frame, site, masks),
            _ => Origin::Elsewhere,
        },
    }
}

#[inline(always)]
fn at(frame: &mut Frame, site: &'static Site, masks: u64) -> Displaced {
    let (pc, masks_there) = (frame.pc, frame.pstate & OPENED.bits());
    frame.pc = site.address;
    frame.pstate = frame.pstate & !OPENED.bits() | masks;
    Displaced { site, pc, masks_there, masks, traps: false, waiting: Owners::empty() }
}

#[inline(always)]
fn instruction(frame: &mut Frame, site: &'static Site, masks: u64) -> Origin {
    Origin::Instruction(at(frame, site, masks))
}

#[inline(always)]
fn behind(frame: &mut Frame, site: &'static Site, masks: u64) -> Origin {
    frame.pc = site.leads_to;
    frame.pstate = frame.pstate & !OPENED.bits() | masks;
    Origin::Behind
}

impl Displaced {
    /// Everybody has been told: unless one has moved PC, the instruction is executed now, where it was about to be. Only a step-over of
    /// the slots that it hit steps it there; other owners wait until the post-handlers have run (M12).
    #[cold]
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    pub fn resume(self, cpu: &CpuDebug, frame: &mut Frame) {
        let moved = frame.pc != self.site.address;
        if self.traps {
            if moved {
                cpu.pop();
                cpu.set_owners(cpu.owners.get() | self.waiting);
            } else if let Some((level, _)) = cpu.top() {
                self.trap(cpu, frame, level);
                frame.pc = self.pc;
            }
            return;
        }
        if moved {
            return;
        }
        let masks = frame.pstate & OPENED.bits();
        if masks == self.masks {
            frame.pstate |= self.masks_there;
            frame.pc = self.pc;
            return;
        }
        // A handler has changed the masks: the form for these.
        let Some(copies) = self.site.copies() else {
            // All that it does is to lead there.
            frame.move_to(self.site.leads_to);
            return;
        };
        if masks == 0 || masks == OPENED.bits() {
            frame.pstate |= OPENED.bits();
            frame.pc = copies + if masks == 0 { Copies::OPEN } else { Copies::MASKED };
            return;
        }
        // No post-handler waits: as for a hit that was missed.
        let Some(level) = cpu.push(self.site, true) else { fatal(frame, "K5", Reason::ProbesTooDeep) };
        self.trap(cpu, frame, level);
        frame.pc = copies + Copies::TRAPPING;
    }

    #[inline(always)]
    fn trap(&self, cpu: &CpuDebug, frame: &mut Frame, level: &Level) {
        let owners = cpu.owners.get();
        level.parked.set(self.waiting | (owners - Owners::STEP_OVER));
        cpu.set_owners(owners & Owners::STEP_OVER);
        // `hit.S` knows nothing of what waits, nor of masks other than those of its hit.
        level.masks.set(frame.pstate & OPENED.bits() | LONGER);
        frame.pstate |= OPENED.bits();
    }
}

/// Whether the exception may have come from a copy or a trampoline: the cheap question, to which [`show`] has the answer.
#[inline(always)]
pub fn may_be_shown(frame: &Frame) -> bool {
    layout::may_be_copy(frame.pc)
}
