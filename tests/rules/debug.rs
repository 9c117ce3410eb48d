//! M10: step, breakpoint and watchpoint exceptions.

use super::seen::Seen;
use super::{code, signal, trace};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, suite};
use kernel::arch::daif;
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::Hit;
use kernel::debug::stats;
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::watcher;

suite!("rule-debug":
    m10_a_breakpoint_handler_is_masked,
    m10_a_watchpoint_handler_is_masked,
    m10_a_steps_hook_is_masked,
    m10_every_owner_gets_its_step,
    m10_a_breakpoint_and_a_watchpoint_share_a_step,
    x2_a_masked_context_cannot_be_stepped,
);

static SEEN: Seen = Seen::new();

fn look(_: &Hit, frame: &mut DebugFrame) {
    SEEN.note(frame);
}

/// Runs `body` with `masks`, so that [`SEEN`] gets the masks that the handler runs with and those in its frame.
fn in_masks(masks: u64, body: impl FnOnce()) {
    SEEN.reset();
    daif::write(rules::pstate::Daif::of(masks));
    body();
    daif::clear::<{ daif::ALL }>();
}

fn run_line() {
    black_box(code::line());
}

fn m10_a_breakpoint_handler_is_masked() -> Outcome {
    let id = signal::breakpoint_in_line(watcher!(look))?;
    let mut seen = alloc::vec::Vec::new();
    for masks in [0x000, 0x0c0, 0x1c0] {
        in_masks(masks, run_line);
        seen.push((SEEN.count(), SEEN.view().daif, SEEN.view().interrupted, SEEN.view().depth));
    }
    // With D masked there is no breakpoint exception.
    in_masks(0x3c0, run_line);
    let masked = SEEN.count();
    let hits = signal::remove(id)?;
    check_eq!(seen, [(1, 0x3c0, 0, 1), (1, 0x3c0, 0x0c0, 1), (1, 0x3c0, 0x1c0, 1)]);
    check_eq!((masked, hits), (0, 3));
    Ok(())
}

fn m10_a_watchpoint_handler_is_masked() -> Outcome {
    static WATCHED: AtomicU64 = AtomicU64::new(0);
    let id = signal::watchpoint(&raw const WATCHED as u64, watcher!(look))?;
    in_masks(0, || WATCHED.store(1, Relaxed));
    let seen = SEEN.view();
    let hits = signal::remove(id)?;
    check_eq!((hits, SEEN.count()), (1, 1));
    check_eq!((seen.daif, seen.interrupted, seen.depth), (0x3c0, 0, 1));
    Ok(())
}

fn m10_a_steps_hook_is_masked() -> Outcome {
    fn hook(frame: &mut DebugFrame) -> Wish {
        SEEN.note(frame);
        Wish::Run
    }
    SEEN.reset();
    let off = IrqOff::new();
    session::step_with(hook, || ()).map_err(crate::failed)?;
    drop(off);
    let seen = SEEN.view();
    check_eq!((SEEN.count(), seen.daif, seen.depth, seen.owners), (1, 0x3c0, 1, 0));
    check!(seen.interrupted & 0x200 == 0);
    Ok(())
}

/// A debugger's step and a step-over of the same instruction end with the same step exception. Both owners get their step.
fn m10_every_owner_gets_its_step() -> Outcome {
    SEEN.reset();
    let line = code::line_range();
    let overs = stats::STEP_OVERS.here();
    let id = signal::breakpoint_in_line(watcher!(look))?;
    let mut result = 0;
    let steps = trace::trace(line.clone(), || result = code::line())?;
    let hits = signal::remove(id)?;
    check_eq!((result, hits), (4, 1));
    check_eq!(SEEN.view().owners, 3, "the owners are the debugger and the step-over");
    check_eq!(stats::STEP_OVERS.here() - overs, 1);
    check_eq!(steps.len(), 6, "{steps:x?}");
    check!(steps[..5].iter().zip(line.step_by(4)).all(|(step, at)| *step == at), "{steps:x?}");
    Ok(())
}

/// The instruction under a breakpoint hits a watchpoint while it is stepped over.
fn m10_a_breakpoint_and_a_watchpoint_share_a_step() -> Outcome {
    static WATCHED: AtomicU64 = AtomicU64::new(0);
    SEEN.reset();
    let (overs, steps) = (stats::STEP_OVERS.here(), stats::STEPS.here());
    let breakpoint = signal::breakpoint(code::load_at(), watcher!(look))?;
    let watchpoint = signal::watchpoint(&raw const WATCHED as u64, watcher!(look))?;
    let mut failed = 0;
    for _ in 0..2 {
        failed += code::load(&raw const WATCHED as u64);
    }
    let seen = SEEN.view();
    let hits = (signal::remove(breakpoint)?, signal::remove(watchpoint)?);
    check_eq!((failed, hits, SEEN.count()), (0, (2, 2), 4));
    check_eq!((seen.pc, seen.owners, seen.spsr_ss), (code::load_at(), 1, 1));
    check_eq!((stats::STEP_OVERS.here() - overs, stats::STEPS.here() - steps), (2, 2), "one step each time");
    Ok(())
}

fn x2_a_masked_context_cannot_be_stepped() -> Outcome {
    fn hook(_: &mut DebugFrame) -> Wish {
        STEPS.fetch_add(1, Relaxed);
        Wish::Step
    }
    static STEPS: AtomicU64 = AtomicU64::new(0);
    let masked = daif::AllMasked::new();
    let refused = session::step_with(hook, || ());
    drop(masked);
    check_eq!(refused, Err(rules::step::StepError::DebugMasked));
    check_eq!(STEPS.load(Relaxed), 0);
    Ok(())
}
