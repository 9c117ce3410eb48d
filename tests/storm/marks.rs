//! The marks that slots and probes leave in the registers of an execution.

use super::code::Target;
use kernel::debug::slots::Hit;
use kernel::exception::DebugFrame;
use kernel::kprobe::{Kprobe, Then};

/// A breakpoint's handler: adds a mark in the breakpoint's lane.
pub fn breakpoint<const LANE: u32>(_: &Hit, frame: &mut DebugFrame) {
    frame.x[1] += 1 << (8 * LANE);
}

/// A watchpoint's handler: adds a mark.
pub fn watchpoint(_: &Hit, frame: &mut DebugFrame) {
    frame.x[2] += 1;
}

/// A pre-handler: adds a mark in the probe's lane.
pub fn pre<const LANE: u32>(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    frame.x[3] += 1 << (16 * LANE);
    Then::Run
}

/// A post-handler: adds a mark in the probe's lane.
pub fn post<const LANE: u32>(_: &Kprobe, frame: &mut DebugFrame) {
    frame.x[3] += 1 << (16 * LANE + 8);
}

/// A pre-handler: adds a mark in the probe's lane, and does the probed ADD in place of the instruction.
pub fn skip<const LANE: u32>(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    frame.x[3] += 1 << (16 * LANE);
    frame.x[0] += 1;
    frame.pc += 4;
    Then::Skip
}

/// A pre-handler: runs the target again, and adds the marks of that execution to its own. If that execution did not do what it
/// must, adds a mark that no execution may have.
pub fn recurse(probe: &Kprobe, frame: &mut DebugFrame) -> Then {
    let wrong = 1 << 48;
    let inner = match Target::at(probe.address).run(false) {
        // In debug context D is masked, so slots do not hit.
        Some(marks) if (marks.breakpoints, marks.watchpoints) == (0, 0) => marks.probes,
        _ => wrong,
    };
    frame.x[3] += 1 + inner;
    Then::Run
}
