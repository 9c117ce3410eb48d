//! What programs do in scenarios, and what must come of it; and the scenarios in which an interrupt makes a program ready.

use super::outcome::{Due, facts};
use super::stage::{self, GO, NOWHERE, Part, Trap, Who, actor, ask};
use super::text::{Act, Place, word};
use crate::el0::{DATA, EXECUTES, READS_AND_WRITES, WRITES, Watch};
use alloc::string::String;
use harness::sweep::Scenario;
use kernel::exception::Frame;
use rules::pstate::SPSR_SS;
use signals::Signal;

pub const BRK: Part =
    Part { act: Act::Brk, watches: &[], trap: trap(TRAP_BRKPT, |at| at == Place::Brk.address()) };

/// A step that is asked for while the program waits in a call: it executes one instruction behind the call, or the first one of a handler.
pub const STEP: Part = Part { act: Act::Call, watches: &[], trap: trap(TRAP_TRACE, lands) };

/// Behind the first instruction at EL0; at the first one of a handler, if a signal comes between (T2).
fn lands(at: u64) -> bool {
    [Place::BehindWait.address() + 4, Place::Handler.address()].contains(&at)
}

pub const BREAKPOINT: Part = Part {
    act: Act::Spot,
    watches: &[(|| executed(Place::Spot, true), 1), (|| stored(READS_AND_WRITES, false), 2)],
    trap: trap(TRAP_PERF, |at| at == Place::Spot.address()),
};

pub const WATCHPOINT: Part = Part {
    act: Act::Spot,
    watches: &[(|| stored(WRITES, true), 1), (|| executed(Place::Spot, false), 1)],
    trap: trap(TRAP_PERF, |at| at == DATA + word::STORED),
};

/// Hits that are only counted: of a breakpoint, of a watchpoint, and of both at one instruction.
pub const COUNTED: Part = Part {
    act: Act::Spot,
    watches: &[
        (|| executed(Place::Spot, false), 1),
        (|| executed(Place::Store, false), 1),
        (|| stored(READS_AND_WRITES, false), 2),
    ],
    trap: None,
};

/// A call with a breakpoint on its SVC: the step-over ends with the call (T2).
pub const CALL: Part = Part { act: Act::Call, watches: &[(|| executed(Place::Call, false), 1)], trap: None };

pub const UNDEFINED: Part = Part {
    act: Act::Undefined,
    watches: &[],
    trap: Some(Trap { signal: Signal::SIGILL, code: 1, at: |at| at == Place::Undefined.address() }),
};

pub const LOAD: Part = Part {
    act: Act::Load,
    watches: &[(|| executed(Place::Load, false), 1)],
    trap: Some(Trap { signal: Signal::SIGSEGV, code: 1, at: |at| at == NOWHERE }),
};

pub const TOUCH: Part = Part { act: Act::Touch, watches: &[], trap: None };

/// A BRK on another CPU, with a breakpoint on it: the BRK ends the step-over.
pub const AWAY: Part = Part {
    act: Act::Away,
    watches: &[(|| executed(Place::AwayBrk, false), 1)],
    trap: trap(TRAP_BRKPT, |at| at == Place::AwayBrk.address()),
};

/// As [`COUNTED`], and a step somewhere.
pub const ASKED: Part = Part { trap: trap(TRAP_TRACE, |_| true), ..COUNTED };

/// The more important program that an interrupt makes ready. It traps at its breakpoint.
pub const URGENT: (Who, Part) = (Who::Urgent, BREAKPOINT);

const TRAP_BRKPT: u32 = 1;
const TRAP_TRACE: u32 = 2;
const TRAP_PERF: u32 = 6;

const fn trap(code: u32, at: fn(u64) -> bool) -> Option<Trap> {
    Some(Trap { signal: Signal::SIGTRAP, code, at })
}

fn executed(place: Place, signals: bool) -> Watch {
    Watch { kind: EXECUTES, address: place.address(), length: 4, signals }
}

fn stored(kind: u32, signals: bool) -> Watch {
    Watch { kind, address: DATA + word::STORED, length: 8, signals }
}

/// A scenario of which each run takes so long that machines which share the boundaries try a quarter of them.
pub const fn long(scenario: Scenario) -> Scenario {
    Scenario { thinned: 4, ..scenario }
}

/// A scenario in which the interrupt makes a more important program ready.
pub const fn preempted(
    name: &'static str,
    setup: fn() -> Result<(), String>,
    covers: fn(&Frame) -> bool,
) -> Scenario {
    Scenario {
        name,
        setup,
        end: stage::clear,
        before: stage::before,
        body: one_lap,
        within: Some(|| actor(Who::First).span()),
        handler: |_| ask(GO[Who::Urgent as usize]),
        covers,
        facts: || facts(Due { signals: 0, laps: 1 }),
        due: |laps, [wrong, _]| (laps, wrong) == (1, 0),
        // Their handler does nothing: no program would be made ready.
        nmis: false,
        ..Scenario::EMPTY
    }
}

/// One lap of the first program.
pub extern "C" fn one_lap() -> u64 {
    stage::lap(&[Who::First])
}

/// Whether the interrupt has come when a slot has been hit, and the instruction is about to be executed.
pub fn over_spot(frame: &Frame) -> bool {
    frame.pc == Place::Spot.address() && frame.pstate & SPSR_SS != 0
}

/// See [`over_spot`].
pub fn over_call(frame: &Frame) -> bool {
    frame.pc == Place::Call.address() && frame.pstate & SPSR_SS != 0
}

/// See [`over_spot`].
pub fn over_store(frame: &Frame) -> bool {
    frame.pc == Place::Store.address() && frame.pstate & SPSR_SS != 0
}
