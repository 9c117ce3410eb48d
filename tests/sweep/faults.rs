//! Faults and WARNs, without a breakpoint and with one on the instruction, which is then stepped over.

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
        // The fault's handler runs with the masks of the context that faulted (M6).
        covers: |frame| in_function(frame, fault::handle as *const () as u64),
        ..Scenario::EMPTY
    },
    // The stepped-over instruction faults, is fixed up and executed again: two attempts, two hits (X1).
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
        // The report runs with the masks of the context that raised the WARN (M11).
        covers: |frame| in_function(frame, bug::report as *const () as u64),
        ..Scenario::EMPTY
    },
    // The stepped-over instruction is a BRK.
    Scenario {
        name: "breakpoint-warns",
        setup: || breakpoint(code::warn as *const () as u64, None),
        body: warn,
        handler: |_| code::warn(),
        ..Scenario::EMPTY
    },
    // In this scenario and the next one the stepped-over instruction ends the kernel (M7): by a fault, and by a BRK that nothing
    // handles.
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

/// Whether the context is in the first instructions of the function at `start`.
fn in_function(frame: &Frame, start: u64) -> bool {
    (start + 4..start + 16).contains(&frame.pc)
}

/// An address at which nothing is mapped: it is below a stack.
const UNMAPPED: u64 = layout::STACKS as u64 + 0x10;
static GOOD: AtomicU64 = AtomicU64::new(0x5a);

/// Reads an unmapped address. The same instruction then reads a good address.
pub extern "C" fn retry() -> u64 {
    code::retry(UNMAPPED, &raw const GOOD as u64)
}

extern "C" fn warn() -> u64 {
    code::warn();
    0
}

specimen! {
    /// The second instruction faults, and has no fix-up.
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
