//! Steps with an interrupt before each of them (M8, M9, X2).

use super::branches::rounds;
use super::trace::{Trace, trace_with};
use crate::arch::barrier::relax;
use crate::debug::step::{self, Wish};
use crate::debug::{self, stats};
use crate::exception::Frame;
use crate::ktest::{Ended, Outcome};
use crate::tests::support::{OnDemand, interrupt_me, nmi_me};
use crate::{address_of, arch, check, check_eq};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
    check_eq!(STASHED.load(Relaxed), 401, "each set a step aside");
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

/// A handler that steps itself and does not end it: the step is no one else's.
pub fn a_step_of_an_interrupt_handler_ends_with_it() -> Outcome {
    static STEPS: AtomicU64 = AtomicU64::new(0);
    static STEPS_AT_END: AtomicU64 = AtomicU64::new(0);
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    fn count(_: &mut Frame) -> Wish {
        STEPS.store(STEPS.load(Relaxed) + 1, Relaxed);
        Wish::Step
    }
    fn handler(_: &mut Frame) {
        let begun = step::step_from_here(count);
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
