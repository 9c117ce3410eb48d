//! What happens at a hit. Debug context throughout: no lock, no allocation, no waiting.

use super::{How, Kprobe, Then, table};
use crate::arch::uaccess::{self, Fault};
use crate::debug::{CpuDebug, step};
use crate::exception::{Frame, Reason, fatal};
use crate::percpu::PerCpu;
use core::cell::Cell;
use core::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use probe::{Mem, Regs, simulate};
use rules::pstate::Daif;
use rules::step::Owners;

/// Levels whose handlers run; deeper hits are `missed` (rule K5).
pub const HANDLER_DEPTH: usize = 4;
/// Levels there are: a missed hit needs one too while its instruction runs.
const LEVELS: usize = 8;

/// One probe that is being dealt with.
struct Level {
    probe: AtomicPtr<Kprobe>,
    /// I and F of the probed context.
    masks: Cell<u64>,
    /// Owners of the probed context's step.
    parked: Cell<Owners>,
    /// Whether its handlers run.
    missed: Cell<bool>,
}

/// A CPU's levels. `len` and `probe` are read by CPUs that wait for a removal.
struct Levels {
    len: AtomicUsize,
    levels: [Level; LEVELS],
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.data")]
static PROBE_LEVELS: PerCpu<Levels> = crate::per_cpu!(Levels {
    len: AtomicUsize::new(0),
    levels: [const {
        Level {
            probe: AtomicPtr::new(core::ptr::null_mut()),
            masks: Cell::new(0),
            parked: Cell::new(Owners::empty()),
            missed: Cell::new(false),
        }
    }; LEVELS],
});

impl Levels {
    #[inline(always)]
    fn active(&self, probe: &Kprobe) -> bool {
        let len = self.len.load(Acquire).min(LEVELS);
        self.levels[..len].iter().any(|level| core::ptr::eq(level.probe.load(Relaxed), probe))
    }

    #[inline(always)]
    fn push(&self, probe: &'static Kprobe, missed: bool) -> Option<&Level> {
        let len = self.len.load(Relaxed);
        let level = self.levels.get(len)?;
        level.probe.store(core::ptr::from_ref(probe).cast_mut(), Relaxed);
        level.missed.set(missed);
        self.len.store(len + 1, Release);
        Some(level)
    }

    #[inline(always)]
    fn top(&self) -> Option<(&Level, &'static Kprobe)> {
        let level = self.levels.get(self.len.load(Relaxed).checked_sub(1)?)?;
        // SAFETY: a probe in a level is alive: its removal waits for the level to go.
        Some((level, unsafe { &*level.probe.load(Relaxed) }))
    }

    #[inline(always)]
    fn pop(&self) {
        let len = self.len.load(Relaxed);
        self.len.store(len - 1, Release);
    }
}

/// Whether any CPU deals with this probe. Any context.
pub fn is_active_anywhere(probe: &Kprobe) -> bool {
    (0..crate::percpu::MAX_CPUS).any(|cpu| {
        // SAFETY: `active` reads atomics only.
        unsafe { PROBE_LEVELS.of_unchecked(cpu) }.active(probe)
    })
}

/// A probe's BRK.
#[inline(always)]
pub fn hit(cpu: &CpuDebug, frame: &mut Frame, parked: Owners) -> Owners {
    let Some(probe) = table::find(frame.pc) else {
        gone(frame);
        return parked;
    };
    let levels = PROBE_LEVELS.this();
    let missed = levels.len.load(Relaxed) >= HANDLER_DEPTH || levels.active(probe);
    let counter = if missed { &probe.missed } else { &probe.hits };
    counter.fetch_add(1, Relaxed);
    let Some(level) = levels.push(probe, missed) else { fatal(frame, "K5", Reason::ProbesTooDeep) };
    if !missed
        && let Some(pre) = probe.pre
        && pre(probe, frame) == Then::Skip
    {
        let pc = frame.pc;
        frame.move_to(pc);
        levels.pop();
        return parked;
    }
    let parked = if cpu.owners.get().is_empty() { parked } else { asked_for(cpu, parked) };
    match probe.how {
        How::OutOfLine(slot) => {
            // K8: I and F masked, D as it is. The owners wait until the instruction is done (M12).
            level.masks.set(frame.pstate & (Daif::I | Daif::F).bits());
            frame.pstate |= (Daif::I | Daif::F).bits();
            frame.pc = slot;
            level.parked.set(parked);
            Owners::empty()
        }
        How::Simulated(sim) => {
            if simulate(sim, probe.address, &mut Saved(frame), &mut Memory).is_err() {
                // The literal cannot be read: the instruction's own fault, which it takes when it runs.
                levels.pop();
                fatal(frame, "K7", Reason::Fault);
            }
            let pc = frame.pc;
            frame.move_to(pc);
            if !missed && let Some(post) = probe.post {
                post(probe, frame);
            }
            levels.pop();
            behind(cpu, frame, parked)
        }
    }
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
fn behind(cpu: &CpuDebug, frame: &mut Frame, owners: Owners) -> Owners {
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

/// The BRK at the end of an out-of-line copy.
#[inline(always)]
pub fn out_of_line_end(cpu: &CpuDebug, frame: &mut Frame, parked: Owners) -> Owners {
    let levels = PROBE_LEVELS.this();
    let Some((level, probe)) = levels.top().filter(|(_, probe)| ends_at(probe, frame.pc)) else {
        fatal(frame, "M7", Reason::UnknownBrk)
    };
    frame.pstate = frame.pstate & !(Daif::I | Daif::F).bits() | level.masks.get();
    // Behind the probed instruction, a step that is still asked for is due at once (M13).
    frame.move_to(probe.address + 4);
    if !level.missed.get()
        && let Some(post) = probe.post
    {
        post(probe, frame);
    }
    let waiting = level.parked.get();
    levels.pop();
    behind(cpu, frame, waiting | parked)
}

#[inline(always)]
fn ends_at(probe: &Kprobe, pc: u64) -> bool {
    matches!(probe.how, How::OutOfLine(slot) if slot + 4 == pc)
}

/// K7: a fault at a copy becomes the probed instruction's, in the probed context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn fault_in_copy(cpu: &CpuDebug, frame: &mut Frame) {
    let levels = PROBE_LEVELS.this();
    let Some((level, probe)) = levels.top() else { return };
    if !matches!(probe.how, How::OutOfLine(slot) if slot == frame.pc) {
        return;
    }
    frame.pc = probe.address;
    frame.pstate = frame.pstate & !(Daif::I | Daif::F).bits() | level.masks.get();
    cpu.set_owners(cpu.owners.get() | level.parked.get());
    levels.pop();
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
}

/// Kernel memory, for literals.
struct Memory;

impl Mem for Memory {
    type Error = Fault;

    fn read_u32(&mut self, address: u64) -> Result<u32, Fault> {
        uaccess::read_u32(address)
    }

    fn read_u64(&mut self, address: u64) -> Result<u64, Fault> {
        Ok(uaccess::read_u32(address)? as u64 | (uaccess::read_u32(address + 4)? as u64) << 32)
    }
}

/// Probes that this CPU deals with now, one inside the other (rule I5). Any context.
pub fn depth() -> usize {
    PROBE_LEVELS.this().len.load(Relaxed)
}
