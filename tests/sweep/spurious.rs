//! A spurious interrupt (INTID 1023) at every boundary, and the real interrupt right after it. The step that the kernel's entry has
//! set aside for the spurious interrupt must be restored.

use super::code;
use harness::sweep::{Scenario, breakpoint, kprobe};
use kernel::irq;

/// Makes the next acknowledge report a spurious interrupt. Release builds inject nothing, so there only the ordinary interrupt
/// comes.
fn inject() {
    irq::inject_spurious(1);
}

pub static SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "spurious-in-step-over",
        setup: || breakpoint(code::line_at(), None),
        before: inject,
        body: code::line,
        handler: |_| _ = code::line(),
        ..Scenario::EMPTY
    },
    Scenario {
        name: "spurious-in-kprobe",
        setup: || kprobe(code::outer as *const () as u64, None, None),
        before: inject,
        body: outer,
        handler: |_| _ = outer(),
        ..Scenario::EMPTY
    },
];

extern "C" fn outer() -> u64 {
    code::outer(1)
}
