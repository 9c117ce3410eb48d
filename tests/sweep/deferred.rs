//! Deferred work that runs while a step is set aside (M8), and that is interrupted itself.

use super::code;
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use harness::sweep::{Scenario, breakpoint};
use kernel::debug;
use kernel::debug::slots::Hit;
use kernel::drivers::gic::{self, Target};
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::{self, deferred, sgi};
use kernel::watcher;
use rules::pstate::SPSR_SS;

pub static SCENARIOS: [Scenario; 1] = [
    // The work is interrupted in the middle of its own step-over, while the interrupted context's step-over is on the stash.
    Scenario {
        name: "deferred-work",
        setup: || {
            irq::set_handler(sgi::TEST, again);
            breakpoint(code::line_at(), Some(watcher!(interrupts_work)))
        },
        body: code::line,
        handler: |frame| match frame {
            Some(_) if deferred::defer(work) => {}
            Some(_) => REFUSED.store(1, Relaxed),
            None => work(),
        },
        covers: |frame| debug::this().stash_len.get() != 0 && frame.pstate & SPSR_SS != 0,
        facts: || [RUNS.swap(0, Relaxed) << 32 | INTERRUPTED.swap(0, Relaxed), REFUSED.load(Relaxed)],
        due: |_, [_, refused]| refused == 0,
        ..Scenario::EMPTY
    },
];

static IN_WORK: AtomicBool = AtomicBool::new(false);
static RUNS: AtomicU64 = AtomicU64::new(0);
static INTERRUPTED: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);

fn work() {
    IN_WORK.store(true, SeqCst);
    // Hits the breakpoint, whose handler sends an interrupt into the step-over.
    let result = code::line();
    RUNS.fetch_add(u64::from(result == 3), Relaxed);
}

fn interrupts_work(_: &Hit, _: &mut DebugFrame) {
    if IN_WORK.swap(false, SeqCst) {
        gic::send_sgi(sgi::TEST, Target::Me);
    }
}

/// The handler of the interrupt in the work. It hits the breakpoint that the work is stepping over.
fn again(frame: &mut Frame) {
    let under_way = debug::this().stash_len.get() != 0 && frame.pstate & SPSR_SS != 0;
    INTERRUPTED.fetch_add(u64::from(under_way && code::line() == 3), Relaxed);
}
