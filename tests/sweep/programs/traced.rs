//! Tracees and their tracer, a program at EL0 that calls ptrace (T1 to T6).
//!
//! In the scenarios `traced-*` the tracer does its work from PTRACE_ATTACH to PTRACE_DETACH, and the interrupt comes in front of each
//! instruction of a part of that, at EL0 of the tracer and of the tracee and in the kernel; it makes a more important program ready, which
//! has slots of its own and traps. In the scenarios `attached-*` the program is at its deed, and the interrupt makes the tracer ready, which
//! attaches at once. So the trace begins and ends at each instruction of the program, and of the calls and exceptions that it takes.

use super::outcome::{Due, facts};
use super::parts::{CALL, COUNTED, TOUCH, URGENT, over_call, over_spot, over_store, preempted};
use super::stage::{self, GO, Part, Who, actor, ask, set_up};
use super::text::{self, Act, Place};
use super::tracer::{Go, HWBKPT, PC, Script, Set, Stop, Target, word};
use crate::el0::DATA;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::sweep::Scenario;
use kernel::debug::stats;
use kernel::exception::Frame;
use rules::step::Owners;

pub static SCENARIOS: [Scenario; 9] = [
    traced("traced-step", || sets_up(&[SPOT, URGENT], steps), |frame| frame.pc == Place::Store.address()),
    traced(
        "traced-watchpoint",
        || sets_up(&[SPOT, URGENT], watches),
        |frame| frame.pc == Place::Store.address(),
    ),
    traced(
        "traced-call",
        || sets_up(&[PLAIN_CALL, URGENT], calls),
        |frame| frame.pc == Place::Call.address(),
    ),
    traced("traced-slot-detached", || sets_up(&[SPOT, URGENT], steps_under_a_slot), |_| true),
    attached(
        "attached-spot",
        || sets_up(&[(Who::First, COUNTED)], |script| script.attach().go(Go::Detach)),
        over_spot,
    ),
    attached("attached-slot", || sets_up(&[(Who::First, COUNTED)], sets_and_clears), over_store),
    attached("attached-steps", || sets_up(&[(Who::First, COUNTED)], |script| stepped(script, 2)), over_spot),
    attached(
        "attached-steps-in-call",
        || sets_up(&[(Who::First, CALL)], |script| stepped(script, 2)),
        over_call,
    ),
    attached(
        "attached-steps-in-faults",
        || sets_up(&[(Who::First, TOUCH)], |script| stepped(script, 1)),
        |_| true,
    ),
];

/// A NOP, a store, a load, which nobody watches but the tracer.
const SPOT: (Who, Part) = (Who::First, Part { act: Act::Spot, watches: &[], trap: None });
/// getpid.
const PLAIN_CALL: (Who, Part) = (Who::First, Part { act: Act::Call, ..SPOT.1 });

/// How many boundaries of these scenarios one is tried of in the quick matrix.
const THINNED: u64 = 64;

/// A scenario in which the tracer's work is interrupted.
const fn traced(
    name: &'static str,
    setup: fn() -> Result<(), String>,
    covers: fn(&Frame) -> bool,
) -> Scenario {
    Scenario {
        before,
        body: tracers_lap,
        within: Some(|| actor(Who::Tracer).span()),
        facts: all_facts,
        thinned: THINNED,
        ..preempted(name, setup, covers)
    }
}

/// A scenario in which a program's deed is interrupted, and the tracer comes.
const fn attached(
    name: &'static str,
    setup: fn() -> Result<(), String>,
    covers: fn(&Frame) -> bool,
) -> Scenario {
    Scenario {
        before,
        handler: |frame| {
            // Without an interrupt there is no tracer: in the call in which the program waits it could not be stepped.
            if frame.is_some() {
                ASKED.fetch_add(1, Relaxed);
                ask(GO[Who::Tracer as usize]);
            }
        },
        facts: all_facts,
        varies: &[stats::STEPS],
        thinned: 4,
        ..preempted(name, setup, covers)
    }
}

/// How often the tracer was asked for in a run, and how many laps it had done before.
static ASKED: AtomicU64 = AtomicU64::new(0);
static LAPS: AtomicU64 = AtomicU64::new(0);

fn before() {
    stage::before();
    ASKED.store(0, Relaxed);
    LAPS.store(actor(Who::Tracer).laps(), Relaxed);
}

extern "C" fn tracers_lap() -> u64 {
    ASKED.fetch_add(1, Relaxed);
    stage::lap(&[Who::Tracer])
}

/// What is wrong with the tracer or with what it has left behind, as a number: see [`all_facts`].
mod wrong {
    pub const OPERATION: u64 = 0x8_0000;
    pub const LAPS: u64 = 0x9_0000;
    pub const OWNER: u64 = 0xa_0000;
    pub const SLOT: u64 = 0xb_0000;
}

/// What is wrong with the programs; else the number of the operation of the script that has gone wrong, and its result; else what the tracer has
/// left behind.
fn all_facts() -> [u64; 2] {
    let programs = facts(Due { signals: 0, laps: 1 });
    let tracer = actor(Who::Tracer);
    let operation = tracer.read(word::WRONG);
    if operation != 0 {
        return [wrong::OPERATION + operation, tracer.read(word::RESULT)];
    }
    if programs != [0, 0] {
        return programs;
    }
    let laps = tracer.laps() - LAPS.load(Relaxed);
    if laps != ASKED.load(Relaxed) {
        return [wrong::LAPS, laps];
    }
    let task = &actor(Who::First).task;
    if task.debug.is_step_asked(Owners::TRACER) {
        return [wrong::OWNER, 0];
    }
    for kind in [hwdebug::Kind::Break, hwdebug::Kind::Watch] {
        let enabled = task.hw_debug(kind)[8..].chunks(16).filter(|slot| slot[8] & 1 != 0).count();
        if enabled != 0 {
            return [wrong::SLOT + kind as u64, enabled as u64];
        }
    }
    [0, 0]
}

/// Programs do this, and the tracer of the first one follows a script.
fn sets_up(parts: &[(Who, Part)], script: fn(Script) -> Script) -> Result<(), String> {
    set_up(parts)?;
    let pid = actor(Who::First).task.process.pid.into();
    let data = DATA + text::word::STORED;
    let target = Target { pid, instruction: parts[0].1.act.address(), data };
    let (script, buffers) = script(Script::new(target)).bytes();
    let tracer = actor(Who::Tracer);
    tracer.write(word::TRACEE, pid);
    tracer.fill(word::SCRIPT, &script)?;
    tracer.fill(word::BUFFERS, &buffers)
}

/// Each of the three instructions is stepped.
fn steps(script: Script) -> Script {
    let at = Place::Spot.address();
    let script = script.comes_to_the_deed().begin();
    let script = [4, 8, 12].into_iter().fold(script, |script, n| script.step(Some(at + n)));
    script.go(Go::Detach).end()
}

/// The store hits, is stepped over with the watchpoint off, and the load hits the watchpoint that is on again.
fn watches(script: Script) -> Script {
    let (data, store) = (DATA + text::word::STORED, Place::Store.address());
    let hit = |script: Script, pc| {
        script.go(Go::Cont).stops(Stop::Trap).tells(HWBKPT, Some(data)).register(PC, pc).slot(Set::WatchOff)
    };
    let script = hit(script.comes_to_the_deed().slot(Set::WatchOn).begin(), store);
    let script = script.step(Some(store + 4)).slot(Set::WatchOn).end();
    hit(script, store + 4).go(Go::Detach)
}

/// The stops where a call begins and where it ends.
fn calls(script: Script) -> Script {
    const GETPID: u64 = 172;
    let script = script.comes_to_the_deed().has_good_stops().begin();
    let script = script.go(Go::Syscall).stops(Stop::Call).register(8, GETPID);
    let script = script.go(Go::Syscall).stops(Stop::Call).end();
    let pid = actor(Who::First).task.process.pid.into();
    script.register(0, pid).register(PC, Place::Call.address() + 4).go(Go::Detach)
}

/// A task that is stepped onto an instruction that would hit is let go without the slot.
fn steps_under_a_slot(script: Script) -> Script {
    let store = Place::Store.address();
    let script = script.comes_to_the_deed().begin().slot(Set::WatchOn).step(Some(store));
    // The step is not executed: the slot stops it (T6).
    let script = script.go(Go::Step).stops(Stop::Trap).tells(HWBKPT, Some(DATA + text::word::STORED));
    script.register(PC, store).slot(Set::WatchOff).go(Go::Detach).end()
}

fn sets_and_clears(script: Script) -> Script {
    script.attach().slot(Set::WatchOn).slot(Set::WatchOff).go(Go::Detach)
}

fn stepped(script: Script, steps: usize) -> Script {
    (0..steps).fold(script.attach(), |script, _| script.step(None)).go(Go::Detach)
}
