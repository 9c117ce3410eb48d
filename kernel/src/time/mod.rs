//! The tick.

use crate::drivers::timer::Tick;
use crate::exception::Frame;
use crate::percpu::PerCpu;
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Ticks of each CPU since it came up.
pub static TICKS: PerCpu<AtomicU64> = crate::per_cpu!(AtomicU64::new(0));

/// Touched with interrupts off only.
static TICK: PerCpu<Cell<Option<Tick>>> = crate::per_cpu!(Cell::new(None));

/// Starts this CPU's tick, `hz` a second. Interrupts off.
///
/// # Panics
/// If the counter is slower than that.
#[inline(never)]
pub fn init_cpu(hz: u32) {
    match Tick::start(hz) {
        Ok(tick) => TICK.this().set(Some(tick)),
        Err(error) => panic!("{error}"),
    }
}

/// Ticks of this CPU. Any context.
pub fn ticks() -> u64 {
    TICKS.this().load(Relaxed)
}

/// Stops this CPU's tick until [`resume`]. Interrupts off; not from a debug context, which may have interrupted the tick's handler
/// on its way to arm the timer.
pub fn pause() {
    crate::drivers::timer::stop();
}

/// Goes on where [`pause`] stopped, under the same conditions.
pub fn resume() {
    if let Some(tick) = TICK.this().get() {
        tick.resume();
    }
}

/// The timer's handler (M8).
pub fn interrupt(_: &mut Frame) {
    let tick = TICK.this();
    let Some(mut state) = tick.get() else { return };
    let passed = state.rearm();
    tick.set(Some(state));
    account(passed);
    crate::console::flush_kept();
    crate::sched::tick();
}

/// Counts ticks. On its own so that there is a function on the timer's path to probe and a store to watch.
#[inline(never)]
pub fn account(passed: u64) {
    let ticks = TICKS.this();
    ticks.store(ticks.load(Relaxed) + passed, Relaxed);
}
