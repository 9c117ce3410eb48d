//! Single steps through a loop with interrupts on, while interrupts come in the middle of the steps (M8, M13, X2).

use super::{Finding, Outcome};
use alloc::format;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::debug::session::{self, Wish};
use kernel::debug::stats;
use kernel::drivers::gic::{self, Target};
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::{self, sgi};
use rules::pstate::Daif;

/// The item makes at least this many steps.
const STEPS: u64 = 1000;
/// The item goes on until at least this many interrupts came in the middle of a step.
const INTERRUPTS: u64 = 200;
/// The most rounds of the loop: it ends even if no step is ever taken.
const ROUNDS_LIMIT: u64 = 4000;
/// Stepping ends after this many steps, even if they never reach the end of the loop.
const STEPS_LIMIT: u64 = 2 * LOOP * ROUNDS_LIMIT;
/// An interrupt is raised at each step whose number is a multiple of this. It has no common divisor with the loop's length, so that
/// sooner or later an interrupt comes at each instruction of the loop.
const EVERY: u64 = 5;

/// How many instructions [`spin`] has before its loop.
const HEAD: u64 = 2;
/// How many instructions the loop of [`spin`] has.
const LOOP: u64 = 6;
/// The index of the branch back to the loop's beginning. Indices count the instructions of [`spin`] from 0.
const LAST: u64 = HEAD + LOOP - 1;
/// The index of the first instruction behind the loop.
const BEHIND: u64 = HEAD + LOOP;
/// PSTATE.C, which is clear where the condition `lo` holds.
const CARRY: u64 = 1 << 29;

/// Runs as many rounds as `allowed` says; the value may change meanwhile. x1 counts the rounds, and x2 those with an odd number,
/// which the condition flags tell. Returns the number of odd rounds minus half of all rounds (rounded down). That is 1 after an odd
/// number of rounds and 0 after an even one, if no step has changed the flags.
#[unsafe(naked)]
extern "C" fn spin(allowed: &AtomicU64) -> u64 {
    naked_asm!(
        "mov    x1, #0",
        "mov    x2, #0",
        "2: add x1, x1, #1",
        "tst    x1, #1",
        "cinc   x2, x2, ne",
        "ldr    x3, [x0]",
        "cmp    x1, x3",
        "b.lo   2b",
        "lsr    x1, x1, #1",
        "sub    x0, x2, x1",
        "ret",
    )
}

static ALLOWED: AtomicU64 = AtomicU64::new(0);
/// The number of all steps, also of those before [`spin`] is reached. [`STEPPED`] counts only the steps from there on.
static ALL: AtomicU64 = AtomicU64::new(0);
static STEPPED: AtomicU64 = AtomicU64::new(0);
/// The index of the instruction that the next step must land on; `OUTSIDE` until the function is reached.
static NEXT: AtomicU64 = AtomicU64::new(OUTSIDE);
const OUTSIDE: u64 = u64::MAX;
static ROUNDS: AtomicU64 = AtomicU64::new(0);
static STRAYED: AtomicU64 = AtomicU64::new(0);
static IN_HANDLER: AtomicU64 = AtomicU64::new(0);
static STASHES_BEFORE: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);

pub fn show() -> Outcome {
    for counter in [&ALL, &STEPPED, &ROUNDS, &STRAYED, &IN_HANDLER, &TAKEN] {
        counter.store(0, Relaxed);
    }
    NEXT.store(OUTSIDE, Relaxed);
    ALLOWED.store(ROUNDS_LIMIT, Relaxed);
    STASHES_BEFORE.store(stats::STASHES.here(), Relaxed);
    irq::set_handler(sgi::TEST, taken);
    let mut odd = u64::MAX;
    session::step_with(judge, || odd = spin(&ALLOWED))?;
    let stashes = stats::STASHES.here() - STASHES_BEFORE.load(Relaxed);
    let [steps, rounds, strayed, in_handler, taken] =
        [&STEPPED, &ROUNDS, &STRAYED, &IN_HANDLER, &TAKEN].map(|counter| counter.load(Relaxed));
    let executed = HEAD + LOOP * rounds;
    Ok(Finding {
        counts: format!(
            "{steps} steps for {executed} instructions; {stashes} interrupts in the middle of one ({taken} SGIs), {in_handler} steps into a handler, {strayed} astray"
        ),
        agree: steps >= STEPS
            && steps == executed
            && stashes >= INTERRUPTS.max(taken)
            && in_handler == 0
            && strayed == 0
            && odd == rounds % 2,
    })
}

fn taken(_: &mut Frame) {
    TAKEN.fetch_add(1, Relaxed);
}

/// Checks where a step has landed. Sometimes it raises an interrupt, which is then taken in the middle of the next step.
fn judge(frame: &mut DebugFrame) -> Wish {
    if ALL.fetch_add(1, Relaxed) == STEPS_LIMIT {
        ALLOWED.store(0, Relaxed);
        return Wish::Run;
    }
    if frame.masks().contains(Daif::I) {
        IN_HANDLER.fetch_add(1, Relaxed);
    }
    let at = frame.pc.wrapping_sub(spin as *const () as u64) / 4;
    let expected = NEXT.load(Relaxed);
    if expected == OUTSIDE {
        if at == 0 {
            NEXT.store(1, Relaxed);
        }
        return Wish::Step;
    }
    let steps = STEPPED.fetch_add(1, Relaxed) + 1;
    STRAYED.fetch_add(u64::from(at != expected), Relaxed);
    match at {
        BEHIND => {
            ROUNDS.store(frame.x[1], Relaxed);
            return Wish::Run;
        }
        LAST => {
            let again = frame.pstate & CARRY == 0;
            NEXT.store(if again { HEAD } else { BEHIND }, Relaxed);
        }
        0..LAST => NEXT.store(at + 1, Relaxed),
        // A step that lands astray is counted, and the stepping goes on.
        _ => {}
    }
    if steps >= STEPS && stats::STASHES.here() - STASHES_BEFORE.load(Relaxed) >= INTERRUPTS {
        ALLOWED.store(0, Relaxed);
    }
    if steps.is_multiple_of(EVERY) {
        gic::send_sgi(sgi::TEST, Target::Me);
    }
    Wish::Step
}
