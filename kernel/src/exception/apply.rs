//! Applies the rule table: what an exception from EL1 does to the masks and to MDSCR_EL1.SS, and what the return from it does.
//!
//! `enter` runs right after the snapshot, `leave` right before the exit in assembly. In release builds every `match` on a cell is
//! decided at compile time. In checked builds both functions compare the machine with the table; if the two differ, they panic and
//! name the rule.

use super::frame::Frame;
use super::live;
use super::study;
use crate::arch::daif;
use crate::debug::{self, MaskedCpu, control, record, step, task};
use crate::trace;
use ::trace::Kind;
#[cfg(debug_assertions)]
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::{Masks, RowId, Ss};

/// M1 and M13 as the constants that `apply` is generic over.
const M1: u8 = RowId::M1 as u8;
const M13: u8 = RowId::M13 as u8;

/// What an entry set aside of the interrupted context, for `leave` to put back.
#[must_use]
#[derive(Clone, Copy)]
pub struct Aside {
    /// Whether the debug state of the context is on this CPU's stash (M8, M9).
    stashed: bool,
    /// The owners that wait until the displaced instruction has run (M12).
    pub parked: Owners,
}

impl Aside {
    /// The entry has set nothing aside.
    pub const NOTHING: Self = Self { stashed: false, parked: Owners::empty() };
}

/// Does what the column MDSCR_EL1.SS of the row says with the owners of the interrupted context. D is masked.
#[inline(always)]
pub fn set_aside<const ROW: u8>(cpu: &MaskedCpu, frame: &mut Frame) -> Aside {
    let mut owners = cpu.owners.get();
    if owners.is_empty() {
        return Aside::NOTHING;
    }
    if trace::is_on() {
        record::found(cpu, frame);
    }
    study::entered::<ROW>(frame);
    if owners.contains(Owners::RUNS_FREE) && ROW != RowId::M10 as u8 && ROW != RowId::M14 as u8 {
        let interrupt = ROW == RowId::M8 as u8 || ROW == RowId::M9 as u8;
        owners = step::end_free_run(cpu, frame, interrupt);
        if owners.is_empty() {
            return Aside::NOTHING;
        }
    }
    match live::ss::<ROW>() {
        Ss::Unsaid | Ss::Keep | Ss::Decide | Ss::Compute | Ss::ClearThenSet => {
            study::left_live::<ROW>(cpu);
            Aside::NOTHING
        }
        Ss::Clear => {
            step::drop_owners(cpu, frame);
            Aside::NOTHING
        }
        Ss::Stash if !study::stashes(frame) => {
            study::left_live::<ROW>(cpu);
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

/// As [`set_aside`], at the entry from EL0 (M1): `by` says what has brought the program into the kernel. D is masked; MDSCR_EL1 is owed.
#[inline(always)]
pub fn set_aside_of_task<const ROW: u8>(cpu: &MaskedCpu, frame: &mut Frame, by: task::By) {
    if cpu.owners.get().is_empty() {
        return;
    }
    if trace::is_on() {
        record::found(cpu, frame);
    }
    match live::ss::<ROW>() {
        Ss::ClearThenSet | Ss::Stash => task::take(cpu, frame, by),
        Ss::Clear => step::drop_owners(cpu, frame),
        Ss::Unsaid | Ss::Keep | Ss::Decide | Ss::Compute | Ss::CompleteStepOver | Ss::Park => {}
    }
}

/// Does what the masks column of the row says where its first part, which runs masked, is over: opens exceptions.
#[inline(always)]
pub fn open_later<const ROW: u8>(cpu: &MaskedCpu, frame: &Frame) {
    if trace::is_on() {
        return open_later_traced::<ROW>(cpu, frame);
    }
    open_later_untraced::<ROW>(cpu);
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn open_later_traced<const ROW: u8>(cpu: &MaskedCpu, frame: &Frame) {
    record::found(cpu, frame);
    control::sync(cpu);
    let begun = record::enters(cpu, frame, live::id(ROW), Kind::Open, Daif::empty());
    open_later_untraced::<ROW>(cpu);
    begun.finish(daif::read());
}

#[inline(always)]
fn open_later_untraced<const ROW: u8>(cpu: &MaskedCpu) {
    if matches!(live::masks::<ROW>(), Masks::MaskedThenOpen) {
        control::sync(cpu);
        daif::clear::<{ daif::ALL }>();
    }
}

/// Does what the masks column of the row says: opens exceptions, after MDSCR_EL1 was brought into line with the owners that are
/// left.
#[inline(always)]
pub fn open<const ROW: u8>(cpu: &MaskedCpu, frame: &Frame) {
    if trace::is_on() {
        return open_traced::<ROW>(cpu, frame);
    }
    open_untraced::<ROW>(cpu, frame);
}

/// As [`open`], for a handler that is made twice: with `TRACED` for a kernel that traces, and without.
#[inline(always)]
pub fn open_as<const ROW: u8, const TRACED: bool>(cpu: &MaskedCpu, frame: &Frame) {
    if TRACED {
        open_traced::<ROW>(cpu, frame);
    } else {
        open_untraced::<ROW>(cpu, frame);
    }
}

/// As [`open`], with a record, which is written before exceptions are opened: those that come then are recorded behind it.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn open_traced<const ROW: u8>(cpu: &MaskedCpu, frame: &Frame) {
    record::found(cpu, frame);
    if !matches!(live::masks::<ROW>(), Masks::Unsaid | Masks::Masked | Masks::MaskedThenOpen) {
        control::sync(cpu);
    }
    let wanted = live::masks::<ROW>().apply(frame.masks()).unwrap_or_else(daif::read);
    let begun = record::enters(cpu, frame, live::id(ROW), Kind::Entry, wanted);
    open_untraced::<ROW>(cpu, frame);
    begun.finish(daif::read());
}

/// Says, for a trace, that the entry of this row was no more than an entry: there is no interrupt to be acknowledged. All exceptions are masked.
#[inline(always)]
pub fn open_nothing<const ROW: u8>(cpu: &MaskedCpu, frame: &Frame) {
    if trace::is_on() {
        record::spurious(cpu, frame, live::id(ROW));
    }
}

#[inline(always)]
fn open_untraced<const ROW: u8>(cpu: &MaskedCpu, frame: &Frame) {
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
    // Row M7 ends the kernel, which a violated rule does too: nothing is checked on that way.
    #[cfg(debug_assertions)]
    if ROW != RowId::M7 as u8 {
        check_entry(live::id(ROW), live::masks::<ROW>(), frame);
    }
}

/// As [`open`], at the entry from EL0, if the task has no owners. The return to EL0 has paid the debt ([`go_on_at_el0`]), and nothing has run
/// on this CPU since, so nothing is owed.
#[inline(always)]
pub fn open_at_once<const ROW: u8, const TRACED: bool>(cpu: &MaskedCpu, frame: &Frame) {
    if TRACED {
        return open_traced::<ROW>(cpu, frame);
    }
    // In checked builds a changed row M13 may have left a debt.
    if cfg!(not(debug_assertions)) && matches!(live::masks::<ROW>(), Masks::UnmaskAll) {
        daif::clear::<{ daif::ALL }>();
    } else {
        open_untraced::<ROW>(cpu, frame);
    }
}

/// Applies both columns of the row at the entry of a handler.
#[inline(always)]
pub fn enter<const ROW: u8>(cpu: &MaskedCpu, frame: &mut Frame) -> Aside {
    let aside = set_aside::<ROW>(cpu, frame);
    open::<ROW>(cpu, frame);
    aside
}

/// The return from a handler (M13): masks exceptions, puts back what `ROW` has set aside, and computes MDSCR_EL1.SS for the context
/// that is returned to. `cpu` is the CPU on which the handler has begun.
#[inline(always)]
pub fn leave<const ROW: u8>(cpu: &MaskedCpu, frame: &mut Frame, aside: Aside) {
    #[cfg(debug_assertions)]
    check_exit(live::id(ROW), live::masks::<ROW>());
    if !matches!(live::masks::<ROW>(), Masks::Masked) && matches!(live::masks::<M13>(), Masks::Masked) {
        daif::set::<{ daif::ALL }>();
    }
    // If I was open, the handler may have been switched away and may have continued on another CPU (rule I10).
    let cpu = match live::masks::<ROW>() {
        // SAFETY: D is masked, and stays so until the exception return.
        Masks::Inherit | Masks::UnmaskAll | Masks::MaskedThenOpen => unsafe { debug::masked() },
        Masks::Unsaid | Masks::Masked | Masks::UnmaskDebugAndError => cpu,
    };
    if (ROW == RowId::M8 as u8 || ROW == RowId::M9 as u8) && !cpu.owners.get().is_empty() {
        step::end_of_context(cpu);
    }
    resume::<ROW>(cpu, frame, aside);
}

/// The return from a handler of `ROW` (M13) that has opened no exceptions: D, A, I, F are masked already.
#[inline(always)]
pub fn resume<const ROW: u8>(cpu: &MaskedCpu, frame: &mut Frame, aside: Aside) {
    if trace::is_on() {
        return resume_traced::<ROW>(cpu, frame, aside);
    }
    resume_untraced(cpu, frame, aside);
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn resume_traced<const ROW: u8>(cpu: &MaskedCpu, frame: &mut Frame, aside: Aside) {
    let before = record::leaves(cpu);
    resume_untraced(cpu, frame, aside);
    record::left(cpu, frame, live::id(ROW), before);
}

#[inline(always)]
fn resume_untraced(cpu: &MaskedCpu, frame: &mut Frame, aside: Aside) {
    put_back(cpu, frame, aside);
    study::leaving(cpu, frame);
    match live::ss::<M13>() {
        Ss::Compute => control::sync_for_return(cpu),
        Ss::Clear => control::clear_ss(cpu),
        _ => {}
    }
    #[cfg(debug_assertions)]
    check_return(frame);
}

/// The return to a program (M13): D, A, I, F are masked, and the CPU has no step of EL1. The task's owners become those of the CPU (M1).
#[inline(always)]
pub fn leave_to_el0(cpu: &MaskedCpu, frame: &mut Frame) {
    if !cpu.owners.get().is_empty() {
        step::left_behind(cpu);
    }
    if cpu.has_task() && matches!(live::ss::<M1>(), Ss::ClearThenSet) {
        task::give(cpu, frame);
    }
    go_on_at_el0(cpu, frame);
}

/// As [`leave_to_el0`], if the task's owners have stayed on the CPU: nothing was opened since the entry.
#[inline(always)]
pub fn go_on_at_el0(cpu: &MaskedCpu, frame: &Frame) {
    if trace::is_on() {
        return go_on_traced(cpu, frame);
    }
    go_on_untraced(cpu, frame);
}

/// As [`go_on_at_el0`], for a handler that is made twice: with `TRACED` for a kernel that traces, and without.
#[inline(always)]
pub fn go_on_as<const TRACED: bool>(cpu: &MaskedCpu, frame: &Frame) {
    if TRACED {
        go_on_traced(cpu, frame);
    } else {
        go_on_untraced(cpu, frame);
    }
}

#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn go_on_traced(cpu: &MaskedCpu, frame: &Frame) {
    let before = record::leaves(cpu);
    go_on_untraced(cpu, frame);
    record::left(cpu, frame, RowId::M13, before);
}

#[inline(always)]
fn go_on_untraced(cpu: &MaskedCpu, frame: &Frame) {
    #[cfg(debug_assertions)]
    check_return_to_el0(cpu, frame);
    #[cfg(not(debug_assertions))]
    let _ = frame;
    match live::ss::<M13>() {
        Ss::Compute => control::sync_for_return(cpu),
        Ss::Clear => control::clear_ss(cpu),
        _ => {}
    }
}

/// As [`go_on_at_el0`], if a slot register was written since the entry: the debt is known, and need not be looked for.
#[inline(always)]
pub fn go_on_with_debt<const TRACED: bool>(cpu: &MaskedCpu, frame: &Frame) {
    if TRACED {
        return go_on_traced(cpu, frame);
    }
    #[cfg(debug_assertions)]
    check_return_to_el0(cpu, frame);
    #[cfg(not(debug_assertions))]
    let _ = frame;
    match live::ss::<M13>() {
        Ss::Compute => control::pay_all(cpu),
        Ss::Clear => control::clear_ss(cpu),
        _ => {}
    }
}

/// Puts back what [`set_aside`] has set aside. D is masked.
#[inline(always)]
pub fn put_back(cpu: &MaskedCpu, frame: &mut Frame, aside: Aside) {
    if aside.stashed {
        step::unstash(cpu, frame);
    }
    if !aside.parked.is_empty() {
        cpu.set_owners(cpu.owners.get() | aside.parked);
    }
}

/// Panics because a rule does not hold. Does nothing if it has panicked before: probes are hit on the way to the
/// kernel's end, and checks that fail there must not begin another panic.
#[cfg(debug_assertions)]
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn violated(rule: &str, what: &str) {
    if !VIOLATED.swap(true, Relaxed) {
        panic!("rule {rule} violated: {what}")
    }
}

/// Whether [`violated`] has begun a panic.
#[cfg(debug_assertions)]
#[unsafe(link_section = ".noprobe.data")]
static VIOLATED: AtomicBool = AtomicBool::new(false);

/// Checks that masks and MDSCR_EL1.SS at the start of a handler are as the table says.
#[cfg(debug_assertions)]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn check_entry(id: RowId, masks: Masks, frame: &Frame) {
    let real = daif::read();
    if masks.apply(frame.masks()).is_some_and(|wanted| wanted != real) {
        violated(id.name(), "the handler's masks are not the table's");
    }
    // Most handlers run with everything masked, and every write of the masks is a detour on an emulator.
    let _masked = (real != rules::pstate::Daif::all()).then(daif::AllMasked::new);
    // Where exceptions are open, the thread may have been moved to another CPU since its entry (rule I10).
    // SAFETY: D is masked until `_masked` is dropped, and the reference is not used after that.
    let cpu = unsafe { debug::masked() };
    if !cpu.is_in_mdscr(crate::arch::mdscr::read()) {
        violated(id.name(), "MDSCR_EL1 is not what was written there last");
    }
    check_i2(real);
}

/// Checks rule I2: if D is open, MDSCR_EL1.SS is what the owners of this context ask for.
#[cfg(debug_assertions)]
#[inline(always)]
fn check_i2(real: rules::pstate::Daif) {
    if real.contains(rules::pstate::Daif::D) {
        return;
    }
    // D is masked for the comparison: a slot on the compared data would otherwise be hit here, and its step-over would change both.
    let _masked = daif::AllMasked::new();
    let ss = crate::arch::mdscr::read() & crate::arch::mdscr::SS != 0;
    if ss != rules::step::mdscr_ss(debug::this().owners.get()) {
        violated("I2", "D is open with an MDSCR_EL1.SS that no owner of this context asked for");
    }
}

/// Checks that the handler ends with the masks that it has begun with.
#[cfg(debug_assertions)]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn check_exit(id: RowId, masks: Masks) {
    let real = daif::read();
    check_i2(real);
    // Masks::Inherit: the handler may have changed the masks in the frame, from which those at its start came. Only I1 can be
    // checked.
    let wrong = match masks {
        Masks::Inherit => !real.holds_i1(),
        _ => masks.apply(real).is_some_and(|wanted| wanted != real),
    };
    if wrong {
        violated(id.name(), "the handler ended with other masks than the table's");
    }
}

/// Checks that the kernel is left as a program may find it: no owner of EL1's, no stash, no debug context (I6), and a state of the program
/// that it may have (X3).
#[cfg(debug_assertions)]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
fn check_return_to_el0(cpu: &MaskedCpu, frame: &Frame) {
    if daif::read() != rules::pstate::Daif::all() {
        violated("I3", "the return path runs with exceptions open");
    }
    if cpu.depth.get() != 0 || cpu.stash_len.get() != 0 {
        violated("I6", "a program is returned to from inside a debug context or an interrupt");
    }
    if frame.pstate & rules::pstate::NOT_FOR_EL0 != 0 {
        violated("X3", "a program is returned to with a PSTATE that it must not have");
    }
}

/// Checks that no exception can be taken between loading ELR and ERET (I3), and that the context that is returned to keeps I1.
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
