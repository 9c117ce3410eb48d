//! What the debug paths cost, in guest instructions, and how long they keep exceptions masked.
//!
//! Under `-icount shift=0` with a counter of 1 GHz one tick of CNTVCT_EL0 is one instruction, so what is read here is a count,
//! the same in every run.
//!
//! - `rows`: each row the extra cost of one operation.
//! - `reschedule`: the row of a reschedule that a step has held back.
//! - `stretches`: runs each path between two marks that the host finds in QEMU's log of every instruction, where it counts
//!   how long PSTATE.D and PSTATE.I stay set.
//! - `place`: the probes and slots that both measure.

mod many;
mod place;
mod reschedule;
mod rows;
mod stretches;

pub use rows::run as costs;
pub use stretches::run as stretches;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::arch::daif;
use kernel::drivers::timer;
use kernel::exception::Frame;
use kernel::{early, irq, time};

/// Runs `work` without the tick, which would come in the middle of a measurement.
fn without_tick(work: impl FnOnce()) {
    {
        let _masked = daif::AllMasked::new();
        time::pause();
    }
    work();
    time::resume();
}

/// When an interrupt's handler was reached, in counter ticks; 0: not yet.
static REACHED: AtomicU64 = AtomicU64::new(0);

fn reached(_: &mut Frame) {
    REACHED.store(timer::now(), Relaxed);
    timer::stop();
}

/// Spins until the handler was reached; says when.
#[inline(always)]
fn wait() -> u64 {
    loop {
        match REACHED.load(Relaxed) {
            0 => kernel::arch::barrier::relax(),
            at => return at,
        }
    }
}

/// Runs `work` with `handler` instead of the tick's behind the timer.
fn with_timer<R>(handler: irq::Handler, work: impl FnOnce() -> R) -> R {
    let intid = early::boot().platform.timer.virt;
    irq::set_handler(intid, handler);
    let result = work();
    irq::set_handler(intid, time::interrupt);
    result
}
