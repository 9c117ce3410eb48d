//! Debug exceptions, faults and calls of programs at EL0, from the program's instruction to the first one of its handler of signals and back
//! through `rt_sigreturn` (M1 to M5, T1 to T4).
//!
//! The interrupt comes in front of each instruction, at EL0 and in the kernel. What it does there differs: it makes a more important
//! program ready, which runs at once and traps itself; it sends a signal, which has a handler of its own, from its deferred work or from a
//! thread that it wakes; it ends the turn of the program, so that an equal one runs; or it asks for a step of the program.
//!
//! - `text`: the program.
//! - `stage`: the programs that take part, and the thread that lets them go.
//! - `outcome`: what they must have done.

mod outcome;
mod stage;
mod text;

use crate::el0::{DATA, EXECUTES, READS_AND_WRITES, WRITES, Watch};
use alloc::string::String;
use harness::sweep::Scenario;
use kernel::debug::stats;
use kernel::exception::Frame;
use kernel::irq::deferred;
use kernel::sched::{self, TaskState};
use kernel::smp;
use outcome::{Due, facts};
use rules::pstate::SPSR_SS;
use rules::step::Owners;
use signals::Signal;
use stage::{GO, NOWHERE, Part, SIGNAL, Trap, Who, actor, ask, set_up};
use text::{Act, Place, word};

pub static SCENARIOS: [Scenario; 22] = [
    preempted("program-brk-preempted", || set_up(&[(Who::First, BRK), URGENT]), in_handler),
    signalled("program-brk-signalled", || set_up(&[(Who::First, BRK)]), from_deferred_work, in_handler),
    Scenario {
        body: stepped_lap,
        within: Some(to_the_deed),
        ..preempted("program-step-preempted", || set_up(&[(Who::First, STEP), URGENT]), in_handler)
    },
    Scenario {
        body: stepped_lap,
        within: Some(to_the_deed),
        ..signalled("program-step-signalled", || set_up(&[(Who::First, STEP)]), from_a_thread, in_handler)
    },
    preempted("program-breakpoint-preempted", || set_up(&[(Who::First, BREAKPOINT), URGENT]), over_spot),
    signalled(
        "program-breakpoint-signalled",
        || set_up(&[(Who::First, BREAKPOINT)]),
        from_a_thread,
        over_spot,
    ),
    preempted("program-watchpoint-preempted", || set_up(&[(Who::First, WATCHPOINT), URGENT]), over_store),
    signalled(
        "program-watchpoint-signalled",
        || set_up(&[(Who::First, WATCHPOINT)]),
        from_deferred_work,
        over_store,
    ),
    preempted("program-counts-preempted", || set_up(&[(Who::First, COUNTED), URGENT]), over_spot),
    signalled("program-counts-signalled", || set_up(&[(Who::First, COUNTED)]), from_a_thread, over_store),
    preempted("program-undefined-preempted", || set_up(&[(Who::First, UNDEFINED), URGENT]), in_handler),
    signalled(
        "program-undefined-signalled",
        || set_up(&[(Who::First, UNDEFINED)]),
        from_a_thread,
        in_handler,
    ),
    preempted("program-segv-preempted", || set_up(&[(Who::First, LOAD), URGENT]), in_handler),
    signalled("program-segv-signalled", || set_up(&[(Who::First, LOAD)]), from_deferred_work, in_handler),
    // With the calls in which the program waits, and the switches to it and away from it.
    Scenario {
        within: Some(stage::whole_lap),
        ..preempted("program-call-preempted", || set_up(&[(Who::First, CALL), URGENT]), over_call)
    },
    Scenario {
        within: Some(stage::whole_lap),
        ..signalled("program-call-signalled", || set_up(&[(Who::First, CALL)]), from_a_thread, over_call)
    },
    preempted("program-pages-preempted", || set_up(&[(Who::First, TOUCH), URGENT]), |_| true),
    signalled("program-pages-signalled", || set_up(&[(Who::First, TOUCH)]), from_a_thread, |_| true),
    // Two programs with slots of their own have the same priority. The interrupt ends the turn of the one that runs.
    Scenario {
        name: "programs-take-turns",
        body: two_laps,
        within: Some(|| (actor(Who::First).span().0, actor(Who::Second).span().1)),
        handler: |frame| {
            if frame.is_some() {
                sched::want_reschedule();
            }
        },
        nmis: true,
        ..preempted("", || set_up(&[(Who::First, COUNTED), (Who::Second, BREAKPOINT)]), over_spot)
    },
    // The program goes to another CPU, if there is one, traps there, and comes back. What the interrupt does reaches it where it is.
    preempted("program-moves-preempted", move_set_up, is_away),
    signalled("program-moves-signalled", || set_up(&[(Who::First, AWAY)]), from_a_thread, is_away),
    // The interrupt asks for a step of the program, wherever the program is. An interrupt that comes late has the step made in the lap after.
    // One step exception ends the step and a step-over, if both are of the same instruction.
    Scenario {
        name: "program-step-asked",
        handler: |_| actor(Who::First).task.debug.request_step(Owners::TRACER),
        facts: || {
            stage::lap(&[Who::First]);
            facts(Due { signals: 0, laps: 2 })
        },
        varies: &[stats::STEPS],
        ..preempted("", || set_up(&[(Who::First, ASKED)]), over_spot)
    },
];

const BRK: Part =
    Part { act: Act::Brk, watches: &[], trap: trap(TRAP_BRKPT, |at| at == Place::Brk.address()) };

/// A step that is asked for while the program waits in a call: it executes one instruction behind the call, or the first one of a handler.
const STEP: Part = Part { act: Act::Call, watches: &[], trap: trap(TRAP_TRACE, lands) };

/// Behind the first instruction at EL0; at the first one of a handler, if a signal comes between (T2).
fn lands(at: u64) -> bool {
    [Place::BehindWait.address() + 4, Place::Handler.address()].contains(&at)
}

const BREAKPOINT: Part = Part {
    act: Act::Spot,
    watches: &[(|| executed(Place::Spot, true), 1), (|| stored(READS_AND_WRITES, false), 2)],
    trap: trap(TRAP_PERF, |at| at == Place::Spot.address()),
};

const WATCHPOINT: Part = Part {
    act: Act::Spot,
    watches: &[(|| stored(WRITES, true), 1), (|| executed(Place::Spot, false), 1)],
    trap: trap(TRAP_PERF, |at| at == DATA + word::STORED),
};

/// Hits that are only counted: of a breakpoint, of a watchpoint, and of both at one instruction.
const COUNTED: Part = Part {
    act: Act::Spot,
    watches: &[
        (|| executed(Place::Spot, false), 1),
        (|| executed(Place::Store, false), 1),
        (|| stored(READS_AND_WRITES, false), 2),
    ],
    trap: None,
};

/// A call with a breakpoint on its SVC: the step-over ends with the call (T2).
const CALL: Part = Part { act: Act::Call, watches: &[(|| executed(Place::Call, false), 1)], trap: None };

const UNDEFINED: Part = Part {
    act: Act::Undefined,
    watches: &[],
    trap: Some(Trap { signal: Signal::SIGILL, code: 1, at: |at| at == Place::Undefined.address() }),
};

const LOAD: Part = Part {
    act: Act::Load,
    watches: &[(|| executed(Place::Load, false), 1)],
    trap: Some(Trap { signal: Signal::SIGSEGV, code: 1, at: |at| at == NOWHERE }),
};

const TOUCH: Part = Part { act: Act::Touch, watches: &[], trap: None };

/// A BRK on another CPU, with a breakpoint on it: the BRK ends the step-over.
const AWAY: Part = Part {
    act: Act::Away,
    watches: &[(|| executed(Place::AwayBrk, false), 1)],
    trap: trap(TRAP_BRKPT, |at| at == Place::AwayBrk.address()),
};

/// As [`COUNTED`], and a step somewhere.
const ASKED: Part = Part { trap: trap(TRAP_TRACE, |_| true), ..COUNTED };

/// The more important program that an interrupt makes ready. It traps at its breakpoint.
const URGENT: (Who, Part) = (Who::Urgent, BREAKPOINT);

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

/// A scenario in which the interrupt makes a more important program ready.
const fn preempted(
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

/// A scenario in which the interrupt sends the program a signal, by `handler`.
const fn signalled(
    name: &'static str,
    setup: fn() -> Result<(), String>,
    handler: fn(Option<&Frame>),
    covers: fn(&Frame) -> bool,
) -> Scenario {
    Scenario { handler, facts: || facts(Due { signals: 1, laps: 1 }), ..preempted(name, setup, covers) }
}

/// The more important program runs on the CPU that the other one goes to.
fn move_set_up() -> Result<(), String> {
    set_up(&[(Who::First, AWAY), URGENT])?;
    actor(Who::Urgent).moves_to(1)
}

fn from_deferred_work(frame: Option<&Frame>) {
    if frame.is_none() || !deferred::defer(stage::signal) {
        stage::signal();
    }
}

fn from_a_thread(_: Option<&Frame>) {
    ask(SIGNAL);
}

/// From the request for a step to the program's deed: the step is made when the program's wait is over.
fn to_the_deed() -> (u64, u64) {
    (stage::whole_lap().0, actor(Who::First).span().0)
}

extern "C" fn one_lap() -> u64 {
    stage::lap(&[Who::First])
}

extern "C" fn two_laps() -> u64 {
    stage::lap(&[Who::First, Who::Second]) - 1
}

extern "C" fn stepped_lap() -> u64 {
    actor(Who::First).task.debug.request_step(Owners::TRACER);
    stage::lap(&[Who::First])
}

/// Whether the interrupt has come in the program's handler of signals.
fn in_handler(frame: &Frame) -> bool {
    Place::Handler.is_before(frame.pc)
}

/// Whether the interrupt has come when a slot has been hit, and the instruction is about to be executed.
fn over_spot(frame: &Frame) -> bool {
    frame.pc == Place::Spot.address() && frame.pstate & SPSR_SS != 0
}

/// Whether the program runs on the other CPU, if there is one. The interrupt comes on the first CPU.
fn is_away(_: &Frame) -> bool {
    smp::online_count() == 1 || sched::state(actor(Who::First).task.thread()) == Some((TaskState::Running, 1))
}

/// See [`over_spot`].
fn over_call(frame: &Frame) -> bool {
    frame.pc == Place::Call.address() && frame.pstate & SPSR_SS != 0
}

/// See [`over_spot`].
fn over_store(frame: &Frame) -> bool {
    frame.pc == Place::Store.address() && frame.pstate & SPSR_SS != 0
}
