//! Single steps through a loop with interrupts on, while interrupts come in the middle of the steps (M8, M13, X2).

use super::{Finding, Outcome};
use alloc::format;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::debug::session::{self, Wish};
use kernel::debug::stats;
use kernel::drivers::gic::{self, Target};
use kernel::exception::Frame;
use kernel::irq::{self, sgi};
use rules::pstate::Daif;

/// Steps at least.
const STEPS: u64 = 1000;
/// Interrupts in the middle of a step at least.
const INTERRUPTS: u64 = 200;
/// Rounds of the loop at most: it ends whatever becomes of the steps.
const ROUNDS_LIMIT: u64 = 4000;
/// Steps at most, wherever they land.
const STEPS_LIMIT: u64 = 2 * LOOP * ROUNDS_LIMIT;
/// An interrupt is raised every so many steps: no divisor of the loop's length, so that it meets each of its instructions.
const EVERY: u64 = 5;

/// Instructions of [`spin`] before the loop, in the loop, and behind it.
const HEAD: u64 = 2;
const LOOP: u64 = 6;
/// The branch back, by its index.
const LAST: u64 = HEAD + LOOP - 1;
/// The first instruction behind the loop.
const BEHIND: u64 = HEAD + LOOP;
/// PSTATE.C: clear where `lo` holds.
const CARRY: u64 = 1 << 29;

/// Does as many rounds as `allowed` says meanwhile; x1 counts them. Returns how many of them were odd, told by the flags,
/// less half of all.
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
/// All steps, those on the way to the loop too.
static ALL: AtomicU64 = AtomicU64::new(0);
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

/// Looks at where a step landed, and raises an interrupt now and then, which is then taken in the middle of the next step.
fn judge(frame: &mut Frame) -> Wish {
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
        // Astray: goes on to be seen wherever it lands.
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
