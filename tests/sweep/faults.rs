//! Faults and WARNs, by themselves and under a breakpoint that is stepped over.

use super::code;
use core::sync::atomic::AtomicU64;
use harness::sweep::{Scenario, breakpoint, until_the_end};
use kernel::debug::bug;
use kernel::exception::Frame;
use kernel::mm::{fault, layout};

pub static SCENARIOS: [Scenario; 6] = [
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
    // The instruction that is stepped over ends the kernel: by a fault, by a BRK that is nobody's (M7).
    Scenario {
        name: "breakpoint-ends",
        setup: || breakpoint(reads_nothing as *const () as u64 + 4, None),
        body: ends,
        handler: |_| _ = ends(),
        due: |result, _| result != 0,
        ..Scenario::EMPTY
    },
    Scenario {
        name: "breakpoint-ends-brk",
        setup: || breakpoint(nobodys_brk as *const () as u64, None),
        body: ends_by_brk,
        handler: |_| _ = ends_by_brk(),
        due: |result, _| result != 0,
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

/// Reads what is not there, then the same instruction what is.
pub extern "C" fn retry() -> u64 {
    code::retry(UNMAPPED, &raw const GOOD as u64)
}

extern "C" fn warn() -> u64 {
    code::warn();
    0
}

specimen! {
    /// Its second instruction faults, and nothing fixes that up.
    pub fn reads_nothing() {
        "mov x0, xzr", "ldr x0, [x0, #0x10]", "ret"
    }

    fn nobodys_brk() {
        "brk #0x7f2", "ret"
    }
}

extern "C" fn ends() -> u64 {
    until_the_end(reads_nothing)
}

extern "C" fn ends_by_brk() -> u64 {
    until_the_end(nobodys_brk)
}
