//! What the clients of debug exceptions are shown of a displaced instruction (M10, K1).
//!
//! A displaced instruction runs in a copy or in a trampoline, with I and F masked for it alone (K8). Its accesses can hit
//! watchpoints there, but the handlers of slots, debuggers and their predicates must not see where it runs. They are shown the
//! probed address and the masks of the probed context; they may change both, and may begin steps. So the handler of a debug
//! exception from a copy or a trampoline calls [`show`] before it calls any of these clients, and [`Displaced::resume`] after the
//! last client has returned. If the displaced instruction has still to be executed, `resume` sends the context back to the
//! instruction in the copy or trampoline. If the instruction has hit slots, it is stepped there, with these slots suspended. The
//! probe's handlers are not called again.
//!
//! Accesses that the engine makes for itself are shown to nobody. Most of them are made with D masked, but the first store of a
//! trampoline is not: before the trampoline masks D it reads DAIF into a register, and this store is what frees the register. The
//! store goes below the probed context's SP. If the store hits a watchpoint, or if a step ends at one of the trampoline's first
//! instructions, the trampoline's work is undone, and the context is moved to the BRK that stands in for the trampoline. That BRK
//! hits the probe by an exception, whose frame the vectors store with D masked.

use super::copies::{self, OPENED};
use super::level::{LONGER, Level};
use super::optimised;
use super::site::Site;
use crate::debug::MaskedCpu;
use crate::exception::{DebugFrame, Frame, Reason, fatal};
use crate::mm::layout;
use probe::ool::{Copies, Faulted};
use probe::trampoline::{Interrupted, Trampoline};
use rules::step::Owners;

/// Where a debug exception has come from, and what [`show`] has done to the frame.
pub enum Origin {
    /// The exception has come neither from a displaced instruction nor from an access of the engine: from other code, or from a BRK
    /// that leads back to the engine. The frame is unchanged, except that a context at a stand-in BRK is now at the probed address.
    Elsewhere,
    /// The exception has come from an access of the engine itself. The frame is at the trampoline's stand-in BRK. No client must be
    /// told.
    Engine,
    /// The exception has come from a displaced instruction that has not been executed. The frame is the probed context's, at the
    /// probed address, until [`Displaced::resume`].
    Instruction(Displaced),
    /// The exception has come after a displaced instruction was executed. The frame is the probed context's, behind the probed
    /// instruction, and the context resumes there.
    Behind,
}

/// A displaced instruction that is still to be executed, and what [`show`] has taken out of its frame.
pub struct Displaced {
    site: &'static Site,
    /// The PC in the copy or trampoline, where the instruction is to be executed.
    pc: u64,
    /// I and F at that PC.
    masks_there: u64,
    /// I and F of the probed context, as they are shown to the clients.
    masks: u64,
    /// Whether the instruction is in the copy that ends in a BRK, so that the hit still has a level.
    traps: bool,
    /// [`Owners::STEP_OVER`] if a step-over of the probed instruction waited in the level, else no owner. `resume` puts the owner
    /// back into the level, unless a client has moved PC.
    waiting: Owners,
}

/// Puts the probed context into `frame` if the exception has come from a copy or a trampoline. The handler of a debug exception
/// (M10) calls this function before it calls any client.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn show(cpu: &MaskedCpu, frame: &mut DebugFrame) -> Origin {
    if let Some((site, offset)) = copies::site_of(frame.pc) {
        in_copy(cpu, frame, site, offset)
    } else if let Some((site, offset)) = optimised::site_of(frame.pc) {
        in_trampoline(frame, site, offset)
    } else {
        Origin::Elsewhere
    }
}

#[inline(always)]
fn in_copy(cpu: &MaskedCpu, frame: &mut DebugFrame, site: &'static Site, offset: u64) -> Origin {
    match Copies::faulted(offset) {
        Some(Faulted::Open) => instruction(frame, site, 0),
        Some(Faulted::Masked) => instruction(frame, site, OPENED.bits()),
        Some(Faulted::Trapping) => {
            let Some((level, top)) = cpu.top() else { return Origin::Elsewhere };
            if !core::ptr::eq(top, site) {
                return Origin::Elsewhere;
            }
            // The owners that the level keeps (M12) belong to the probed context. The CPU gets them back, because a
            // debugger that stops here may end its plan. Only a step-over goes on waiting.
            let parked = level.parked.replace(Owners::empty());
            cpu.set_owners(cpu.owners.get() | (parked - Owners::STEP_OVER));
            let waiting = parked & Owners::STEP_OVER;
            let displaced =
                Displaced { traps: true, waiting, ..take_out(frame, site, level.masks.get() & !LONGER) };
            Origin::Instruction(displaced)
        }
        None if Copies::settled(offset) => behind(frame, site, frame.pstate & OPENED.bits()),
        None => match Copies::faulted(offset.wrapping_sub(4)) {
            Some(Faulted::Open) => behind(frame, site, 0),
            Some(Faulted::Masked) => behind(frame, site, OPENED.bits()),
            // The frame is at the BRK behind the instruction. `engine::out_of_line_end` will put the probed context back.
            Some(Faulted::Trapping) | None => Origin::Elsewhere,
        },
    }
}

#[inline(always)]
fn in_trampoline(frame: &mut DebugFrame, site: &'static Site, offset: u64) -> Origin {
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

/// Puts the probed context into `frame`, and returns the value that can resume the instruction. `masks` are I and F of
/// the probed context.
#[inline(always)]
fn take_out(frame: &mut DebugFrame, site: &'static Site, masks: u64) -> Displaced {
    let (pc, masks_there) = (frame.pc, frame.pstate & OPENED.bits());
    frame.pc = site.address;
    frame.pstate = frame.pstate & !OPENED.bits() | masks;
    Displaced { site, pc, masks_there, masks, traps: false, waiting: Owners::empty() }
}

#[inline(always)]
fn instruction(frame: &mut DebugFrame, site: &'static Site, masks: u64) -> Origin {
    Origin::Instruction(take_out(frame, site, masks))
}

#[inline(always)]
fn behind(frame: &mut DebugFrame, site: &'static Site, masks: u64) -> Origin {
    frame.pc = site.leads_to;
    frame.pstate = frame.pstate & !OPENED.bits() | masks;
    Origin::Behind
}

impl Displaced {
    /// Sends the context back to the instruction in the copy or trampoline, when all clients were told; does not do so if a client
    /// has moved PC. If the hit has a level, the instruction is stepped there only for a step-over of the slots that it has hit:
    /// other owners wait in the level until the post-handlers have run (M12).
    #[cold]
    #[inline(never)]
    #[unsafe(link_section = ".noprobe.text")]
    pub fn resume(self, cpu: &MaskedCpu, frame: &mut DebugFrame) {
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
        // A client has changed the masks, so another copy has to run the instruction.
        let Some(copies) = self.site.copies() else {
            // A site without copies that is in a trampoline has an instruction that does nothing but lead to this address.
            frame.move_to(self.site.leads_to);
            return;
        };
        if masks == 0 || masks == OPENED.bits() {
            frame.pstate |= OPENED.bits();
            frame.pc = copies + if masks == 0 { Copies::OPEN } else { Copies::MASKED };
            return;
        }
        // No post-handler waits for the end of this copy, so the level is that of a missed hit.
        let Some(level) = cpu.push(self.site, true) else { fatal(frame, "K5", Reason::ProbesTooDeep) };
        self.trap(cpu, frame, level);
        frame.pc = copies + Copies::TRAPPING;
    }

    /// Prepares the copy that ends in a BRK: the level keeps the masks and all owners, except the owner of a step-over of the slots
    /// that the instruction has hit.
    #[inline(always)]
    fn trap(&self, cpu: &MaskedCpu, frame: &mut DebugFrame, level: &Level) {
        let owners = cpu.owners.get();
        level.parked.set(self.waiting | (owners - Owners::STEP_OVER));
        cpu.set_owners(owners & Owners::STEP_OVER);
        // LONGER: `hit.S` cannot put back owners that wait, nor masks that have changed since its hit.
        level.masks.set(frame.pstate & OPENED.bits() | LONGER);
        frame.pstate |= OPENED.bits();
    }
}

/// Whether the exception may have come from a copy or a trampoline. The test is cheap; only [`show`] knows for certain.
#[inline(always)]
pub fn may_be_shown(frame: &Frame) -> bool {
    layout::may_be_copy(frame.pc)
}
