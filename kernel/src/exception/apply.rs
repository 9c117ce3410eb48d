//! The table, applied: what an exception from EL1 does to the masks and to MDSCR_EL1.SS, and what its return does.
//!
//! `enter` comes right after the snapshot, `leave` last before the assembly's exit. In release builds every `match` on a cell
//! is decided at compile time. In checked builds both compare the machine with the table and end in a panic that names the
//! rule when they differ.

use super::frame::Frame;
use super::live;
use crate::arch::daif;
use crate::debug::{self, CpuDebug, control, step};
#[cfg(debug_assertions)]
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use rules::step::Owners;
use rules::table::{Masks, RowId, Ss};

/// M13 as the constant that `apply` is generic over.
const M13: u8 = RowId::M13 as u8;

/// What an entry set aside of the interrupted context, for `leave` to put back.
#[must_use]
#[derive(Clone, Copy)]
pub struct Aside {
    /// It is on this CPU's stash (M8, M9).
    stashed: bool,
    /// Owners parked (M12).
    pub parked: Owners,
}

impl Aside {
    /// Nothing.
    pub const NOTHING: Self = Self { stashed: false, parked: Owners::empty() };
}

/// The MDSCR_EL1.SS column: deals with the owners of the interrupted context. D is masked.
#[inline(always)]
pub fn set_aside<const ROW: u8>(cpu: &CpuDebug, frame: &mut Frame) -> Aside {
    let mut owners = cpu.owners.get();
    if owners.is_empty() {
        return Aside::NOTHING;
    }
    if owners.contains(Owners::RUNS_FREE) && ROW != RowId::M10 as u8 && ROW != RowId::M14 as u8 {
        let interrupt = ROW == RowId::M8 as u8 || ROW == RowId::M9 as u8;
        owners = step::end_free_run(cpu, frame, interrupt);
        if owners.is_empty() {
            return Aside::NOTHING;
        }
    }
    match live::ss::<ROW>() {
        Ss::Unsaid | Ss::Keep | Ss::Decide | Ss::Compute | Ss::ClearThenSet => Aside::NOTHING,
        Ss::Clear => {
            step::drop_owners(cpu, frame);
            Aside::NOTHING
        }
        Ss::Stash => {
            step::stash(cpu);
            Aside { stashed: true, ..Aside::NOTHING }
        }
        Ss::CompleteStepOver => {
            step::complete_in_software(cpu, frame);
            Aside::NOTHING
        }
        Ss::Park => {
            cpu.set_owners(Owners::empty());
            Aside { parked: owners, ..Aside::NOTHING }
        }
    }
}

/// The masks column: opens what the row opens, once MDSCR_EL1 agrees with the owners that are left.
#[inline(always)]
pub fn open<const ROW: u8>(cpu: &CpuDebug, frame: &Frame) {
    match live::masks::<ROW>() {
        Masks::Unsaid | Masks::Masked | Masks::MaskedThenOpen => {}
        Masks::UnmaskAll => {
            control::sync(cpu);
            daif::clear::<{ daif::ALL }>();
        }
        Masks::UnmaskDebugAndError => {
            control::sync(cpu);
            daif::clear::<{ daif::DA }>();
        }
        Masks::Inherit => {
            control::sync(cpu);
            daif::write(frame.masks());
        }
    }
    // Not at the end: what is checked here ends there.
    #[cfg(debug_assertions)]
    if ROW != RowId::M7 as u8 {
        check_entry(live::id(ROW), live::masks::<ROW>(), cpu, frame);
    }
}

/// Both columns.
#[inline(always)]
pub fn enter<const ROW: u8>(cpu: &CpuDebug, frame: &mut Frame) -> Aside {
    let aside = set_aside::<ROW>(cpu, frame);
    open::<ROW>(cpu, frame);
    aside
}

/// M13: masks, puts back what `ROW` set aside, computes MDSCR_EL1.SS for the context that is returned to. `cpu` is the one that
/// the handler began on.
#[inline(always)]
pub fn leave<const ROW: u8>(cpu: &CpuDebug, frame: &mut Frame, aside: Aside) {
    #[cfg(debug_assertions)]
    check_exit(live::id(ROW), live::masks::<ROW>());
    if !matches!(live::masks::<ROW>(), Masks::Masked) && matches!(live::masks::<M13>(), Masks::Masked) {
        daif::set::<{ daif::ALL }>();
    }
    // Where I was open the handler may have been switched away, and gone on elsewhere (rule I10).
    let cpu = match live::masks::<ROW>() {
        Masks::Inherit | Masks::UnmaskAll | Masks::MaskedThenOpen => debug::this(),
        Masks::Unsaid | Masks::Masked | Masks::UnmaskDebugAndError => cpu,
    };
    if (ROW == RowId::M8 as u8 || ROW == RowId::M9 as u8) && !cpu.owners.get().is_empty() {
        step::end_of_context(cpu);
    }
    resume(cpu, frame, aside);
}

/// M13 for a handler that opened nothing: D, A, I, F are masked.
#[inline(always)]
pub fn resume(cpu: &CpuDebug, frame: &mut Frame, aside: Aside) {
    put_back(cpu, frame, aside);
    match live::ss::<M13>() {
        Ss::Compute => control::sync_for_return(cpu),
        Ss::Clear => control::clear_ss(cpu),
        _ => {}
    }
    #[cfg(debug_assertions)]
    check_return(frame);
}

/// Undoes `set_aside`. D is masked.
#[inline(always)]
pub fn put_back(cpu: &CpuDebug, frame: &mut Frame, aside: Aside) {
    if aside.stashed {
        step::unstash(cpu, frame);
    }
    if !aside.parked.is_empty() {
        cpu.set_owners(cpu.owners.get() | aside.parked);
    }
}

/// Ends the kernel: a rule does not hold. Once: on the way there probes are hit, and what does not hold there either is not
/// looked at any more.
#[cfg(debug_assertions)]
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn violated(rule: &str, what: &str) {
    if !VIOLATED.swap(true, Relaxed) {
        panic!("rule {rule} violated: {what}")
    }
}

#[cfg(debug_assertions)]
#[unsafe(link_section = ".noprobe.data")]
static VIOLATED: AtomicBool = AtomicBool::new(false);

/// The masks and SS of a handler's start are those of the table.
#[cfg(debug_assertions)]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn check_entry(id: RowId, masks: Masks, cpu: &CpuDebug, frame: &Frame) {
    let real = daif::read();
    if masks.apply(frame.masks()).is_some_and(|wanted| wanted != real) {
        violated(id.name(), "the handler's masks are not the table's");
    }
    // Most handlers run with everything masked, and every write of the masks is a detour on an emulator.
    let _masked = (real != rules::pstate::Daif::all()).then(daif::AllMasked::new);
    if !cpu.is_in_mdscr(crate::arch::mdscr::read()) {
        violated(id.name(), "MDSCR_EL1 is not what was written there last");
    }
    check_i2(real);
}

/// With D open, SS is what this context's owners ask for.
#[cfg(debug_assertions)]
#[inline(always)]
fn check_i2(real: rules::pstate::Daif) {
    if real.contains(rules::pstate::Daif::D) {
        return;
    }
    // A slot forced on what is compared here would show it in the middle of its own step-over.
    let _masked = daif::AllMasked::new();
    let ss = crate::arch::mdscr::read() & crate::arch::mdscr::SS != 0;
    if ss != rules::step::mdscr_ss(debug::this().owners.get()) {
        violated("I2", "D is open with an MDSCR_EL1.SS that no owner of this context asked for");
    }
}

/// The handler left the masks as it found them.
#[cfg(debug_assertions)]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn check_exit(id: RowId, masks: Masks) {
    let real = daif::read();
    check_i2(real);
    // Inherit: the handler may have changed the frame's masks, so the start's are gone; I1 is what is left to check.
    let wrong = match masks {
        Masks::Inherit => !real.holds_i1(),
        _ => masks.apply(real).is_some_and(|wanted| wanted != real),
    };
    if wrong {
        violated(id.name(), "the handler ended with other masks than the table's");
    }
}

/// Nothing can be taken between loading ELR and ERET, and what is returned to keeps I1.
#[cfg(debug_assertions)]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn check_return(frame: &Frame) {
    if daif::read() != rules::pstate::Daif::all() {
        violated("I3", "the return path runs with exceptions open");
    }
    if !frame.masks().holds_i1() {
        violated("I1", "returning to a context with D masked and I open");
    }
}
