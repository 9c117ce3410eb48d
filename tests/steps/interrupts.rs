//! Steps with an interrupt before each of them (M8, M9, X2).

use super::branches::rounds;
use super::trace::{Trace, trace_with};
use crate::address_of;
use crate::support::{OnDemand, Slot, breakpoint_at, interrupt_me, nmi_me};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::arch;
use kernel::arch::barrier::relax;
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::Hit;
use kernel::debug::{self, stats};
use kernel::exception::{DebugFrame, Frame};
use kernel::watcher;
use rules::pstate::SPSR_SS;

static TAKEN: AtomicU64 = AtomicU64::new(0);
static STASHED: AtomicU64 = AtomicU64::new(0);
static SS_SEEN: AtomicU64 = AtomicU64::new(0);

fn taken(_: &mut Frame) {
    TAKEN.fetch_add(1, Relaxed);
    STASHED.fetch_add(u64::from(debug::this().stash_len.get() == 1), Relaxed);
    SS_SEEN.fetch_or(arch::mdscr::read() & arch::mdscr::SS, Relaxed);
}

fn stepped_under(raise: fn(&Frame)) -> Result<Trace, Ended> {
    for counter in [&TAKEN, &STASHED, &SS_SEEN] {
        counter.store(0, Relaxed);
    }
    let stashes = stats::STASHES.here();
    let trace = trace_with(address_of!(rounds), raise, || rounds(200))?;
    check!(trace.complete);
    check_eq!(trace.steps, 401);
    for (index, word) in trace.words().into_iter().enumerate() {
        check_eq!(word, index as i64 % 2, "a step landed elsewhere");
    }
    check_eq!(TAKEN.load(Relaxed), 401, "one interrupt a step");
    check_eq!(STASHED.load(Relaxed), 401, "each interrupt set a step aside");
    check_eq!(SS_SEEN.load(Relaxed), 0, "MDSCR_EL1.SS is clear in the handler");
    check!(stats::STASHES.here() - stashes >= 401);
    Ok(trace)
}

pub fn an_interrupt_before_every_step_is_never_stepped_into() -> Outcome {
    let _interrupt = OnDemand::new(taken);
    stepped_under(|_| interrupt_me()).map(drop)
}

pub fn an_nmi_before_every_step_is_never_stepped_into() -> Outcome {
    let _interrupt = OnDemand::nmi(taken);
    stepped_under(|_| nmi_me()).map(drop)
}

/// An interrupt's handler begins to step itself, and does not end that. After the handler, neither the interrupted context nor any
/// other context is stepped.
pub fn a_step_of_an_interrupt_handler_ends_with_it() -> Outcome {
    static STEPS: AtomicU64 = AtomicU64::new(0);
    static STEPS_AT_END: AtomicU64 = AtomicU64::new(0);
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    fn count(_: &mut DebugFrame) -> Wish {
        STEPS.store(STEPS.load(Relaxed) + 1, Relaxed);
        Wish::Step
    }
    fn handler(_: &mut Frame) {
        let begun = session::step_from_here(count);
        BEGUN.store(begun.is_ok().into(), Relaxed);
        rounds(10);
        STEPS_AT_END.store(STEPS.load(Relaxed), Relaxed);
        HANDLED.store(1, Relaxed);
    }
    STEPS.store(0, Relaxed);
    HANDLED.store(0, Relaxed);
    let _interrupt = OnDemand::new(handler);
    interrupt_me();
    while HANDLED.load(Relaxed) == 0 {
        relax();
    }
    let (steps, inside) = (STEPS.load(Relaxed), STEPS_AT_END.load(Relaxed));
    check!(inside >= 21, "{inside} steps in the handler");
    check!(steps > inside, "the handler was stepped to its end");
    rounds(10);
    check_eq!(STEPS.load(Relaxed), steps, "steps behind the handler");
    check!(!debug::this().is_stepped());
    check_eq!(BEGUN.load(Relaxed), 1);
    Ok(())
}

/// The interrupted context is stepped by a debugger, and the interrupt's handler steps itself. Both step over a breakpoint on the
/// first instruction. Each of the three owners gets the end of its own step.
pub fn a_handler_steps_for_itself_in_the_middle_of_a_step() -> Outcome {
    static INSIDE: AtomicU64 = AtomicU64::new(0);
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    static RESUMED: AtomicU64 = AtomicU64::new(0);
    fn own(frame: &mut DebugFrame) -> Wish {
        let entry = address_of!(rounds);
        INSIDE.fetch_add((entry..entry + 12).contains(&frame.pc).into(), Relaxed);
        Wish::Step
    }
    fn handler(frame: &mut Frame) {
        taken(frame);
        SESSIONS.fetch_add(session::step_with(own, || rounds(3)).is_ok().into(), Relaxed);
        // The handler's own step has ended, and the interrupted context's step is on the stash.
        let cpu = debug::this();
        RESUMED.fetch_add((cpu.is_stepped() || !cpu.owners.get().is_empty()).into(), Relaxed);
    }
    for counter in [&INSIDE, &SESSIONS, &RESUMED] {
        counter.store(0, Relaxed);
    }
    let _interrupt = OnDemand::new(handler);
    let slot = Slot::counting(&breakpoint_at(address_of!(rounds)))?;
    let overs = stats::STEP_OVERS.here();
    stepped_under(|_| interrupt_me())?;
    let overs = stats::STEP_OVERS.here() - overs;
    check_eq!((SESSIONS.load(Relaxed), RESUMED.load(Relaxed)), (401, 0));
    check_eq!(INSIDE.load(Relaxed), 401 * 7, "3 rounds of two and a RET for each interrupt");
    // Every round begins at the first instruction again.
    check_eq!((slot.hits(), overs), (Some(200 + 401 * 3), 200 + 401 * 3));
    Ok(())
}

/// M13: a breakpoint's handler has moved PC, so the step-over is done. An interrupt comes before the step-over is reported.
pub fn an_interrupt_before_a_step_overs_report() -> Outcome {
    static REPORTS: AtomicU64 = AtomicU64::new(0);
    fn handler(frame: &mut Frame) {
        taken(frame);
        REPORTS.fetch_add((frame.pstate & SPSR_SS == 0).into(), Relaxed);
        rounds(2);
    }
    fn moves(_: &Hit, frame: &mut DebugFrame) {
        if frame.x[0] == 100 {
            let pc = frame.pc;
            frame.x[0] = 1;
            // Clears Z, so the branch at the new PC is taken, back to the first instruction.
            frame.pstate &= !(1 << 30);
            frame.move_to(pc + 4);
            interrupt_me();
        }
    }
    for counter in [&TAKEN, &STASHED, &SS_SEEN, &REPORTS] {
        counter.store(0, Relaxed);
    }
    let _interrupt = OnDemand::new(handler);
    let entry = address_of!(rounds);
    let first = Slot::calling(&breakpoint_at(entry), watcher!(moves))?;
    let second = Slot::counting(&breakpoint_at(entry + 4))?;
    let (steps, overs) = (stats::STEPS.here(), stats::STEP_OVERS.here());
    rounds(100);
    let (steps, overs) = (stats::STEPS.here() - steps, stats::STEP_OVERS.here() - overs);
    check_eq!((TAKEN.load(Relaxed), STASHED.load(Relaxed), REPORTS.load(Relaxed)), (1, 1, 1));
    check_eq!(
        (first.hits(), second.hits()),
        (Some(4), Some(4)),
        "2 in the handler, 2 in what it interrupted"
    );
    check_eq!((steps, overs), (8, 8), "one step for each hit");
    Ok(())
}
