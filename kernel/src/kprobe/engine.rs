//! What happens at a hit, except what `hit.S` does itself. All of it runs in debug context: no lock, no allocation, no waiting.

use super::copies::{self, OPENED};
use super::level::{LONGER, Level};
use super::levels::HANDLER_DEPTH;
use super::probe::{Kprobe, Then};
use super::site::{How, PLAIN, POST_HANDLER, PRE, RUN, Site};
use super::{instance, machine, optimised, simd, table};
use crate::arch::uaccess::{self, Fault};
use crate::debug::{self, CpuDebug, slots, step};
use crate::exception::{Frame, Reason, fatal};
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
    CPU_SHIFT = const size_of::<CpuDebug>().ilog2(),
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

/// A simulated instruction has taken an exception of its own, a data abort or a trap, which the caller still has to deal with (rule K7).
/// The frame is that of the probed context at the probed address, with the exception's syndrome. The hit's level has ended, and the
/// owners of the context's step are back. The caller first leaves the debug context that the hit has entered.
pub struct Excepted;

/// Deals with a probe's BRK. `parked` are the owners of the probed context's step; returned are those to put back.
///
/// # Errors
/// [`Excepted`].
#[inline(always)]
pub fn hit(cpu: &CpuDebug, frame: &mut Frame, parked: Owners) -> Result<Owners, Excepted> {
    let site = match table::find(frame.pc) {
        Some(site) => site,
        None => match optimised::site_of(frame.pc) {
            Some((site, Trampoline::STAND_IN)) => {
                frame.pc = site.address;
                site
            }
            _ => {
                gone(frame);
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

/// Ends the hit of a pre-handler that has moved PC.
#[inline(always)]
fn skipped(cpu: &CpuDebug, frame: &mut Frame) {
    let pc = frame.pc;
    frame.move_to(pc);
    cpu.pop();
}

/// Runs the site's instruction, behind the pre-handlers.
#[inline(always)]
fn displaced(
    cpu: &CpuDebug,
    frame: &mut Frame,
    site: &Site,
    level: &Level,
    parked: Owners,
) -> Result<Owners, Excepted> {
    let parked = if cpu.owners.get().is_empty() { parked } else { asked_for(cpu, parked) };
    let missed = level.missed.get();
    let post = !missed && has_post(site);
    match site.how {
        How::OutOfLine(_, copies) => {
            // K8: I and F masked, D as it is.
            let masks = frame.pstate & OPENED.bits();
            frame.pstate |= OPENED.bits();
            if post || !parked.is_empty() || masks != 0 && masks != OPENED.bits() {
                // The owners wait until the instruction is done (M12).
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
fn run_posts(site: &Site, frame: &mut Frame) {
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

/// Deals with the rest of a hit that `hit.S` has begun, behind the pre-handler. Returns owners as [`hit`] does.
///
/// # Errors
/// [`Excepted`].
#[inline(always)]
pub fn rest_of_hit(cpu: &CpuDebug, frame: &mut Frame, then: Then) -> Result<Owners, Excepted> {
    let Some((level, site)) = cpu.top() else { fatal(frame, "K5", Reason::UnknownBrk) };
    if then as u32 == Then::Skip as u32 {
        skipped(cpu, frame);
        return Ok(Owners::empty());
    }
    displaced(cpu, frame, site, level, Owners::empty())
}

/// A step that the pre-handler has asked for begins with the displaced instruction, and waits with the others until that is
/// done. Inside a debug context the owners are the outer context's (M14).
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn asked_for(cpu: &CpuDebug, parked: Owners) -> Owners {
    if cpu.depth.get() != 1 {
        return parked;
    }
    let asked = cpu.owners.get();
    cpu.set_owners(Owners::empty());
    parked | asked
}

/// The displaced instruction is done, and with it the step-over that it was; other owners' steps are due at once (M13).
#[inline(always)]
pub fn behind(cpu: &CpuDebug, frame: &mut Frame, owners: Owners) -> Owners {
    if !owners.is_empty() {
        // The post-handler may have asked for a step.
        cpu.set_owners(cpu.owners.get() | owners);
        step::complete_in_software(cpu, frame);
    }
    Owners::empty()
}

/// K4: the probe of this BRK is gone: whoever took it away has put the instruction back, or is about to.
#[cold]
#[unsafe(link_section = ".noprobe.text")]
fn gone(frame: &mut Frame) {
    let word = uaccess::read_u32(frame.pc);
    if word == Ok(probe::ool::brk(probe::ool::KPROBE)) {
        // Nobody's BRK, unless the probe has come back meanwhile.
        if table::find(frame.pc).is_none() {
            fatal(frame, "M7", Reason::UnknownBrk);
        }
    }
}

/// Deals with the BRK at the end of a copy.
#[inline(always)]
pub fn out_of_line_end(cpu: &CpuDebug, frame: &mut Frame, parked: Owners) -> Owners {
    let (level, site) = match cpu.top() {
        Some((level, site)) if matches!(site.copies(), Some(copies) if copies + Copies::TRAP == frame.pc) => {
            (level, site)
        }
        _ => fatal(frame, "M7", Reason::UnknownBrk),
    };
    frame.pstate = frame.pstate & !OPENED.bits() | level.masks.get() & !LONGER;
    // Behind the probed instruction, a step that is still asked for is due at once (M13).
    frame.move_to(site.address + 4);
    if !level.missed.get() {
        run_posts(site, frame);
    }
    let waiting = level.parked.get();
    cpu.pop();
    behind(cpu, frame, waiting | parked)
}

/// Whether a handler of a site may run (rule K5).
pub enum Entered {
    /// It may, at a level of its own: see [`leave`].
    Level,
    /// It may not.
    Missed,
}

/// For a handler of the site that is not a probe's own.
#[inline(always)]
pub fn enter(cpu: &CpuDebug, site: &'static Site) -> Entered {
    if cpu.probe_levels() >= HANDLER_DEPTH || cpu.is_probed(site) {
        return Entered::Missed;
    }
    let _ = cpu.push(site, false);
    Entered::Level
}

/// The end of what [`enter`] has begun.
#[inline(always)]
pub fn leave(cpu: &CpuDebug) {
    cpu.pop();
}

/// Makes a fault in a copy or trampoline the probed instruction's own, in the probed context (K7).
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn fault_in_copy(cpu: &CpuDebug, frame: &mut Frame) {
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

/// A function that `hit.S` can call for an instruction, with no debug context but the hit's.
type Run = extern "C" fn(&Site, &mut Frame);

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
extern "C" fn run_on(site: &Site, frame: &mut Frame) {
    frame.pc = site.leads_to;
    frame.pstate &= !probe::sim::BTYPE;
}

/// Simulates an instruction that reads no memory: then it takes no exception either.
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn run_any(site: &Site, frame: &mut Frame) {
    if let How::Simulated(sim) = site.how {
        let _ = simulate(sim, site.address, &mut Saved(frame), &mut Memory);
    }
}

/// Simulates an instruction that reads memory. Returns whether it has taken an exception ([`Excepted`]).
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn run_literal(site: &Site, frame: &mut Frame) -> bool {
    let How::Simulated(sim) = site.how else { return false };
    let cpu = debug::this();
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

/// What the watchpoints on a literal have come to. With the owners of the probed context's step.
enum Read {
    /// The instruction is to be simulated.
    Go(Owners),
    /// A handler has moved PC: it is not.
    Moved(Owners),
}

/// Before an instruction that reads memory is simulated: the watchpoints that it would have hit are (K1, X1), as by the exception that
/// comes before the access. Their handlers find the probed context in the frame. Slots are not suspended, since the read that is to be
/// stepped over is the engine's own, with D masked.
#[inline(always)]
fn reads(cpu: &CpuDebug, site: &Site, sim: Sim, frame: &mut Frame, owners: Owners) -> Read {
    match sim.literal(site.address) {
        Some(literal) if !frame.masks().contains(Daif::D) => watched(cpu, (literal, sim), frame, owners),
        _ => Read::Go(owners),
    }
}

#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn watched(cpu: &CpuDebug, (literal, sim): (u64, Sim), frame: &mut Frame, owners: Owners) -> Read {
    let bytes = literal_bytes(sim);
    let hits = slots::touched(cpu, literal, bytes, false);
    if hits.is_empty() || faults(sim, literal, bytes) {
        return Read::Go(owners);
    }
    // A debugger's stop may end the plan that is under way; a step-over is the instruction's own, and waits.
    let waiting = owners & Owners::STEP_OVER;
    cpu.set_owners(cpu.owners.get() | (owners - Owners::STEP_OVER));
    let pc = frame.pc;
    debug::hit::simulated(cpu, frame, hits);
    let owners = cpu.owners.get() | waiting;
    cpu.set_owners(Owners::empty());
    if frame.pc == pc { Read::Go(owners) } else { Read::Moved(owners) }
}

/// Whether the read takes another exception, which comes before that of a watchpoint (DDI 0487 D1.3.5.3).
#[inline(always)]
fn faults(sim: Sim, literal: u64, bytes: u64) -> bool {
    matches!(sim, Sim::LoadVector { .. }) && simd::trapped()
        || uaccess::read_u32(literal).is_err()
        || uaccess::read_u32(literal + bytes - 4).is_err()
}

/// Bytes that the instruction reads.
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

/// Simulates the site's instruction. `owners` are those of the probed context's step.
#[inline(always)]
fn simulated(
    cpu: &CpuDebug,
    site: &Site,
    sim: Sim,
    frame: &mut Frame,
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

/// The probed context's registers, for simulation.
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

/// Kernel memory, for literals.
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
