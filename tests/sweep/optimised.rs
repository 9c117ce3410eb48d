//! Optimised probes: an interrupt at any instruction of a trampoline. No interrupt handler sees a context inside of the trampoline.

use super::{code, faults, steps};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::{Scenario, breakpoint, optimised};
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Kprobe, Then, Wanted};
use kernel::mm::layout;

pub static SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "probe-optimised",
        setup: || optimised(address(code::outer), pre),
        body: outer,
        handler: |frame| {
            look(frame);
            outer();
        },
        facts: seen,
        due: once_each,
        ..Scenario::EMPTY
    },
    // The inner probe is hit in a debug context. Its trampoline leaves such a hit to a BRK.
    Scenario {
        name: "probe-optimised-nested",
        setup: || {
            optimised(address(code::outer), calls_inner)?;
            optimised(address(code::inner), pre)
        },
        body: outer,
        handler: |frame| {
            look(frame);
            outer();
        },
        facts: seen,
        // Each use adds 4 to the first number: 1 by `pre`, and 3 as the result of `inner`. There are two uses, or one with an NMI.
        due: |_, facts| matches!(facts, [4 | 8, 0]),
        ..Scenario::EMPTY
    },
    // The copy of the probed instruction faults (K7).
    Scenario {
        name: "probe-optimised-faults",
        setup: || optimised(faults::retry as *const () as u64, pre),
        body: faults::retry,
        handler: |frame| {
            look(frame);
            faults::retry();
        },
        facts: seen,
        due: |_, facts| facts[0] > 0 && facts[1] == 0,
        ..Scenario::EMPTY
    },
    // A debugger steps through the probed code, and a breakpoint is at the same address (K6).
    Scenario {
        name: "probe-optimised-stepped",
        setup: || {
            breakpoint(code::line_at(), None)?;
            optimised(code::line_at(), pre)
        },
        body: steps::step_line,
        handler: |_| _ = code::line(),
        facts: seen,
        due: once_each,
        ..Scenario::EMPTY
    },
    Scenario {
        name: "probe-optimised-breakpoint",
        setup: || {
            breakpoint(code::line_at(), None)?;
            optimised(code::line_at(), pre)
        },
        body: code::line,
        handler: |_| _ = code::line(),
        facts: seen,
        due: once_each,
        ..Scenario::EMPTY
    },
    // A probe is placed and optimised. While a second probe is at its address, there is a BRK. Then the probe is optimised again,
    // and removed.
    Scenario {
        name: "probe-optimise-and-back",
        thinned: 2,
        setup: || breakpoint(code::handler_at(), None),
        body: comes_and_goes,
        handler: |_| _ = code::handler(1),
        facts: seen,
        due: |result, facts| result == 0x3_0001 && facts == [3, 0],
        ..Scenario::EMPTY
    },
];

static PRES: AtomicU64 = AtomicU64::new(0);
static ASTRAY: AtomicU64 = AtomicU64::new(0);

fn address(function: extern "C" fn(u64) -> u64) -> u64 {
    function as *const () as u64
}

fn seen() -> [u64; 2] {
    [PRES.swap(0, Relaxed), ASTRAY.swap(0, Relaxed)]
}

/// The probe is hit once in the body and once in the interrupt's handler. An NMI's handler does not run.
fn once_each(_: u64, facts: [u64; 2]) -> bool {
    matches!(facts, [1 | 2, 0])
}

/// Counts an interrupted context whose PC is in a copy of an instruction. There must be none, because a thread could be switched
/// away there (K4).
fn look(frame: Option<&Frame>) {
    let astray = frame.is_some_and(|frame| layout::copies().contains(&(frame.pc as usize)));
    ASTRAY.fetch_add(astray.into(), Relaxed);
}

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    PRES.fetch_add(1, Relaxed);
    Then::Run
}

fn calls_inner(_: &Kprobe, _: &mut DebugFrame) -> Then {
    PRES.fetch_add(code::inner(1), Relaxed);
    Then::Run
}

extern "C" fn outer() -> u64 {
    code::outer(1)
}

extern "C" fn comes_and_goes() -> u64 {
    let wanted = Wanted { pre: Some(pre), optimise: Some(true), ..Wanted::at(code::line_at()) };
    let Ok(probes) = kprobe::register_all([wanted]) else { return u64::MAX };
    code::line();
    let Ok(other) = kprobe::register(wanted.address, None, None) else { return u64::MAX };
    code::line();
    let (others, _) = kprobe::remove(other);
    code::line();
    let counts = kprobe::remove_all(&probes);
    code::line();
    counts[0].0 << 16 | others
}
