//! A debugger's steps: every one lands where it did without the interrupt, none in the handler (X2).

use super::code;
use crate::debug;
use crate::debug::step::{self, Wish};
use crate::exception::Frame;
use crate::sweep::{Scenario, breakpoint, kprobe, watchpoint};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rules::pstate::SPSR_SS;

pub static SCENARIOS: [Scenario; 7] = [
    Scenario { name: "step-1", body: step_one, handler: |_| _ = code::line(), ..Scenario::EMPTY },
    Scenario { name: "step-100", body: step_hundred, handler: |_| _ = code::line(), ..Scenario::EMPTY },
    Scenario { name: "step-daif", body: step_daif, handler: |_| _ = code::daif(), ..Scenario::EMPTY },
    // The debugger's step and a step-over of the same instruction, each for its own owner.
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
    // M13: the simulation moves PC, so that the step is done and not yet reported when the interrupt comes that was held
    // back meanwhile: MDSCR_EL1.SS is 1 and SPSR.SS is 0.
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
    // All three at one address.
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
];

static WATCHED: AtomicU64 = AtomicU64::new(0);

/// Steps to be done, and where they landed.
static LEFT: AtomicU64 = AtomicU64::new(0);
static LANDED: AtomicU64 = AtomicU64::new(0);

fn hook(frame: &mut Frame) -> Wish {
    let left = LEFT.load(Relaxed) - 1;
    LEFT.store(left, Relaxed);
    LANDED.store(LANDED.load(Relaxed).wrapping_mul(31).wrapping_add(frame.pc), Relaxed);
    if left == 0 { Wish::Run } else { Wish::Step }
}

/// Runs `body` by so many steps; where these landed, and what it returned, as one number.
#[inline(always)]
pub fn step(count: u64, body: impl FnOnce() -> u64) -> u64 {
    LEFT.store(count, Relaxed);
    LANDED.store(0, Relaxed);
    let mut result = 0;
    let done = step::step_with(hook, || result = black_box(body()));
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
    step(12, || code::daif())
}

extern "C" fn step_line() -> u64 {
    step(12, || code::line())
}

extern "C" fn step_store() -> u64 {
    step(12, store)
}

extern "C" fn step_branch() -> u64 {
    step(12, || code::branch())
}
