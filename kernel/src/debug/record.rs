//! What a trace records of exceptions. Nothing here runs unless the kernel traces.

use super::control::Masked;
use super::cpu::MaskedCpu;
use crate::arch::{daif, mdscr};
use crate::exception::Frame;
use crate::exception::brk::{self, Use};
use crate::exception::frame::ec;
use crate::percpu::PerCpu;
use crate::trace;
use ::trace::{Class, Kind, Record, Side};
use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use rules::pstate::{Daif, SPSR_SS};
use rules::step::Owners;
use rules::table::RowId;

/// What an exception has found, from [`found`] to the record of its entry. All exceptions are masked meanwhile.
#[unsafe(link_section = ".noprobe.data")]
static FOUND: PerCpu<Cell<Option<Side>>> = crate::per_cpu!(Cell::new(None));

/// The number of the thread that each CPU runs.
#[unsafe(link_section = ".noprobe.data")]
static THREAD: PerCpu<AtomicU32> = crate::per_cpu!(AtomicU32::new(0));

/// Remembers what the exception has found, before anything is set aside or MDSCR_EL1 is written. D is masked.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn found(cpu: &MaskedCpu, frame: &Frame) {
    let found = FOUND.this();
    if found.get().is_none() {
        found.set(Some(context(frame, cpu.owners.get(), mdscr_ss())));
    }
}

#[inline(always)]
fn mdscr_ss() -> bool {
    mdscr::read() & mdscr::SS != 0
}

#[inline(always)]
fn class(row: RowId, frame: &Frame) -> Class {
    match row {
        RowId::M5 | RowId::M8 => Class::Irq,
        RowId::M9 | RowId::M16 => Class::Nmi,
        RowId::M3 => Class::Brk,
        RowId::M11 | RowId::M12 | RowId::M12b | RowId::M14 => class_of_brk(frame),
        RowId::M7 => Class::Fatal,
        RowId::M1 | RowId::M13 => Class::None,
        _ => match frame.class() {
            ec::SVC64 => Class::Svc,
            ec::STEP_SAME | ec::STEP_LOWER => Class::Step,
            ec::BREAKPOINT_SAME | ec::BREAKPOINT_LOWER => Class::Breakpoint,
            ec::WATCHPOINT_SAME | ec::WATCHPOINT_LOWER => Class::Watchpoint,
            _ => Class::Fault,
        },
    }
}

/// The class of a BRK at EL1. An optimised probe's trampoline takes no exception, and leaves ESR 0 in the frame.
#[inline(always)]
fn class_of_brk(frame: &Frame) -> Class {
    match brk::lookup(frame.esr) {
        Some(Use::OutOfLineEnd) => Class::OutOfLineEnd,
        Some(Use::ReturnProbe) => Class::ReturnProbe,
        Some(Use::Debugger) => Class::Debugger,
        Some(Use::Step) => Class::Session,
        Some(Use::Assertion) => Class::Assertion,
        Some(Use::Empty) => Class::Empty,
        Some(Use::Kprobe | Use::Trampoline) | None => Class::Probe,
    }
}

/// The context of `frame`, with what the CPU has for it.
#[inline(always)]
fn context(frame: &Frame, owners: Owners, mdscr_ss: bool) -> Side {
    Side { masks: frame.masks(), ss: frame.pstate & SPSR_SS != 0, mdscr_ss, owners }
}

/// The code that runs, with what the CPU has.
#[inline(always)]
fn running(cpu: &MaskedCpu) -> Side {
    Side { masks: daif::read(), ss: false, mdscr_ss: mdscr_ss(), owners: cpu.owners.get() }
}

#[inline(always)]
fn record(cpu: &MaskedCpu, frame: &Frame, kind: Kind, row: RowId, before: Side, after: Side) -> Record {
    Record {
        time: 0,
        cpu: 0,
        kind,
        class: class(row, frame),
        row,
        el0: frame.is_of_el0(),
        depth: cpu.depth.get() as u8,
        stash: cpu.stash_len.get() as u8,
        thread: THREAD.this().load(Relaxed),
        before,
        after,
        pc: frame.pc,
        far: frame.far,
        sp: frame.sp,
        esr: frame.esr as u32,
    }
}

/// What the exception of `frame` has found: what [`found`] remembers, or what the CPU still has.
#[inline(always)]
fn interrupted(cpu: &MaskedCpu, frame: &Frame) -> Side {
    FOUND.this().take().unwrap_or_else(|| context(frame, cpu.owners.get(), mdscr_ss()))
}

/// Writes the record of an entry, or of the second phase of M4, behind which the masks are to be `masks`. What was to be set aside is. If exceptions are to be
/// opened, MDSCR_EL1 holds what it is to hold then; else its debt may not be paid yet. All exceptions are masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn enters(cpu: &MaskedCpu, frame: &Frame, row: RowId, kind: Kind, masks: Daif) -> trace::Begun {
    let before = interrupted(cpu, frame);
    trace::begin(record(cpu, frame, kind, row, before, Side { masks, ..running(cpu) }))
}

/// Records an interrupt that was not to be acknowledged. All exceptions are masked.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn spurious(cpu: &MaskedCpu, frame: &Frame, row: RowId) {
    let before = interrupted(cpu, frame);
    let whole = record(cpu, frame, Kind::Entry, row, before, running(cpu));
    trace::begin(Record { class: Class::Spurious, ..whole }).finish(whole.after.masks);
}

/// Records an exit. `before` is from [`leaves`]; all exceptions are masked, and MDSCR_EL1 is as it stays.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn left(cpu: &MaskedCpu, frame: &Frame, row: RowId, before: Side) {
    let after = context(frame, cpu.owners.get(), mdscr_ss());
    trace::begin(record(cpu, frame, Kind::Exit, row, before, after)).finish(after.masks);
}

/// The way out of a handler, before what it has set aside is put back. All exceptions are masked.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn leaves(cpu: &MaskedCpu) -> Side {
    running(cpu)
}

/// Says which thread this CPU runs, before the first switch. Called when the CPU is brought up.
pub fn runs(thread: u32) {
    THREAD.this().store(thread, Relaxed);
}

/// Records that the CPU goes on with the thread that has the number `to`. `saved` are the owners that were saved with the thread that is left. I is
/// masked.
#[cold]
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn switches(to: u32, saved: Owners, ended: bool) {
    let masks = daif::read();
    let masked = Masked::new();
    let now = running(masked.cpu());
    let thread = THREAD.this();
    let none = Frame::zeroed();
    let whole = record(
        masked.cpu(),
        &none,
        Kind::Switch,
        RowId::M13,
        Side { masks, owners: saved, ..now },
        Side { masks, ..now },
    );
    trace::begin(Record { el0: ended, far: to.into(), ..whole }).finish(masks);
    thread.store(to, Relaxed);
}

/// Says in a trace that the caller, a test, changes debug registers, or the masks in a frame, behind the kernel's back. Any context.
pub fn foreign() {
    if trace::is_on() {
        let masks = daif::read();
        let masked = Masked::new();
        let side = Side { masks, ..running(masked.cpu()) };
        let whole = record(masked.cpu(), &Frame::zeroed(), Kind::Foreign, RowId::M13, side, side);
        trace::begin(Record { el0: false, ..whole }).finish(masks);
    }
}
