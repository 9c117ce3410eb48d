//! A debugger's steps. Each step lands where it lands without the interrupt, and none lands in the interrupt's handler (X2).

use super::code;
use crate::support::OwnPage;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::{Scenario, breakpoint, kprobe, watchpoint};
use kernel::debug::debugger::{self, Client, Plan, Resume, Stop};
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::Hit;
use kernel::debug::{self, stats};
use kernel::exception::DebugFrame;
use kernel::watcher;
use rules::pstate::SPSR_SS;

pub static SCENARIOS: [Scenario; 12] = [
    Scenario { name: "step-1", body: step_one, handler: |_| _ = code::line(), ..Scenario::EMPTY },
    Scenario {
        name: "step-100",
        body: step_hundred,
        handler: |_| _ = code::line(),
        thinned: 2,
        ..Scenario::EMPTY
    },
    Scenario { name: "step-daif", body: step_daif, handler: |_| _ = code::daif(), ..Scenario::EMPTY },
    // The same instruction has a debugger's step and a step-over. Each owner gets its own end of the step.
    Scenario {
        name: "step-breakpoint",
        setup: || breakpoint(code::line_at(), None),
        body: step_line,
        handler: |_| _ = code::line(),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "step-watchpoint",
        setup: || watchpoint(&raw const WATCHED as u64),
        body: step_store,
        handler: |_| _ = store(),
        ..Scenario::EMPTY
    },
    // M13: the simulation of the branch moves PC, so the step is done. The interrupt was held back during the simulation, and comes
    // before the step is reported: MDSCR_EL1.SS is 1 and SPSR.SS is 0.
    Scenario {
        name: "step-done-not-reported",
        setup: || {
            kprobe(code::branch as *const () as u64, None, None)?;
            breakpoint(code::handler_at(), None)
        },
        body: step_branch,
        covers: |frame| debug::this().stash_len.get() != 0 && frame.pstate & SPSR_SS == 0,
        handler: |_| _ = code::handler(1),
        ..Scenario::EMPTY
    },
    // A step, a breakpoint and a probe are at one address.
    Scenario {
        name: "step-same-address",
        setup: || {
            breakpoint(code::line_at(), None)?;
            kprobe(code::line_at(), None, None)
        },
        body: step_line,
        handler: |_| _ = code::line(),
        ..Scenario::EMPTY
    },
    // A stretch with D masked is one step, and an interrupt waits for its end. At that moment the step is done and not yet
    // reported.
    Scenario {
        name: "step-masked",
        body: step_masked,
        covers: |frame| debug::this().stash_len.get() != 0 && frame.pstate & SPSR_SS == 0,
        handler: |_| _ = code::masked(1),
        ..Scenario::EMPTY
    },
    // The interrupt's handler steps itself through the same code.
    Scenario {
        name: "step-in-handler",
        body: step_line,
        handler: |_| steps_itself(),
        covers: |_| debug::this().stash_len.get() != 0,
        facts: of_handler,
        ..Scenario::EMPTY
    },
    // The interrupted context is in a step-over within a debugger's step, and the interrupt's handler gets into the same state.
    Scenario {
        name: "step-nested",
        setup: || {
            breakpoint(code::line_at(), None)?;
            watchpoint(&raw const WATCHED as u64)
        },
        body: step_line_and_store,
        handler: |_| steps_itself(),
        covers: |_| debug::this().stash_len.get() != 0,
        facts: of_handler,
        ..Scenario::EMPTY
    },
    // M13 for a step-over: QEMU takes interrupts between the return of a call to EL2 or EL3 and the report of its step.
    Scenario {
        name: "step-over-done-not-reported",
        setup: || {
            breakpoint(code::hvc_at(), None)?;
            breakpoint(code::hvc_at() + 4, None)
        },
        body: call_above,
        covers: |frame| debug::this().stash_len.get() != 0 && frame.pstate & SPSR_SS == 0,
        handler: |_| _ = code::hvc(),
        ..Scenario::EMPTY
    },
    // A plan runs over a call, while the interrupt's handler makes the same calls on the same stack. How often the handler's calls
    // hit the breakpoint at the return address depends on whether it is set already.
    Scenario {
        name: "step-over-call",
        setup: || breakpoint(code::calls_at(), Some(watcher!(over))),
        before: || {
            TOLD.store(0, Relaxed);
            RETURNED.store(0, Relaxed);
        },
        body: calls,
        handler: |_| _ = code::calls(2),
        facts: || [TOLD.load(Relaxed), RETURNED.load(Relaxed)],
        varies: &[stats::BREAKPOINTS, stats::STEPS, stats::STEP_OVERS, stats::CANCELLED],
        ..Scenario::EMPTY
    },
];

static WATCHED: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));

/// The number of steps that are still to be done.
static LEFT: AtomicU64 = AtomicU64::new(0);
/// A hash of the PCs at which the steps have landed.
static LANDED: AtomicU64 = AtomicU64::new(0);

fn hook(frame: &mut DebugFrame) -> Wish {
    let left = LEFT.load(Relaxed) - 1;
    LEFT.store(left, Relaxed);
    LANDED.store(LANDED.load(Relaxed).wrapping_mul(31).wrapping_add(frame.pc), Relaxed);
    if left == 0 { Wish::Run } else { Wish::Step }
}

/// Runs `body` by `count` steps. Returns a hash of the places where they landed and of the result of `body`.
#[inline(always)]
pub fn step(count: u64, body: impl FnOnce() -> u64) -> u64 {
    LEFT.store(count, Relaxed);
    LANDED.store(0, Relaxed);
    let mut result = 0;
    let done = session::step_with(hook, || result = black_box(body()));
    let landed = LANDED.load(Relaxed).wrapping_mul(31).wrapping_add(result);
    landed.wrapping_mul(31) + LEFT.load(Relaxed) + u64::from(done.is_err())
}

fn store() -> u64 {
    code::store(&raw const WATCHED as u64)
}

extern "C" fn step_one() -> u64 {
    step(1, || code::line())
}

extern "C" fn step_hundred() -> u64 {
    step(100, || code::sled(1))
}

extern "C" fn step_daif() -> u64 {
    step(24, || code::daif())
}

pub extern "C" fn step_line() -> u64 {
    step(24, || code::line())
}

extern "C" fn step_store() -> u64 {
    step(24, store)
}

extern "C" fn step_branch() -> u64 {
    step(24, || code::branch())
}

extern "C" fn step_masked() -> u64 {
    step(20, || code::masked(1))
}

extern "C" fn step_line_and_store() -> u64 {
    step(24, || code::line() + store())
}

extern "C" fn call_above() -> u64 {
    code::hvc()
}

/// Like [`LEFT`] and [`LANDED`], for the steps of the interrupt's handler.
static HANDLERS_LEFT: AtomicU64 = AtomicU64::new(0);
static HANDLERS_LANDED: AtomicU64 = AtomicU64::new(0);

fn handlers_hook(frame: &mut DebugFrame) -> Wish {
    let left = HANDLERS_LEFT.load(Relaxed) - 1;
    HANDLERS_LEFT.store(left, Relaxed);
    HANDLERS_LANDED.store(HANDLERS_LANDED.load(Relaxed).wrapping_mul(31).wrapping_add(frame.pc), Relaxed);
    if left == 0 { Wish::Run } else { Wish::Step }
}

#[inline(never)]
fn steps_itself() {
    HANDLERS_LEFT.store(10, Relaxed);
    HANDLERS_LANDED.store(0, Relaxed);
    let done = session::step_with(handlers_hook, || _ = black_box(code::line()));
    HANDLERS_LANDED.store(HANDLERS_LANDED.load(Relaxed) + u64::from(done.is_err()), Relaxed);
}

fn of_handler() -> [u64; 2] {
    [HANDLERS_LANDED.load(Relaxed), HANDLERS_LEFT.load(Relaxed)]
}

extern "C" fn calls() -> u64 {
    code::calls(4)
}

/// How often the debugger was told that a call has returned.
static TOLD: AtomicU64 = AtomicU64::new(0);
/// The results of these calls, as one number.
static RETURNED: AtomicU64 = AtomicU64::new(0);

/// Runs over the outermost call that the body's `calls` makes. The interrupt's handler calls with smaller numbers.
fn over(_: &Hit, frame: &mut DebugFrame) {
    if frame.x[0] == 3 {
        let _ = debugger::step(frame, Plan::Over, &CLIENT);
    }
}

static CLIENT: Client = Client { tell: returned, data: 0 };

fn returned(_: &Client, _: Stop, frame: &mut DebugFrame) -> Resume {
    TOLD.store(TOLD.load(Relaxed) + 1, Relaxed);
    RETURNED.store(RETURNED.load(Relaxed) * 1000 + frame.x[0], Relaxed);
    Resume::Run
}
