//! Optimised probes: the BRK becomes a branch to a trampoline (M12b), where the site has one probe, which permits it, and its
//! instruction can be run there.
//!
//! What steps does not know of them: a context that is about to be stepped from such a site, by a debugger or over a
//! breakpoint, is put on the trampoline's stand-in instead, a BRK like any other probe's ([`stand_in`]). A step into the
//! trampoline would end with nothing done; an interrupt there puts the context back to the site, where the breakpoint would be
//! hit once more.

use super::probe::Then;
use super::site::{How, Site};
use super::{copies, table};
use crate::debug;
use crate::exception::{Frame, frame::FRAME_SIZE};
use core::mem::offset_of;
use probe::trampoline::{Displaced, Interrupted, Layout, Trampoline};
use rules::pstate::{Daif, SPSR_SS};

const LAYOUT: Layout = Layout::new(FRAME_SIZE as u32).unwrap();
const _: () = assert!(offset_of!(Frame, x) == 0 && offset_of!(Frame, sp) == 31 * 8);

/// NZCV and DAIF: what a trampoline can change of PSTATE.
const CHANGES: u64 = 0xf000_0000 | Daif::all().bits();

unsafe extern "C" {
    /// In `hit.S`.
    static kprobe_optimised: u8;
    /// Its BRK where all is still to be done.
    static kprobe_optimised_hit: u8;
    /// Its BRK where the pre-handler has run.
    static kprobe_optimised_rest: u8;
}

/// Whether a probe on this instruction can be optimised.
fn displaced(site: &Site) -> Option<Displaced> {
    // A branch is no landing pad (DDI 0487 D8.4.4), where a BRK is one.
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

/// The site whose trampoline `pc` is in, and the offset there. Masked.
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

/// Interrupts: no context is left in a trampoline (rule K4). Masked.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn settle(frame: &mut Frame) {
    let Some((site, offset)) = site_of(frame.pc) else { return };
    match Trampoline::interrupted(offset) {
        Some(Interrupted::Before) => frame.pc = site.address,
        Some(Interrupted::Pushed) => undo(frame, site),
        Some(Interrupted::Read) => {
            // SAFETY: the trampoline has just stored X0 there.
            frame.x[0] = unsafe { (frame.sp as *const u64).read() };
            undo(frame, site);
        }
        Some(Interrupted::Behind) => frame.pc = site.leads_to,
        Some(Interrupted::Faulted | Interrupted::FaultedMasked) | None => {}
    }
}

fn undo(frame: &mut Frame, site: &Site) {
    frame.sp += FRAME_SIZE as u64;
    frame.pc = site.address;
}

/// K7: a fault of the displaced instruction in a trampoline becomes the probed one's.
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

/// A context that is about to be stepped: if it stands at an optimised probe, it is to be hit by a BRK. Debug context.
#[inline(always)]
pub fn stand_in(frame: &mut Frame) {
    if let Some(site) = table::find(frame.pc)
        && site.is_optimised()
    {
        frame.pc = site.trampoline() + Trampoline::STAND_IN;
    }
}

/// The BRK at which `kprobe_optimised` gives up: a debug context is interrupted, or the pre-handler has asked for more than a
/// trampoline can do. The saved context goes into the frame, as if a probe's BRK had saved it there.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn rest(frame: &mut Frame) -> Rest {
    let pc = frame.pc as usize;
    let whole = pc == (&raw const kprobe_optimised_hit).addr();
    if !whole && pc != (&raw const kprobe_optimised_rest).addr() {
        return Rest::Nobodys;
    }
    let then = if frame.x[0] == Then::Run as u64 { Then::Run } else { Then::Skip };
    // SAFETY: at these two BRKs SP is the frame that the trampoline has filled.
    let saved = unsafe { &*(frame.sp as *const Frame) };
    (frame.x, frame.sp, frame.pc) = (saved.x, saved.sp, saved.pc);
    frame.pstate = frame.pstate & !CHANGES | saved.pstate & CHANGES;
    if whole { Rest::Hit } else { Rest::Instruction(then) }
}

/// What is left to be done behind [`rest`].
pub enum Rest {
    /// What is done at a probe's BRK.
    Hit,
    /// What is done behind the pre-handler.
    Instruction(Then),
    /// The kernel's end: it is another BRK.
    Nobodys,
}

/// A context that goes on with a step: puts it on the stand-in, which [`settle`] may have taken it from; unless the step is due
/// before anything is executed, or a breakpoint is to be hit at its site first, which it is not `over` yet. Masked.
#[inline(always)]
pub fn unsettle(frame: &mut Frame, over: bool) {
    let executes = frame.pstate & SPSR_SS != 0;
    if executes && (over || debug::slots::breakpoint_hits(debug::this(), frame.pc).is_empty()) {
        stand_in(frame);
    }
}
