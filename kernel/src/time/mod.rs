//! The tick: a timer interrupt on each CPU, `hz` times a second, which counts ticks and ends the turns of threads.

use crate::drivers::timer::Tick;
use crate::exception::Frame;
use crate::percpu::PerCpu;
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many ticks each CPU has counted since it came up.
pub static TICKS: PerCpu<AtomicU64> = crate::per_cpu!(AtomicU64::new(0));

/// The timer's state of each CPU, touched with interrupts off only.
static TICK: PerCpu<Cell<Option<Tick>>> = crate::per_cpu!(Cell::new(None));

/// Starts this CPU's tick, with `hz` ticks a second. Interrupts are off.
///
/// # Panics
/// If `hz` is 0 or more than the counter's frequency.
#[inline(never)]
pub fn init_cpu(hz: u32) {
    match Tick::start(hz) {
        Ok(tick) => TICK.this().set(Some(tick)),
        Err(error) => panic!("{error}"),
    }
    crate::sched::set_tick(hz);
}

/// How many ticks this CPU has counted. Any context.
pub fn ticks() -> u64 {
    TICKS.this().load(Relaxed)
}

/// Stops this CPU's tick until [`resume`]. Interrupts are off. Not in a debug context: the debug context may have
/// interrupted the tick's handler, which would then start the timer again.
pub fn pause() {
    crate::drivers::timer::stop();
}

/// Starts this CPU's tick again, after [`pause`] has stopped it. May be called where `pause` may be called.
pub fn resume() {
    if let Some(tick) = TICK.this().get() {
        tick.resume();
    }
}

/// The handler of the timer's interrupt (M8).
pub fn interrupt(_: &mut Frame) {
    let tick = TICK.this();
    let Some(mut state) = tick.get() else { return };
    let passed = state.rearm();
    tick.set(Some(state));
    account(passed);
    crate::console::flush_kept();
    crate::sched::tick();
}

/// Counts ticks. This is a separate function so that tests have a function to probe and a store to watch in the timer's
/// handler.
#[inline(never)]
pub fn account(passed: u64) {
    let ticks = TICKS.this();
    ticks.store(ticks.load(Relaxed) + passed, Relaxed);
}
