//! M8 and M9: an interrupt that comes while a context is in the middle of a step.

use super::code;
use super::seen::Seen;
use super::signal::{self, Signal};
use super::trace;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, skip, suite};
use kernel::arch::daif;
use kernel::debug::control::Masked;
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::{Hit, Watcher};
use kernel::debug::{self, STASH_DEPTH, stats, step};
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::{self, off::IrqOff};
use kernel::watcher;
use rules::step::{Owners, StepError};

suite!("rule-interrupts":
    m8_masks_in_an_irq_handler,
    m8_irq_in_a_step_over,
    m8_irq_in_a_debuggers_step,
    m8_fiq_in_a_step_over,
    m8_fiq_in_a_debuggers_step,
    m8_a_spurious_irq_in_a_step_over,
    m8_a_spurious_irq_in_a_debuggers_step,
    m8_a_spurious_fiq_in_a_step_over,
    m8_a_spurious_fiq_in_a_debuggers_step,
    m8_the_stash_holds_as_much_as_it_says,
    m9_nmi_in_a_step_over,
    m9_nmi_in_a_debuggers_step,
    m9_nmi_breaks_into_interrupts_off,
    m9_stashes_nest,
    x2_a_handlers_own_step_ends_with_it,
    x2_an_nmi_handlers_own_step_ends_with_it,
    i1_an_interrupt_interrupts_d_open,
);

static IN_HANDLER: Seen = Seen::new();
/// The result of `code::line` when the interrupt's handler called it.
static LINE: AtomicU64 = AtomicU64::new(0);

/// An interrupt's handler that executes the same instruction which the interrupted context is stepping over.
fn runs_the_same_line(frame: &mut Frame) {
    IN_HANDLER.note(frame);
    LINE.store(code::line(), Relaxed);
}

fn prepare(signal: Signal) -> Outcome {
    IN_HANDLER.reset();
    LINE.store(0, Relaxed);
    signal.prepare(runs_the_same_line)?;
    signal::arm(signal);
    Ok(())
}

fn m8_masks_in_an_irq_handler() -> Outcome {
    prepare(Signal::Irq)?;
    Signal::Irq.send();
    kernel::arch::barrier::isb();
    check_eq!(IN_HANDLER.count(), 1);
    let seen = IN_HANDLER.view();
    check_eq!(seen.daif, 0xc0, "I and F masked, D and A open");
    check_eq!((seen.ss, seen.stash, seen.owners, seen.depth), (0, 0, 0, 0));
    check_eq!(seen.interrupted, 0);
    check_eq!(daif::read().bits(), 0);
    Ok(())
}

/// The interrupt is taken after a breakpoint was hit, and before the stepped-over instruction has run.
fn in_a_step_over(signal: Signal, masks: u64, hits: u64) -> Outcome {
    over(signal, watcher!(signal::interrupt), masks, hits)
}

fn over(signal: Signal, interrupt: &'static Watcher, masks: u64, hits: u64) -> Outcome {
    prepare(signal)?;
    let at = code::line_range().start + 4;
    let (overs, cancelled) = (stats::STEP_OVERS.here(), stats::CANCELLED.here());
    let id = signal::breakpoint_in_line(interrupt)?;
    let result = code::line();
    let all = signal::remove(id)?;
    check_eq!(result, 4);
    check_eq!(IN_HANDLER.count(), 1);
    let seen = IN_HANDLER.view();
    check_eq!(seen.pc, at, "taken before the instruction that is stepped over");
    check_eq!(seen.interrupted, 0);
    check_eq!(seen.spsr_ss, 1, "the instruction is still to run");
    check_eq!(seen.daif, masks);
    check_eq!(seen.ss, 0, "MDSCR_EL1.SS in the handler");
    check_eq!((seen.stash, seen.owners, seen.depth), (1, 0, 0));
    check_eq!(LINE.load(Relaxed), 4, "the line run by the handler");
    check_eq!(all, hits, "the handler's own execution is a hit exactly if D is open in it");
    check_eq!(stats::STEP_OVERS.here() - overs, hits);
    check_eq!(stats::CANCELLED.here() - cancelled, 0);
    Ok(())
}

/// The interrupt is taken at the same place while a debugger steps through the line.
fn in_a_debuggers_step(signal: Signal, masks: u64, hits: u64) -> Outcome {
    in_a_trace(signal, watcher!(signal::interrupt), masks, hits)
}

fn in_a_trace(signal: Signal, interrupt: &'static Watcher, masks: u64, hits: u64) -> Outcome {
    prepare(signal)?;
    let line = code::line_range();
    let id = signal::breakpoint_in_line(interrupt)?;
    let mut result = 0;
    let steps = trace::trace(line.clone(), || result = code::line())?;
    let all = signal::remove(id)?;
    check_eq!(result, 4);
    check_eq!((IN_HANDLER.count(), all), (1, hits));
    let seen = IN_HANDLER.view();
    check_eq!(seen.daif, masks);
    check_eq!((seen.pc, seen.spsr_ss), (line.start + 4, 1));
    check_eq!((seen.ss, seen.stash, seen.owners), (0, 1, 0));
    check_eq!(steps.len(), 6, "{steps:x?}");
    let inside: alloc::vec::Vec<_> = steps[..5].iter().map(|pc| pc.wrapping_sub(line.start)).collect();
    check_eq!(inside, [0, 4, 8, 12, 16], "every instruction once, none of the handler's");
    Ok(())
}

fn m8_irq_in_a_step_over() -> Outcome {
    in_a_step_over(Signal::Irq, 0xc0, 2)
}

fn m8_irq_in_a_debuggers_step() -> Outcome {
    in_a_debuggers_step(Signal::Irq, 0xc0, 2)
}

fn m8_fiq_in_a_step_over() -> Outcome {
    in_a_step_over(Signal::Fiq, 0xc0, 2)
}

fn m8_fiq_in_a_debuggers_step() -> Outcome {
    in_a_debuggers_step(Signal::Fiq, 0xc0, 2)
}

/// Like `signal::interrupt`, but when the interrupt is taken for the first time, the acknowledge says that there is no interrupt.
fn interrupt_spuriously(hit: &Hit, frame: &mut DebugFrame) {
    if signal::AT_BREAKPOINT.count() == 0 {
        irq::inject_spurious(1);
    }
    signal::interrupt(hit, frame);
}

/// The step is set aside and put back twice, the first time for nothing. The interrupt, the step and the line's result must be the
/// same as with one interrupt.
fn with_a_spurious_one(test: fn(Signal, &'static Watcher, u64, u64) -> Outcome, signal: Signal) -> Outcome {
    if !irq::inject_spurious(0) {
        skip!("release builds have no way to inject a spurious interrupt");
    }
    let stashes = stats::STASHES.here();
    test(signal, watcher!(interrupt_spuriously), 0xc0, 2)?;
    // A tick in the middle of the step is one more stash.
    check!(stats::STASHES.here() - stashes >= 2, "{} stashes", stats::STASHES.here() - stashes);
    check_eq!(debug::this().stash_len.get(), 0, "entries of the stash left");
    Ok(())
}

fn m8_a_spurious_irq_in_a_step_over() -> Outcome {
    with_a_spurious_one(over, Signal::Irq)
}

fn m8_a_spurious_irq_in_a_debuggers_step() -> Outcome {
    with_a_spurious_one(in_a_trace, Signal::Irq)
}

fn m8_a_spurious_fiq_in_a_step_over() -> Outcome {
    with_a_spurious_one(over, Signal::Fiq)
}

fn m8_a_spurious_fiq_in_a_debuggers_step() -> Outcome {
    with_a_spurious_one(in_a_trace, Signal::Fiq)
}

/// Stashes `STASH_DEPTH` steps, each with another owner than the one before, and takes them back. One step more ends the kernel
/// (`die.one_step_more_than_the_stash_holds`).
fn m8_the_stash_holds_as_much_as_it_says() -> Outcome {
    const OWNERS: [Owners; 3] = [Owners::DEBUGGER, Owners::TRACER, Owners::UPROBE];
    let masked = Masked::new();
    let cpu = masked.cpu();
    for n in 0..STASH_DEPTH {
        cpu.set_owners(OWNERS[n % 3]);
        step::stash(cpu);
    }
    let full = (cpu.stash_len.get(), cpu.owners.get());
    let mut frame = Frame::zeroed();
    let mut taken = [Owners::empty(); STASH_DEPTH];
    for owners in taken.iter_mut().rev() {
        step::unstash(cpu, &mut frame);
        *owners = cpu.owners.get();
        cpu.set_owners(Owners::empty());
    }
    check_eq!(full, (STASH_DEPTH, Owners::empty()));
    check_eq!(taken, core::array::from_fn(|n| OWNERS[n % 3]));
    check_eq!(cpu.stash_len.get(), 0);
    Ok(())
}

fn m9_nmi_in_a_step_over() -> Outcome {
    in_a_step_over(Signal::Nmi, 0x3c0, 1)
}

fn m9_nmi_in_a_debuggers_step() -> Outcome {
    in_a_debuggers_step(Signal::Nmi, 0x3c0, 1)
}

fn m9_nmi_breaks_into_interrupts_off() -> Outcome {
    static ORDINARY: Seen = Seen::new();
    fn ordinary(frame: &mut Frame) {
        ORDINARY.note(frame);
    }
    prepare(Signal::Nmi)?;
    ORDINARY.reset();
    Signal::Irq.prepare(ordinary)?;
    let off = IrqOff::new();
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    Signal::Irq.send();
    let result = code::line();
    let during = (IN_HANDLER.count(), ORDINARY.count());
    drop(off);
    kernel::arch::barrier::isb();
    let hits = signal::remove(id)?;
    check_eq!((result, hits), (4, 1));
    check_eq!(during, (1, 0), "the NMI is taken, the ordinary interrupt is held back");
    check_eq!(ORDINARY.count(), 1, "the ordinary interrupt comes when interrupts are on again");
    let seen = IN_HANDLER.view();
    check_eq!((seen.daif, seen.ss, seen.stash), (0x3c0, 0, 1));
    check_eq!(ORDINARY.view().daif, 0xc0);
    Ok(())
}

/// An interrupt's handler opens I and steps over a breakpoint, as deferred work may. An NMI in the middle of that step-over adds a
/// second entry to the stash.
fn m9_stashes_nest() -> Outcome {
    fn outer(frame: &mut Frame) {
        OUTER.note(frame);
        signal::arm(Signal::Nmi);
        daif::clear::<{ daif::IF }>();
        LINE.store(code::line(), Relaxed);
        daif::set::<{ daif::IF }>();
    }
    static OUTER: Seen = Seen::new();
    fn inner(frame: &mut Frame) {
        IN_HANDLER.note(frame);
    }
    prepare(Signal::Nmi)?;
    OUTER.reset();
    Signal::Nmi.prepare(inner)?;
    Signal::Irq.prepare(outer)?;
    signal::arm(Signal::Irq);
    let line = code::line_range();
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    let mut result = 0;
    let steps = trace::trace(line.clone(), || result = code::line())?;
    let hits = signal::remove(id)?;
    check_eq!((result, LINE.load(Relaxed), hits), (4, 4, 2));
    check_eq!((OUTER.count(), IN_HANDLER.count()), (1, 1));
    check_eq!((OUTER.view().stash, OUTER.view().ss), (1, 0));
    check_eq!((IN_HANDLER.view().stash, IN_HANDLER.view().ss), (2, 0));
    check_eq!(IN_HANDLER.view().daif, 0x3c0);
    check_eq!(IN_HANDLER.view().pc, line.start + 4);
    check_eq!(steps.len(), 6, "{steps:x?}");
    Ok(())
}

/// I1: where D is masked I is masked, too, so an interrupt waits until D is open.
fn i1_an_interrupt_interrupts_d_open() -> Outcome {
    prepare(Signal::Irq)?;
    let masked = daif::AllMasked::new();
    Signal::Irq.send();
    let held = IN_HANDLER.count();
    // Opens A, I, F and D at once.
    drop(masked);
    kernel::arch::barrier::isb();
    check_eq!(held, 0);
    check_eq!(IN_HANDLER.count(), 1);
    check!(IN_HANDLER.view().interrupted & 0x200 == 0, "interrupted with D masked");
    Ok(())
}

/// A step that an interrupt's handler begins for itself and does not end must not go on in the interrupted context.
fn x2_a_handlers_own_step_ends_with_it() -> Outcome {
    static LANDED: AtomicU64 = AtomicU64::new(0);
    fn notes(frame: &mut DebugFrame) -> Wish {
        if code::line_range().contains(&frame.pc) {
            LANDED.fetch_add(1, Relaxed);
        }
        Wish::Step
    }
    fn starts(frame: &mut Frame) {
        IN_HANDLER.note(frame);
        let _ = session::step_from_here(notes);
    }
    prepare(Signal::Irq)?;
    Signal::Irq.prepare(starts)?;
    LANDED.store(0, Relaxed);
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    let result = code::line();
    let stepped = debug::this().is_stepped();
    let hits = signal::remove(id)?;
    check_eq!((result, hits, IN_HANDLER.count()), (4, 1, 1));
    check!(!stepped, "the interrupted context is still stepped");
    check_eq!(LANDED.load(Relaxed), 0);
    Ok(())
}

/// An NMI's handler, with D masked, cannot even begin a step. If it still leaves an owner, that owner must not go on in the
/// interrupted context, where nothing was set aside.
fn x2_an_nmi_handlers_own_step_ends_with_it() -> Outcome {
    static REFUSED: AtomicU64 = AtomicU64::new(0);
    fn never(_: &mut DebugFrame) -> Wish {
        Wish::Step
    }
    fn starts(frame: &mut Frame) {
        IN_HANDLER.note(frame);
        REFUSED.store((session::step_from_here(never) == Err(StepError::DebugMasked)).into(), Relaxed);
        // Sets the owner as if the step had not been refused.
        // SAFETY: D stays masked in an NMI's handler (M9).
        unsafe { debug::masked() }.set_owners(Owners::DEBUGGER);
    }
    prepare(Signal::Nmi)?;
    Signal::Nmi.prepare(starts)?;
    let (steps, cancelled) = (stats::STEPS.here(), stats::CANCELLED.here());
    Signal::Nmi.send();
    let result = code::line();
    let (steps, cancelled) = (stats::STEPS.here() - steps, stats::CANCELLED.here() - cancelled);
    let stepped = debug::this().is_stepped();
    check_eq!((result, IN_HANDLER.count()), (4, 1));
    check_eq!((steps, cancelled), (0, 1));
    check_eq!(REFUSED.load(Relaxed), 1);
    check!(!stepped, "the interrupted context is still stepped");
    Ok(())
}
