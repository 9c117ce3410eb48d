//! A debugger whose answers are given by the test in advance.

use crate::failed;
use crate::support::nothing_left;
use alloc::vec::Vec;
use harness::ktest::{Ended, Outcome};
use kernel::debug::debugger::{self, Client, Resume, Stop};
use kernel::debug::session::Stepped;
use kernel::exception::DebugFrame;
use kernel::sync::IrqMutex;
use rules::step::StepError;

/// Why the debugger was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Brk,
    Slot,
    Step(Stepped),
    Refused(StepError),
}

/// One call of the debugger: why it was told, and what it saw in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub why: Why,
    pub pc: u64,
    pub x0: u64,
}

const ROOM: usize = 64;

struct Script {
    answers: &'static [Resume],
    told: [Option<Told>; ROOM],
    len: usize,
}

static SCRIPT: IrqMutex<Script> = IrqMutex::new(Script { answers: &[], told: [None; ROOM], len: 0 });

/// The debugger's client. It gives the answers in their order, and lets the context run when there are no more answers.
pub static CLIENT: Client = Client { tell: client, data: 0 };

fn client(_: &Client, stop: Stop, frame: &mut DebugFrame) -> Resume {
    let why = match stop {
        Stop::Brk => Why::Brk,
        Stop::Slot(_) => Why::Slot,
        Stop::Step(how) => Why::Step(how),
        Stop::Refused(why) => Why::Refused(why),
    };
    // The lock is free: no test holds it while it runs the debugged code, and nothing interrupts a debug context.
    let mut script = SCRIPT.lock();
    let len = script.len;
    if let Some(told) = script.told.get_mut(len) {
        *told = Some(Told { why, pc: frame.pc, x0: frame.x[0] });
    }
    script.len = len + 1;
    script.answers.get(len).copied().unwrap_or(Resume::Run)
}

/// Forgets what the debugger was told. From now on it gives `answers`.
pub fn will_answer(answers: &'static [Resume]) {
    *SCRIPT.lock() = Script { answers, told: [None; ROOM], len: 0 };
}

/// What the debugger was told since [`will_answer`].
pub fn told() -> Vec<Told> {
    let script = SCRIPT.lock();
    script.told.iter().flatten().copied().collect()
}

/// Runs `body` with a debugger that gives `answers`, and returns what it was told.
pub fn debugged(answers: &'static [Resume], body: impl FnOnce() -> Outcome) -> Result<Vec<Told>, Ended> {
    will_answer(answers);
    debugger::register(&CLIENT).map_err(failed)?;
    let outcome = body();
    debugger::unregister();
    outcome?;
    let told = told();
    nothing_left()?;
    Ok(told)
}
