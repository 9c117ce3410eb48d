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
//! - `parts`: what a program does in a scenario.
//! - `traced`: the scenarios with a tracer. `tracer` is that program.

mod outcome;
mod parts;
mod stage;
mod text;
pub mod traced;
mod tracer;

use alloc::string::String;
use harness::sweep::Scenario;
use kernel::debug::stats;
use kernel::exception::Frame;
use kernel::irq::deferred;
use kernel::sched::{self, TaskState};
use kernel::smp;
use outcome::{Due, facts};
use parts::{
    ASKED, AWAY, BREAKPOINT, BRK, CALL, COUNTED, LOAD, STEP, TOUCH, UNDEFINED, URGENT, WATCHPOINT, long,
    over_call, over_spot, over_store, preempted,
};
use rules::step::Owners;
use stage::{SIGNAL, Who, actor, ask, set_up};
use text::Place;

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
    long(preempted("program-pages-preempted", || set_up(&[(Who::First, TOUCH), URGENT]), |_| true)),
    long(signalled("program-pages-signalled", || set_up(&[(Who::First, TOUCH)]), from_a_thread, |_| true)),
    // Two programs with slots of their own have the same priority. The interrupt ends the turn of the one that runs.
    Scenario {
        name: "programs-take-turns",
        thinned: 4,
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
    long(preempted("program-moves-preempted", move_set_up, is_away)),
    long(signalled("program-moves-signalled", || set_up(&[(Who::First, AWAY)]), from_a_thread, is_away)),
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

/// Whether the program runs on the other CPU, if there is one. The interrupt comes on the first CPU.
fn is_away(_: &Frame) -> bool {
    smp::online_count() == 1 || sched::state(actor(Who::First).task.thread()) == Some((TaskState::Running, 1))
}
