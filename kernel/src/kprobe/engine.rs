//! What happens at a hit, except what `hit.S` does itself: the pre-handlers, the displaced instruction, the post-handlers.
//!
//! All of this module runs in debug context: it takes no lock, allocates nothing, and waits for no other CPU.

use super::copies::{self, OPENED};
use super::level::{LONGER, Level};
use super::levels::HANDLER_DEPTH;
use super::probe::{Kprobe, Then};
use super::site::{How, PLAIN, POST_HANDLER, PRE, RUN, Site};
use super::{instance, machine, optimised, simd, table};
use crate::arch::uaccess::{self, Fault};
use crate::debug::{self, MaskedCpu, slots, step};
use crate::exception::{DebugFrame, Frame, Reason, fatal};
use crate::mm::layout;
use core::mem::offset_of;
use core::sync::atomic::Ordering::Relaxed;
use probe::ool::{Copies, Faulted};
use probe::sim::{Literal, VectorSize};
use probe::trampoline::Trampoline;
use probe::{Bti, Mem, Regs, Sim, simulate};
use rules::pstate::Daif;
use rules::step::Owners;

core::arch::global_asm!(
    include_str!("../exception/cfi.S"),
    include_str!("hit.S"),
    FRAME = const crate::exception::frame::FRAME_SIZE,
    X30 = const offset_of!(Frame, x) + 30 * 8,
    SP_ = const offset_of!(Frame, sp),
    PC = const offset_of!(Frame, pc),
    PSTATE = const offset_of!(Frame, pstate),
    ESR = const offset_of!(Frame, esr),
    RECORD = const crate::exception::frame::FRAME_SIZE - 16,
    KPROBE = const probe::ool::KPROBE,
    OOL_END = const probe::ool::OOL_END,
    CPU_SHIFT = const size_of::<debug::CpuDebug>().ilog2(),
    CONTEXT = const debug::CONTEXT,
    ONE_LEVEL = const debug::ONE_LEVEL,
    ARMED_BITS = const debug::ARMED_BITS,
    MDSCR = const debug::MDSCR,
    PAGE_BITS = const table::PAGE_BITS,
    PLAIN = const PLAIN,
    PRE = const PRE,
    RUN = const RUN,
    POST_HANDLER = const POST_HANDLER,
    HITS = const offset_of!(Kprobe, hits),
    LEVEL_MASKS = const debug::LEVELS + offset_of!(Level, masks),
    MASKED_FORM = const Copies::MASKED,
    TRAPPING_FORM = const Copies::TRAPPING,
    TRAP = const Copies::TRAP,
    KRETPROBE = const probe::ool::RETURN_PROBE,
    INSTANCES = const instance::INSTANCES,
    INSTANCE_BITS = const instance::INSTANCES.ilog2(),
    INSTANCE_SHIFT = const size_of::<instance::Instance>().ilog2(),
    SITE_HANDLER = const instance::SITE_HANDLER,
    INSTANCE_PROBE = const instance::PROBE,
    INSTANCE_SP = const instance::SP,
    TRAMPOLINE = const crate::exception::brk::TRAMPOLINE,
    DATA_FROM_OPEN = const Trampoline::DATA - Trampoline::OPEN,
    INTERRUPT_FROM_OPEN = const Trampoline::INTERRUPT - Trampoline::OPEN,
    MASKED_FROM_OPEN = const Trampoline::MASKED - Trampoline::OPEN,
    RUN_LITERAL = sym run_literal,
    CHECKED = const cfg!(debug_assertions) as u32,
);

/// A simulated instruction has taken an exception of its own, a data abort or a trap, which the caller still has to deal with (rule
/// K7). The frame is that of the probed context at the probed address, with the exception's syndrome. The hit's level has ended,
/// and the owners of the context's step are back. The caller first leaves the debug context that the hit has entered.
pub struct Excepted;

/// Deals with a probe's BRK. `parked` are the owners of the probed context's step, which the caller has set aside. Returns the
/// owners that the caller has to put back: none while a level keeps them until the displaced instruction has run.
///
/// # Errors
/// [`Excepted`] if the simulated instruction has taken an exception.
#[inline(always)]
pub fn hit(cpu: &MaskedCpu, frame: &mut DebugFrame, parked: Owners) -> Result<Owners, Excepted> {
    let site = match table::find(frame.pc) {
        Some(site) => site,
        None => match optimised::site_of(frame.pc) {
            Some((site, Trampoline::STAND_IN)) => {
                frame.pc = site.address;
                site
            }
            _ => {
                retry_removed(frame);
                return Ok(parked);
            }
        },
    };
    let missed = cpu.probe_levels() >= HANDLER_DEPTH || cpu.is_probed(site);
    let Some(level) = cpu.push(site, missed) else { fatal(frame, "K5", Reason::ProbesTooDeep) };
    let mut skip = false;
    let mut next = site.first();
    while let Some(probe) = next {
        next = probe.next();
        if !probe.enabled.load(Relaxed) {
            continue;
        }
        if missed {
            probe.missed.fetch_add(1, Relaxed);
            continue;
        }
        let hits = &probe.hits[crate::percpu::index()];
        hits.store(hits.load(Relaxed) + 1, Relaxed);
        if let Some(pre) = probe.pre {
            skip |= pre(probe, frame) as u32 == Then::Skip as u32;
        }
    }
    if skip {
        skipped(cpu, frame);
        return Ok(parked);
    }
    displaced(cpu, frame, site, level, parked)
}

/// Ends a hit whose displaced instruction does not run, because a handler has moved PC.
#[inline(always)]
fn skipped(cpu: &MaskedCpu, frame: &mut DebugFrame) {
    let pc = frame.pc;
    frame.move_to(pc);
    cpu.pop();
}

/// Runs the displaced instruction, after the pre-handlers: simulates it, or sends the frame into one of its copies.
#[inline(always)]
fn displaced(
    cpu: &MaskedCpu,
    frame: &mut DebugFrame,
    site: &Site,
    level: &Level,
    parked: Owners,
) -> Result<Owners, Excepted> {
    let parked = if cpu.owners.get().is_empty() { parked } else { park_requested(cpu, parked) };
    let missed = level.missed.get();
    let post = !missed && has_post(site);
    match site.how {
        How::OutOfLine(_, copies) => {
            // K8: the copy runs with I and F masked, and with D as in the probed context.
            let masks = frame.pstate & OPENED.bits();
            frame.pstate |= OPENED.bits();
            if post || !parked.is_empty() || masks != 0 && masks != OPENED.bits() {
                // The level keeps the owners until the BRK behind the instruction is hit (M12).
                level.masks.set(masks | LONGER);
                level.parked.set(parked);
                frame.pc = copies + Copies::TRAPPING;
                return Ok(Owners::empty());
            }
            frame.pc = copies + if masks == 0 { Copies::OPEN } else { Copies::MASKED };
            cpu.pop();
            Ok(parked)
        }
        How::Simulated(sim) => {
            let parked = match reads(cpu, site, sim, frame, parked) {
                Read::Go(owners) => owners,
                Read::Moved(owners) => {
                    skipped(cpu, frame);
                    return Ok(behind(cpu, frame, owners));
                }
            };
            simulated(cpu, site, sim, frame, parked)?;
            let pc = frame.pc;
            frame.move_to(pc);
            if post {
                run_posts(site, frame);
            }
            cpu.pop();
            Ok(behind(cpu, frame, parked))
        }
    }
}

/// Whether an enabled probe of the site has a post-handler.
#[inline(always)]
fn has_post(site: &Site) -> bool {
    let mut next = site.first();
    while let Some(probe) = next {
        if probe.enabled.load(Relaxed) && probe.post.is_some() {
            return true;
        }
        next = probe.next();
    }
    false
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn run_posts(site: &Site, frame: &mut DebugFrame) {
    let mut next = site.first();
    while let Some(probe) = next {
        next = probe.next();
        if probe.enabled.load(Relaxed)
            && let Some(post) = probe.post
        {
            post(probe, frame);
        }
    }
}

/// Deals with the rest of a hit whose level `hit.S` has begun and whose pre-handler `hit.S` has called. `then` is what the
/// pre-handler has answered. Returns owners as [`hit`] does.
///
/// # Errors
/// [`Excepted`] if the simulated instruction has taken an exception.
#[inline(always)]
pub fn rest_of_hit(cpu: &MaskedCpu, frame: &mut DebugFrame, then: Then) -> Result<Owners, Excepted> {
    let Some((level, site)) = cpu.top() else { fatal(frame, "K5", Reason::UnknownBrk) };
    if then as u32 == Then::Skip as u32 {
        skipped(cpu, frame);
        return Ok(Owners::empty());
    }
    displaced(cpu, frame, site, level, Owners::empty())
}

/// Takes the owners of a step that a pre-handler has asked for, and returns them together with `parked`. Such a step begins with
/// the displaced instruction, so its owners wait, as the parked ones do, until that instruction has run. In a debug context inside
/// another one the CPU's owners belong to the outer context (M14), and stay.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn park_requested(cpu: &MaskedCpu, parked: Owners) -> Owners {
    if cpu.depth.get() != 1 {
        return parked;
    }
    let asked = cpu.owners.get();
    cpu.set_owners(Owners::empty());
    parked | asked
}

/// Puts back the owners of the probed context's step after the displaced instruction has run. A step-over of that
/// instruction is complete then. The steps of other owners are due at once (M13). Returns the owners that are left for
/// the caller to put back, which are none.
#[inline(always)]
pub fn behind(cpu: &MaskedCpu, frame: &mut DebugFrame, owners: Owners) -> Owners {
    if !owners.is_empty() {
        // `cpu.owners` may hold the owner of a step that a post-handler has asked for: it is kept.
        cpu.set_owners(cpu.owners.get() | owners);
        step::complete_in_software(cpu, frame);
    }
    Owners::empty()
}

/// Deals with a BRK for which no site is found. If the text has changed, or the site is found now, a probe was removed
/// between the BRK and the search, or was placed again: the context returns and executes the text again (K4). Otherwise
/// no probe has put the BRK there, and the kernel ends.
#[cold]
#[unsafe(link_section = ".noprobe.text")]
fn retry_removed(frame: &mut DebugFrame) {
    let word = uaccess::read_u32(frame.pc);
    if word == Ok(probe::ool::brk(probe::ool::KPROBE)) {
        // The text is read first: a probe that has come back in between is found now.
        if table::find(frame.pc).is_none() {
            fatal(frame, "M7", Reason::UnknownBrk);
        }
    }
}

/// Deals with the BRK at the end of a copy.
#[inline(always)]
pub fn out_of_line_end(cpu: &MaskedCpu, frame: &mut DebugFrame, parked: Owners) -> Owners {
    let (level, site) = match cpu.top() {
        Some((level, site)) if matches!(site.copies(), Some(copies) if copies + Copies::TRAP == frame.pc) => {
            (level, site)
        }
        _ => fatal(frame, "M7", Reason::UnknownBrk),
    };
    frame.pstate = frame.pstate & !OPENED.bits() | level.masks.get() & !LONGER;
    // `move_to` clears SPSR.SS: a step that is still wanted is due right behind the probed instruction (M13).
    frame.move_to(site.address + 4);
    if !level.missed.get() {
        run_posts(site, frame);
    }
    let waiting = level.parked.get();
    cpu.pop();
    behind(cpu, frame, waiting | parked)
}

/// The answer of [`enter`]: whether a handler of a site may run (rule K5).
pub enum Entered {
    /// The handler may run. A level has begun, which [`leave`] has to end.
    Level,
    /// The handler must not run: the levels are too deep, or one of them deals with the same site. No level has begun.
    Missed,
}

/// Begins a level for a handler of the site that is neither a pre-handler nor a post-handler: the handler of a return probe.
#[inline(always)]
pub fn enter(cpu: &MaskedCpu, site: &'static Site) -> Entered {
    if cpu.probe_levels() >= HANDLER_DEPTH || cpu.is_probed(site) {
        return Entered::Missed;
    }
    let _ = cpu.push(site, false);
    Entered::Level
}

/// Ends the level that [`enter`] has begun.
#[inline(always)]
pub fn leave(cpu: &MaskedCpu) {
    cpu.pop();
}

/// Makes a fault of a displaced instruction a fault of the probed instruction (K7). If the frame is in a copy or a
/// trampoline, the frame gets the probed address and the probed context's masks, and the CPU gets back the owners that
/// the level keeps.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn fault_in_copy(cpu: &MaskedCpu, frame: &mut Frame) {
    if !layout::may_be_copy(frame.pc) {
        return;
    }
    let Some((site, offset)) = copies::site_of(frame.pc) else {
        optimised::fault(frame);
        return;
    };
    match Copies::faulted(offset) {
        None => return,
        Some(Faulted::Masked) => {}
        Some(Faulted::Open) => frame.pstate &= !OPENED.bits(),
        Some(Faulted::Trapping) => {
            let Some((level, _)) = cpu.top() else { return };
            frame.pstate = frame.pstate & !OPENED.bits() | level.masks.get() & !LONGER;
            cpu.set_owners(cpu.owners.get() | level.parked.get());
            cpu.pop();
        }
    }
    frame.pc = site.address;
}

unsafe extern "C" {
    /// In `hit.S`: calls [`run_literal`], and has an exception of the instruction dealt with.
    static kprobe_literal: u8;
}

/// A function that `hit.S` calls to simulate an instruction, in the only debug context of this CPU.
type Run = extern "C" fn(&Site, &mut DebugFrame);

/// The address of the code that `hit.S` calls, as a [`Run`], to simulate an instruction.
pub fn simulator(sim: Sim) -> usize {
    let run: Run = if sim.leads_to(0).is_some() {
        run_on
    } else if sim.literal(0).is_some() {
        return (&raw const kprobe_literal).addr();
    } else {
        run_any
    };
    run as usize
}

/// Simulates an instruction that always leads to the same address.
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn run_on(site: &Site, frame: &mut DebugFrame) {
    frame.pc = site.leads_to;
    frame.pstate &= !probe::sim::BTYPE;
}

/// Simulates an instruction that reads no memory: then it takes no exception either.
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn run_any(site: &Site, frame: &mut DebugFrame) {
    if let How::Simulated(sim) = site.how {
        let _ = simulate(sim, site.address, &mut Saved(frame), &mut Memory);
    }
}

/// Simulates an instruction that reads memory. Returns whether the instruction has taken an exception, as [`Excepted`] describes.
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn run_literal(site: &Site, frame: &mut DebugFrame) -> bool {
    let How::Simulated(sim) = site.how else { return false };
    let cpu = frame.cpu();
    let owners = match reads(cpu, site, sim, frame, Owners::empty()) {
        Read::Go(owners) if simulated(cpu, site, sim, frame, owners).is_ok() => owners,
        Read::Go(_) => return true,
        Read::Moved(owners) => owners,
    };
    // A step that a watchpoint's handler has asked for is due behind the instruction (M13).
    let pc = frame.pc;
    frame.move_to(pc);
    cpu.set_owners(owners);
    false
}

/// What becomes of an instruction after the watchpoints on its literal were dealt with, and the owners of the probed context's
/// step.
enum Read {
    /// The instruction is to be simulated.
    Go(Owners),
    /// A handler has moved PC, so the instruction is not to be simulated.
    Moved(Owners),
}

/// Deals with the watchpoints that an instruction would hit by its read, before the instruction is simulated (K1, X1). The order is
/// that of the hardware, where the exception of a watchpoint comes before the access. The handlers of the slots find the probed
/// context in the frame. The slots are not suspended, because the engine reads with D masked and so cannot hit them.
#[inline(always)]
fn reads(cpu: &MaskedCpu, site: &Site, sim: Sim, frame: &mut DebugFrame, owners: Owners) -> Read {
    match sim.literal(site.address) {
        Some(literal) if !frame.masks().contains(Daif::D) => {
            hit_watchpoints(cpu, (literal, sim), frame, owners)
        }
        _ => Read::Go(owners),
    }
}

/// Deals with the watchpoints that the read of `literal` hits, in a probed context with D open.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn hit_watchpoints(
    cpu: &MaskedCpu,
    (literal, sim): (u64, Sim),
    frame: &mut DebugFrame,
    owners: Owners,
) -> Read {
    let bytes = literal_bytes(sim);
    let hits = slots::touched(cpu, literal, bytes, false);
    if hits.is_empty() || faults(sim, literal, bytes) {
        return Read::Go(owners);
    }
    // The handlers find the owners in `cpu.owners`, because a debugger that stops here may end the plan under way. A
    // step-over is kept from the handlers: it belongs to the instruction, and waits until the instruction has run.
    let waiting = owners & Owners::STEP_OVER;
    cpu.set_owners(cpu.owners.get() | (owners - Owners::STEP_OVER));
    let pc = frame.pc;
    debug::hit::simulated(cpu, frame, hits);
    let owners = cpu.owners.get() | waiting;
    cpu.set_owners(Owners::empty());
    if frame.pc == pc { Read::Go(owners) } else { Read::Moved(owners) }
}

/// Whether the read takes another exception. That exception has priority over a watchpoint's (DDI 0487 D1.3.5.3), so the watchpoint
/// is not hit.
#[inline(always)]
fn faults(sim: Sim, literal: u64, bytes: u64) -> bool {
    matches!(sim, Sim::LoadVector { .. }) && simd::trapped()
        || uaccess::read_u32(literal).is_err()
        || uaccess::read_u32(literal + bytes - 4).is_err()
}

/// How many bytes the instruction reads.
#[inline(always)]
fn literal_bytes(sim: Sim) -> u64 {
    match sim {
        Sim::LoadLiteral { kind: Literal::Double, .. } | Sim::LoadVector { size: VectorSize::Double, .. } => {
            8
        }
        Sim::LoadVector { size: VectorSize::Quad, .. } => 16,
        _ => 4,
    }
}

/// Simulates the site's instruction. `owners` are the owners of the probed context's step: they are put back if the instruction
/// takes an exception, and are left to the caller otherwise.
#[inline(always)]
fn simulated(
    cpu: &MaskedCpu,
    site: &Site,
    sim: Sim,
    frame: &mut DebugFrame,
    owners: Owners,
) -> Result<(), Excepted> {
    simulate(sim, site.address, &mut Saved(frame), &mut Memory).map_err(|exception| {
        let (esr, far) = simd::syndrome(&exception, sim.literal(site.address).unwrap_or(0));
        frame.esr = esr;
        if let Some(far) = far {
            frame.far = far;
        }
        cpu.pop();
        cpu.set_owners(cpu.owners.get() | owners);
        Excepted
    })
}

/// The registers of the probed context, as the simulation reads and writes them in the frame.
struct Saved<'a>(&'a mut Frame);

impl Regs for Saved<'_> {
    #[inline(always)]
    fn x(&self, n: u8) -> u64 {
        self.0.x[n as usize % 31]
    }
    #[inline(always)]
    fn set_x(&mut self, n: u8, value: u64) {
        self.0.x[n as usize % 31] = value;
    }
    #[inline(always)]
    fn pstate(&self) -> u64 {
        self.0.pstate
    }
    #[inline(always)]
    fn set_pstate(&mut self, value: u64) {
        self.0.pstate = value;
    }
    #[inline(always)]
    fn set_pc(&mut self, value: u64) {
        self.0.pc = value;
    }
    #[inline(always)]
    fn simd_trapped(&self) -> bool {
        simd::trapped()
    }
    #[inline(always)]
    fn set_v(&mut self, n: u8, value: u128) {
        simd::set(n, value);
    }
}

/// The kernel's memory, from which the simulation reads literals.
struct Memory;

impl Mem for Memory {
    type Error = Fault;

    fn read_u32(&mut self, address: u64) -> Result<u32, Fault> {
        uaccess::read_u32(address)
    }

    fn read_u64(&mut self, address: u64) -> Result<u64, Fault> {
        uaccess::read_u64_unaligned(address)
    }

    #[inline(always)]
    fn original(&self, address: u64) -> Option<u32> {
        table::find(address).map(|site| site.word)
    }

    #[inline(always)]
    fn bti(&self, _: u64) -> Bti {
        machine::bti()
    }
}
