//! Return probes: of one call, of calls in calls and in handlers, with a breakpoint on the entry and on the return address.

use super::code;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::{Scenario, breakpoint, kprobe, kretprobe};
use kernel::exception::DebugFrame;
use kernel::kprobe::{DEFAULT_INSTANCES, EntryHandler, Instance, ReturnHandler, ReturnProbe, WantedReturn};

pub static SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "return-probe",
        setup: || returning(code::outer, None, counts),
        body: outer,
        handler: |_| _ = outer(),
        facts: returns,
        due: |result, facts| result == 3 && due(facts, 1),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "return-probe-entry",
        setup: || {
            returning(code::outer, Some(remembers), compares)?;
            kprobe(code::outer as *const () as u64, None, None)
        },
        body: outer,
        handler: |_| _ = outer(),
        facts: returns,
        due: |result, facts| result == 3 && due(facts, 1),
        ..Scenario::EMPTY
    },
    // A recursion; and a handler that calls a function with another return probe, whose handler calls the first function again.
    // That last call is missed (K5).
    Scenario {
        name: "return-probe-nested",
        setup: || {
            returning(code::calls, Some(remembers), counts)?;
            returning(code::outer, Some(remembers), calls_inner)?;
            returning(code::inner, Some(remembers), calls_outer)
        },
        body: nested,
        handler: |_| _ = nested(),
        facts: returns,
        due: |result, facts| result == 6 && due(facts, 5),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "return-probe-breakpoints",
        setup: || {
            breakpoint(code::outer as *const () as u64, None)?;
            breakpoint(code::calls_at() + 4, None)?;
            returning(code::outer, None, counts)?;
            returning(code::calls, None, counts)
        },
        body: nested,
        handler: |_| _ = nested(),
        facts: returns,
        due: |result, facts| result == 6 && due(facts, 4),
        ..Scenario::EMPTY
    },
];

static RETURNS: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

fn returning(
    function: extern "C" fn(u64) -> u64,
    entry: Option<EntryHandler>,
    handler: ReturnHandler,
) -> Result<(), alloc::string::String> {
    let address = function as *const () as u64;
    kretprobe(&WantedReturn { address, entry, handler, instances: DEFAULT_INSTANCES })
}

/// How many returns were handled, and how many of them were wrong, since the last call.
fn returns() -> [u64; 2] {
    [RETURNS.swap(0, Relaxed), WRONG.swap(0, Relaxed)]
}

/// Whether all returns were handled rightly. The body and the interrupt's handler have `once` returns each. An NMI's handler does
/// not run, and then only the body has returns.
fn due(facts: [u64; 2], once: u64) -> bool {
    facts == [2 * once, 0] || facts == [once, 0]
}

extern "C" fn outer() -> u64 {
    code::outer(1)
}

extern "C" fn nested() -> u64 {
    code::outer(1) + code::calls(2)
}

fn counts(_: &ReturnProbe, _: &Instance, _: &mut DebugFrame) {
    RETURNS.fetch_add(1, Relaxed);
}

fn remembers(_: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) -> bool {
    instance.data(0).store(frame.x[0], Relaxed);
    true
}

fn compares(probe: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
    WRONG.fetch_add(u64::from(frame.x[0] != instance.data(0).load(Relaxed) + 2), Relaxed);
    counts(probe, instance, frame);
}

fn calls_inner(probe: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
    WRONG.fetch_add(u64::from(code::inner(5) != 7), Relaxed);
    compares(probe, instance, frame);
}

fn calls_outer(probe: &ReturnProbe, instance: &Instance, frame: &mut DebugFrame) {
    WRONG.fetch_add(u64::from(code::outer(5) != 7), Relaxed);
    compares(probe, instance, frame);
}
