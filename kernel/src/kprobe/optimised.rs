//! Optimised probes: the text of the site holds a branch to a trampoline instead of a BRK (M12b). A site can be optimised if it has
//! exactly one probe, that probe permits it and has no post-handler, and the trampoline can execute the displaced instruction.
//!
//! The step engine knows nothing of trampolines. If it stepped a context at an optimised site, the step would end
//! inside the trampoline, before the probed instruction was executed. An interrupt at that place would put the context
//! back to the site, where a breakpoint would be hit once more. So a context that is about to be stepped at such a
//! site, by a debugger or over a breakpoint, is moved to the *stand-in* in the trampoline ([`stand_in`]). The stand-in
//! is a BRK that is dealt with like the BRK of any other probe.

use super::probe::Then;
use super::site::{How, Site};
use super::{copies, table};
use crate::debug::{self, MaskedCpu};
use crate::exception::{Frame, frame::FRAME_SIZE};
use core::mem::offset_of;
use probe::trampoline::{Displaced, Interrupted, Layout, Trampoline};
use rules::pstate::{Daif, SPSR_SS};

/// The trampoline stores X0 to X30 and SP where a [`Frame`] has them.
const LAYOUT: Layout = Layout::new(FRAME_SIZE as u32).unwrap();
const _: () = assert!(offset_of!(Frame, x) == 0 && offset_of!(Frame, sp) == 31 * 8);

/// The fields of PSTATE that the trampoline and `kprobe_optimised` change: NZCV and DAIF. Only these come from the saved frame.
const CHANGES: u64 = 0xf000_0000 | Daif::all().bits();

unsafe extern "C" {
    /// The code in `hit.S` that every trampoline calls.
    static kprobe_optimised: u8;
    /// The BRK of `kprobe_optimised` where nothing of the hit is done: the engine counts the hit and calls the pre-handler.
    static kprobe_optimised_hit: u8;
    /// The BRK of `kprobe_optimised` where the hit is counted and the pre-handler has run.
    static kprobe_optimised_rest: u8;
}

/// How a trampoline executes the site's instruction; None if no probe on this instruction can be optimised.
fn displaced(site: &Site) -> Option<Displaced> {
    // An indirect branch may lead to a landing pad. A BRK in its place is a landing pad too, a branch is not (DDI 0487 D8.4.4).
    if probe::is_landing_pad(site.word) {
        return None;
    }
    match site.how {
        How::OutOfLine(instruction, _) => Some(Displaced::Word(instruction)),
        How::Simulated(sim) => sim.leads_to(site.address).map(Displaced::LeadsTo),
    }
}

/// Writes a trampoline for the site, if it can have one and there is room. Returns its address. Thread context.
pub fn take(site: &'static Site) -> Option<u64> {
    let displaced = displaced(site)?;
    let entry = (&raw const kprobe_optimised).addr() as u64;
    let data = [core::ptr::from_ref(site).addr() as u64, debug::ONE_LEVEL];
    let make = |at| Trampoline::new(LAYOUT, at, site.address, displaced, entry, data);
    copies::take_trampoline(make)
}

/// The site whose trampoline `pc` is in, and the offset of `pc` in the trampoline. All exceptions are masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn site_of(pc: u64) -> Option<(&'static Site, u64)> {
    let (at, offset) = copies::trampoline(pc)?;
    // SAFETY: trampolines are mapped readable.
    let distance = unsafe { ((at + Trampoline::PROBED) as *const i32).read_volatile() };
    match table::find(at.wrapping_add_signed(i64::from(distance))) {
        Some(site) if site.trampoline() == at => Some((site, offset)),
        _ => None,
    }
}

/// Moves an interrupted context out of a trampoline (rule K4): behind the probed instruction if that has been executed, else back
/// to the probed address with nothing done. All exceptions are masked.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn settle(frame: &mut Frame) {
    let Some((site, offset)) = site_of(frame.pc) else { return };
    match Trampoline::interrupted(offset) {
        Some(Interrupted::Before) => frame.pc = site.address,
        Some(Interrupted::Pushed) => undo(frame, site),
        Some(Interrupted::Read) => {
            // SAFETY: the trampoline has just stored X0 at SP, before it changed X0.
            frame.x[0] = unsafe { (frame.sp as *const u64).read() };
            undo(frame, site);
        }
        Some(Interrupted::Behind) => frame.pc = site.leads_to,
        Some(Interrupted::Faulted | Interrupted::FaultedMasked) | None => {}
    }
}

/// Takes back the room that the trampoline has made on the stack, and moves the context back to the probed address.
fn undo(frame: &mut Frame, site: &Site) {
    frame.sp += FRAME_SIZE as u64;
    frame.pc = site.address;
}

/// Makes a fault of the displaced instruction in a trampoline a fault of the probed instruction (K7): the frame gets the probed
/// address and the probed context's masks.
#[inline(always)]
pub fn fault(frame: &mut Frame) {
    let Some((site, offset)) = site_of(frame.pc) else { return };
    match Trampoline::interrupted(offset) {
        Some(Interrupted::Faulted) => frame.pstate &= !copies::OPENED.bits(),
        Some(Interrupted::FaultedMasked) => {}
        _ => return,
    }
    frame.pc = site.address;
}

/// Moves a context that is about to be stepped from an optimised site to the stand-in BRK of the site's trampoline, so that an
/// exception hits the probe. A context elsewhere stays where it is. Debug context.
#[inline(always)]
pub fn stand_in(frame: &mut Frame) {
    if let Some(site) = table::find(frame.pc)
        && site.is_optimised()
    {
        frame.pc = site.trampoline() + Trampoline::STAND_IN;
    }
}

/// Deals with a BRK at which `kprobe_optimised` gives up, because the hit is inside a debug context or the pre-handler has asked
/// for more than a trampoline can do. The context that the trampoline has saved goes into `frame`, as if the BRK of a probe had
/// been taken. Returns what the caller still has to do.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn rest(frame: &mut Frame) -> Rest {
    let pc = frame.pc as usize;
    let whole_hit = pc == (&raw const kprobe_optimised_hit).addr();
    if !whole_hit && pc != (&raw const kprobe_optimised_rest).addr() {
        return Rest::Nobodys;
    }
    // The pre-handler has returned 32 bits; what the upper half of X0 holds is not defined.
    let then = if frame.x[0] as u32 == Then::Run as u32 { Then::Run } else { Then::Skip };
    // SAFETY: at these two BRKs SP is the address of the frame that the trampoline has filled.
    let saved = unsafe { &*(frame.sp as *const Frame) };
    (frame.x, frame.sp, frame.pc) = (saved.x, saved.sp, saved.pc);
    frame.pstate = frame.pstate & !CHANGES | saved.pstate & CHANGES;
    if whole_hit { Rest::Hit } else { Rest::Instruction(then) }
}

/// What the caller of [`rest`] still has to do.
pub enum Rest {
    /// The whole hit, as at the BRK of a probe.
    Hit,
    /// The part of the hit that follows the pre-handler, which has answered this.
    Instruction(Then),
    /// The BRK is not one of `kprobe_optimised`. Nobody else has a BRK with this immediate, so the kernel ends.
    Nobodys,
}

/// Moves a context that resumes with a step back to the stand-in BRK, from which [`settle`] may have moved it. The context stays at
/// the probed address if SPSR.SS is clear, because the step exception then comes before any instruction, or if a breakpoint at the
/// probed address has yet to hit. `over`: the context is stepped over that breakpoint already. All exceptions are masked.
#[inline(always)]
pub fn unsettle(cpu: &MaskedCpu, frame: &mut Frame, over: bool) {
    let executes = frame.pstate & SPSR_SS != 0;
    if executes && (over || debug::slots::breakpoint_hits(cpu, frame.pc).is_empty()) {
        stand_in(frame);
    }
}
