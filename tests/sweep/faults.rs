//! Faults and WARNs, by themselves and under a breakpoint that is stepped over.

use super::code;
use crate::debug::bug;
use crate::exception::Frame;
use crate::mm::{fault, layout};
use crate::sweep::{Scenario, breakpoint};
use core::sync::atomic::AtomicU64;

pub static SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "fault",
        body: retry,
        handler: |_| _ = retry(),
        // Its handler runs in the masks of what faulted (M6).
        covers: |frame| in_function(frame, fault::handle as *const () as u64),
        ..Scenario::EMPTY
    },
    // The instruction that is stepped over faults, is fixed up and tried again: two attempts, two hits (X1).
    Scenario {
        name: "breakpoint-faults",
        setup: || breakpoint(code::retry as *const () as u64, None),
        body: retry,
        handler: |_| _ = retry(),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "warn",
        body: warn,
        handler: |_| code::warn(),
        // The report runs in the masks of what warns (M11).
        covers: |frame| in_function(frame, bug::report as *const () as u64),
        ..Scenario::EMPTY
    },
    // The instruction that is stepped over is a BRK.
    Scenario {
        name: "breakpoint-warns",
        setup: || breakpoint(code::warn as *const () as u64, None),
        body: warn,
        handler: |_| code::warn(),
        ..Scenario::EMPTY
    },
];

/// At the start of it.
fn in_function(frame: &Frame, start: u64) -> bool {
    (start + 4..start + 16).contains(&frame.pc)
}

/// An address that nothing is mapped at: below a stack.
const UNMAPPED: u64 = layout::STACKS as u64 + 0x10;
static GOOD: AtomicU64 = AtomicU64::new(0x5a);

extern "C" fn retry() -> u64 {
    code::retry(UNMAPPED, &raw const GOOD as u64)
}

extern "C" fn warn() -> u64 {
    code::warn();
    0
}
