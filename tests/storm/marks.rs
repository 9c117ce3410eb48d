//! The marks that slots and probes leave in the registers of an execution.

use super::code::Target;
use kernel::debug::slots::Hit;
use kernel::exception::DebugFrame;
use kernel::kprobe::{Kprobe, Then};

/// A breakpoint's.
pub fn breakpoint<const LANE: u32>(_: &Hit, frame: &mut DebugFrame) {
    frame.x[1] += 1 << (8 * LANE);
}

/// A watchpoint's.
pub fn watchpoint(_: &Hit, frame: &mut DebugFrame) {
    frame.x[2] += 1;
}

/// A probe's, before the instruction.
pub fn pre<const LANE: u32>(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    frame.x[3] += 1 << (16 * LANE);
    Then::Run
}

/// Behind it.
pub fn post<const LANE: u32>(_: &Kprobe, frame: &mut DebugFrame) {
    frame.x[3] += 1 << (16 * LANE + 8);
}

/// Instead of it, which adds 1.
pub fn skip<const LANE: u32>(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    frame.x[3] += 1 << (16 * LANE);
    frame.x[0] += 1;
    frame.pc += 4;
    Then::Skip
}

/// A probe's that runs the target again: with a mark that no execution may have if that did not do what it does.
pub fn recurse(probe: &Kprobe, frame: &mut DebugFrame) -> Then {
    let wrong = 1 << 48;
    let inner = match Target::at(probe.address).run(false) {
        // In debug context slots do not hit.
        Some(marks) if (marks.breakpoints, marks.watchpoints) == (0, 0) => marks.probes,
        _ => wrong,
    };
    frame.x[3] += 1 + inner;
    Then::Run
}
