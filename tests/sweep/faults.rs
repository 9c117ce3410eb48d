//! Faults and WARNs, by themselves and under a breakpoint that is stepped over.

use super::code;
use crate::mm::layout;
use crate::sweep::{Scenario, breakpoint};
use core::sync::atomic::AtomicU64;

pub static SCENARIOS: [Scenario; 4] = [
    Scenario { name: "fault", body: retry, handler: |_| _ = retry(), ..Scenario::EMPTY },
    // The instruction that is stepped over faults, is fixed up and tried again: two attempts, two hits (X1).
    Scenario {
        name: "breakpoint-faults",
        setup: || breakpoint(code::retry as *const () as u64, None),
        body: retry,
        handler: |_| _ = retry(),
        ..Scenario::EMPTY
    },
    Scenario { name: "warn", body: warn, handler: |_| code::warn(), ..Scenario::EMPTY },
    // The instruction that is stepped over is a BRK.
    Scenario {
        name: "breakpoint-warns",
        setup: || breakpoint(code::warn as *const () as u64, None),
        body: warn,
        handler: |_| code::warn(),
        ..Scenario::EMPTY
    },
];

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
