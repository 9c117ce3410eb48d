//! Single steps through a loop with interrupts on, while interrupts come in the middle of the steps (M8, M13, X2).

use super::{Finding, Outcome};
use crate::debug::stats;
use crate::debug::step::{self, Wish};
use crate::drivers::gic::{self, Target};
use crate::exception::Frame;
use crate::irq::{self, sgi};
use alloc::format;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rules::pstate::Daif;

/// Steps at least.
const STEPS: u64 = 1000;
/// Interrupts in the middle of a step at least.
const INTERRUPTS: u64 = 200;
/// Steps at most: without interrupts it ends too.
const LIMIT: u64 = 20_000;
/// An interrupt is raised every so many steps. No multiple of the loop's length, so that it meets each of its instructions.
const EVERY: u64 = 5;

/// Instructions of [`spin`] before the loop, in the loop, and behind it.
const HEAD: u64 = 2;
const LOOP: u64 = 4;
const TAIL: u64 = 3;

/// Loops while `go_on` is not 0; x1 counts the rounds. Returns the odd ones among them, told by the flags, less half of all.
#[unsafe(naked)]
extern "C" fn spin(go_on: u64) -> u64 {
    naked_asm!(
        "mov    x1, #0",
        "mov    x2, #0",
        "2: add x1, x1, #1",
        "tst    x1, #1",
        "cinc   x2, x2, ne",
        "cbnz   x0, 2b",
        "lsr    x1, x1, #1",
        "sub    x0, x2, x1",
        "ret",
    )
}

static STEPPED: AtomicU64 = AtomicU64::new(0);
/// The instruction that the next step is to land on, by its index; `OUTSIDE` before the loop's function is reached.
static NEXT: AtomicU64 = AtomicU64::new(OUTSIDE);
const OUTSIDE: u64 = u64::MAX;
static ROUNDS: AtomicU64 = AtomicU64::new(0);
static STRAYED: AtomicU64 = AtomicU64::new(0);
static IN_HANDLER: AtomicU64 = AtomicU64::new(0);
static STASHES_BEFORE: AtomicU64 = AtomicU64::new(0);
static TAKEN: AtomicU64 = AtomicU64::new(0);

pub fn show() -> Outcome {
    for counter in [&STEPPED, &ROUNDS, &STRAYED, &IN_HANDLER, &TAKEN] {
        counter.store(0, Relaxed);
    }
    NEXT.store(OUTSIDE, Relaxed);
    STASHES_BEFORE.store(stats::STASHES.here(), Relaxed);
    irq::set_handler(sgi::TEST, taken);
    let mut odd = u64::MAX;
    step::step_with(judge, || odd = spin(1))?;
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

/// Looks at where a step landed, and raises an interrupt now and then, which is then taken in the middle of the next step.
fn judge(frame: &mut Frame) -> Wish {
    if frame.masks().contains(Daif::I) {
        IN_HANDLER.fetch_add(1, Relaxed);
    }
    let at = frame.pc.wrapping_sub(spin as *const () as u64) / 4;
    let expected = NEXT.load(Relaxed);
    if expected == OUTSIDE && at >= HEAD + LOOP + TAIL {
        return Wish::Step;
    }
    let steps = if expected == OUTSIDE { 0 } else { STEPPED.fetch_add(1, Relaxed) + 1 };
    if at != expected && !(expected == OUTSIDE && at == 0) {
        STRAYED.fetch_add(1, Relaxed);
    }
    if at == HEAD + LOOP {
        ROUNDS.store(frame.x[1], Relaxed);
        return Wish::Run;
    }
    let stashes = stats::STASHES.here() - STASHES_BEFORE.load(Relaxed);
    if steps >= STEPS && stashes >= INTERRUPTS || steps >= LIMIT {
        frame.x[0] = 0;
    }
    let last = at == HEAD + LOOP - 1;
    NEXT.store(if last && frame.x[0] != 0 { HEAD } else { at + 1 }, Relaxed);
    if steps.is_multiple_of(EVERY) {
        gic::send_sgi(sgi::TEST, Target::Me);
    }
    if steps >= 2 * LIMIT { Wish::Run } else { Wish::Step }
}
