//! Step, breakpoint and watchpoint exceptions from EL0: the first phase of M4, which runs masked.
//!
//! The first phase only takes from the CPU's debug hardware what has happened: whose step is done, which slots were hit. Hits are counted,
//! and slots that were hit are suspended so that the instruction can run once. If there is nothing to report, the task goes on at once. Else
//! the second phase, in which everything is open, gets a [`Report`]: values, by which it finds what they stand for, or finds that it is gone (T4).

use super::list::Use;
use crate::arch::usercopy;
use crate::debug::cpu::{IN_SEQUENCE, MaskedCpu};
use crate::debug::{control, exclusive, slots, stats};
use crate::exception::{DebugFrame, Frame};
use ::slots::{Kind, SlotMask, WatchHit};
use probe::{is_load_exclusive, is_store_exclusive};
use rules::step::Owners;

/// The most slots of one hit that are reported.
const MOST: usize = 4;

/// What the second phase of M4 deals with.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// These owners' step is done.
    Step(Owners),
    /// Slots were hit.
    Hits(Hits),
}

/// Slots that one instruction has hit.
#[derive(Clone, Copy, Debug)]
pub struct Hits {
    /// What kind of slots.
    pub kind: Kind,
    /// The address that was accessed, or that of the instruction.
    pub address: u64,
    /// The uses of the task's slots that were hit. The task can look them up.
    uses: [Use; MOST],
    /// Set if the instruction is an exclusive, or perhaps in an exclusive sequence, so that it cannot be stepped over (H9).
    pub exclusive: bool,
}

impl Hits {
    /// No hit, at an instruction that is executed by other means.
    pub const fn none(address: u64) -> Self {
        Self { kind: Kind::Breakpoint, address, uses: [Use::NONE; MOST], exclusive: true }
    }

    /// The uses of the slots that are to be reported.
    pub fn reported(&self) -> impl Iterator<Item = Use> + '_ {
        self.uses.iter().copied().filter(|this| this.is_some() && this.is_reported())
    }

    /// Whether a use was hit.
    pub(super) fn contains(&self, this: Use) -> bool {
        self.uses.contains(&this)
    }
}

/// What is counted as the exception of a kind of slots.
const fn exception_of(kind: Kind) -> stats::Counter {
    match kind {
        Kind::Breakpoint => stats::BREAKPOINTS,
        Kind::Watchpoint => stats::WATCHPOINTS,
    }
}

/// A step exception: its owners' steps are done.
#[inline(always)]
pub fn step(cpu: &MaskedCpu) -> Option<Report> {
    stats::STEPS.count();
    let owners = cpu.owners.get();
    if owners == Owners::STEP_OVER && slots::rearm_one(cpu) {
        stats::STEP_OVERS.count();
        cpu.set_owners(Owners::empty());
        return None;
    }
    any_step(cpu, owners)
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn any_step(cpu: &MaskedCpu, owners: Owners) -> Option<Report> {
    if owners.is_empty() {
        stats::SPURIOUS.count();
        control::force(cpu, cpu.wanted() & !crate::arch::mdscr::SS);
        return None;
    }
    if owners.contains(Owners::STEP_OVER) {
        stats::STEP_OVERS.count();
        slots::rearm(cpu);
    }
    cpu.set_owners(Owners::empty());
    let others = owners - Owners::STEP_OVER;
    (!others.is_empty()).then_some(Report::Step(others))
}

/// A breakpoint exception.
#[inline(always)]
pub fn breakpoint(cpu: &MaskedCpu, frame: &mut Frame) -> Option<Report> {
    let hits = slots::breakpoint_hits(cpu, frame.pc);
    hit(cpu, frame, Kind::Breakpoint, hits, frame.pc)
}

/// A watchpoint exception.
#[inline(always)]
pub fn watchpoint(cpu: &MaskedCpu, frame: &mut Frame) -> Option<Report> {
    let iss = frame.esr as u32 & 0x1ff_ffff;
    // The top byte of a program's address is ignored (TCR_EL1.TBI0), and FAR_EL1 may have it.
    let address = frame.far & !(0xff << 56);
    let hit_by = WatchHit::from_syndrome(iss, address, exclusive::zva_block()).by_instruction(word(frame));
    let hits = slots::watchpoint_hits(cpu, &hit_by);
    hit(cpu, frame, Kind::Watchpoint, hits, address)
}

/// The use of slot `n` by the running task; [`Use::NONE`] if the slot is not the task's.
#[inline(always)]
fn use_of(cpu: &MaskedCpu, kind: Kind, n: u8) -> Use {
    // SAFETY: the value is this CPU's, D is masked, and nothing changes it here.
    let armed = unsafe { &*cpu.task_slots.get() };
    armed.uses[kind as usize].get(usize::from(n)).map_or(Use::NONE, |&word| Use::from_word(word))
}

/// The instruction at PC; 0, which is none, if it cannot be read: another thread of the program may just have unmapped it.
#[inline(always)]
fn word(frame: &Frame) -> u32 {
    u32::try_from(usercopy::load_word(frame.pc)).unwrap_or(0)
}

#[inline(always)]
fn hit(cpu: &MaskedCpu, frame: &mut Frame, kind: Kind, hits: SlotMask, address: u64) -> Option<Report> {
    exception_of(kind).count();
    if hits.is_empty() {
        slots::spurious(cpu, kind);
        return None;
    }
    let word = word(frame);
    let exclusive = is_load_exclusive(word)
        || (kind == Kind::Watchpoint && (is_store_exclusive(word) || is_hit_again(cpu, frame.pc)));
    let mut report = Hits { kind, address, uses: [Use::NONE; MOST], exclusive };
    let (mut known, mut reported) = (0, false);
    let mut stays = false;
    for n in hits {
        let this = use_of(cpu, kind, n);
        if !this.is_some() {
            of_kernel(cpu, frame, kind, n);
            continue;
        }
        cpu.hits.count(kind, n);
        if let Some(place) = report.uses.get_mut(known) {
            *place = this;
            known += 1;
        }
        reported |= this.is_reported();
        if this.stops() {
            stays = true;
        } else {
            slots::suspend(cpu, kind, n);
        }
    }
    if !stays || slots::any_suspended_here(cpu) {
        let mut owners = cpu.owners.get();
        if let Ok(pstate) = owners.request(Owners::STEP_OVER, frame.pstate) {
            frame.pstate = pstate;
            cpu.set_owners_at_el0(owners);
        }
    }
    (reported || exclusive).then_some(Report::Hits(report))
}

/// Whether a watchpoint was hit at the same PC several times, one after the other. An ordinary access between two exclusives that hits a
/// watchpoint lets the store-exclusive fail each time, so that the program never gets further. Such an access cannot be told by its
/// word; so the hits number 4, 8, 16 and so on at one PC are looked at.
#[inline(always)]
fn is_hit_again(cpu: &MaskedCpu, pc: u64) -> bool {
    let (last, count) = cpu.repeated.get();
    let count = match (last == pc, count) {
        (true, IN_SEQUENCE) => return true,
        (true, count) => (count + 1) % IN_SEQUENCE,
        (false, _) => 1,
    };
    cpu.repeated.set((pc, count));
    count >= 4 && count.is_power_of_two()
}

/// A slot of the kernel's that matches accesses at EL0: its watcher is told in debug context, as for a hit at EL1.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn of_kernel(cpu: &MaskedCpu, frame: &mut Frame, kind: Kind, n: u8) {
    let Some(record) = slots::suspend_whole(cpu, kind, n) else { return };
    cpu.hits.count(kind, n);
    let depth = cpu.depth.get();
    cpu.depth.set(depth + 1);
    // SAFETY: D, A, I and F are masked in the first phase of M4.
    slots::dispose(unsafe { DebugFrame::of(frame) }, &record);
    cpu.depth.set(depth);
}
