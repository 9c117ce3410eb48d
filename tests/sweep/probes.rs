//! Kprobes: out of line, simulated, nested, on a breakpoint's address, registered and removed.

use super::code;
use crate::support::OwnPage;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::{Scenario, breakpoint, kprobe as probe, probe_of, watchpoint};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::mm::layout;

pub static SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "kprobe-out-of-line",
        setup: || probe(address(code::outer), Some(pre), Some(post)),
        body: outer,
        handler: |_| _ = outer(),
        facts: handlers,
        ..Scenario::EMPTY
    },
    Scenario {
        name: "kprobe-simulated",
        setup: || probe(code::branch as *const () as u64, Some(pre), Some(post)),
        body: code::branch,
        handler: |_| _ = code::branch(),
        facts: handlers,
        ..Scenario::EMPTY
    },
    // Three levels of probes. The innermost handler calls the outermost function, whose probe is missed (K5).
    Scenario {
        name: "nested-probes",
        setup: || {
            probe(address(code::outer), Some(calls_inner), Some(post))?;
            probe(address(code::inner), Some(calls_innermost), Some(post))?;
            probe(address(code::innermost), Some(calls_outer), Some(post))
        },
        body: outer,
        handler: |_| _ = outer(),
        facts: handlers,
        ..Scenario::EMPTY
    },
    // A breakpoint and a probe are at one address. The probe's handler calls a function with another probe.
    Scenario {
        name: "same-address",
        setup: || {
            breakpoint(address(code::outer), None)?;
            probe(address(code::outer), Some(calls_inner), Some(post))?;
            probe(address(code::inner), Some(pre), Some(post))
        },
        body: outer,
        handler: |_| _ = outer(),
        facts: handlers,
        ..Scenario::EMPTY
    },
    // A probe is hit in the interrupt's handler, while a step-over is on the stash.
    Scenario {
        name: "kprobe-in-handler",
        setup: || {
            breakpoint(code::line_at(), None)?;
            probe(code::handler_at(), Some(pre), Some(post))
        },
        body: code::line,
        handler: |_| _ = code::handler(1),
        facts: handlers,
        ..Scenario::EMPTY
    },
    // The copy of the probed instruction hits a watchpoint, and is stepped over.
    Scenario {
        name: "kprobe-watchpoint",
        setup: || {
            probe(code::store_at(), Some(pre), Some(post))?;
            watchpoint(WATCHED.as_ptr() as u64)
        },
        body: store,
        handler: |_| _ = store(),
        facts: handlers,
        ..Scenario::EMPTY
    },
    // The copy of the probed instruction faults. The fault counts as the probed instruction's (K7), so it is fixed up, and the
    // probed instruction is executed again.
    Scenario {
        name: "kprobe-faults",
        setup: || probe(code::retry as *const () as u64, Some(pre), Some(post)),
        body: super::faults::retry,
        handler: |_| _ = super::faults::retry(),
        facts: handlers,
        ..Scenario::EMPTY
    },
    Scenario {
        name: "kprobe-register",
        setup: || breakpoint(code::handler_at(), None),
        body: register_and_remove,
        handler: |_| _ = code::handler(1),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "several-probes",
        setup: || {
            probe(address(code::outer), Some(pre), Some(post))?;
            probe(address(code::outer), Some(calls_inner), Some(post))?;
            probe(address(code::inner), Some(pre), None)
        },
        body: outer,
        handler: |_| _ = outer(),
        facts: handlers,
        // Each use adds 5 to the first number: 2 by `pre`, and 3 as the result of `inner`. There are two uses, or one where the
        // interrupt is an NMI, whose handler does not run.
        due: |result, facts| result == 3 && (facts == [10, 4] || facts == [5, 2]),
        ..Scenario::EMPTY
    },
    // The copy ends without a second BRK: it unmasks interrupts and branches back. No interrupt handler sees a context in the copy.
    Scenario {
        name: "probe-branch-back",
        setup: || probe(address(code::outer), Some(pre), None),
        body: outer,
        handler: |frame| {
            let in_copy = frame.is_some_and(|frame| layout::copies().contains(&(frame.pc as usize)));
            POSTS.fetch_add(in_copy.into(), Relaxed);
            outer();
        },
        facts: handlers,
        covers: |frame| frame.pc == address(code::outer) + 4,
        due: |result, facts| result == 3 && (facts == [2, 0] || facts == [1, 0]),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "probe-off-on",
        setup: || {
            probe(address(code::outer), Some(pre), Some(post))?;
            breakpoint(code::handler_at(), None)
        },
        body: off_and_on,
        handler: |_| _ = code::handler(1),
        facts: handlers,
        due: |result, facts| result == 9 && facts == [2, 2],
        ..Scenario::EMPTY
    },
];

static WATCHED: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));
static PRES: AtomicU64 = AtomicU64::new(0);
static POSTS: AtomicU64 = AtomicU64::new(0);

fn address(function: extern "C" fn(u64) -> u64) -> u64 {
    function as *const () as u64
}

/// What the pre-handlers and the post-handlers have counted since the last call.
fn handlers() -> [u64; 2] {
    [PRES.swap(0, Relaxed), POSTS.swap(0, Relaxed)]
}

extern "C" fn outer() -> u64 {
    code::outer(1)
}

extern "C" fn store() -> u64 {
    code::store(WATCHED.as_ptr() as u64)
}

fn pre(_: &Kprobe, _: &mut DebugFrame) -> Then {
    PRES.fetch_add(1, Relaxed);
    Then::Run
}

fn post(_: &Kprobe, _: &mut DebugFrame) {
    POSTS.fetch_add(1, Relaxed);
}

fn calls_inner(_: &Kprobe, _: &mut DebugFrame) -> Then {
    PRES.fetch_add(code::inner(1), Relaxed);
    Then::Run
}

fn calls_innermost(_: &Kprobe, _: &mut DebugFrame) -> Then {
    PRES.fetch_add(code::innermost(1), Relaxed);
    Then::Run
}

fn calls_outer(_: &Kprobe, _: &mut DebugFrame) -> Then {
    PRES.fetch_add(code::outer(1), Relaxed);
    Then::Run
}

/// The probe is hit before it is switched off, and after it is switched on again.
extern "C" fn off_and_on() -> u64 {
    let Some(probe) = probe_of(0) else { return u64::MAX };
    let before = outer();
    kprobe::disable(probe);
    let off = outer();
    kprobe::enable(probe);
    before + off + outer()
}

/// The probe is hit exactly by the executions between registration and removal.
extern "C" fn register_and_remove() -> u64 {
    let at = code::line_at();
    code::line();
    if kprobe::register(at, None, None).is_err() {
        return u64::MAX;
    }
    let result = code::line();
    let counts = kprobe::unregister(at);
    code::line();
    match counts {
        Ok((hits, missed)) => result << 32 | hits << 16 | missed,
        Err(_) => u64::MAX,
    }
}
