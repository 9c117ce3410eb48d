//! What the debug paths cost, in guest instructions, and how long they keep exceptions masked.
//!
//! Under `-icount shift=0` with a counter of 1 GHz, one tick of CNTVCT_EL0 is one instruction. So these figures are exact counts, and the
//! same in every run.
//!
//! - `rows`: the cost of each operation, one row for each.
//! - `reschedule`: the row about a reschedule that had to wait for the end of a step.
//! - `delivery`: the row about an interrupt during the second phase of M4, with the programs of `program`.
//! - `stretches`: runs each path between two marks that the host finds in QEMU's log of every instruction, where it counts
//!   how long PSTATE.D and PSTATE.I stay set.
//! - `samples`: a series of samples, some of which the host finds in QEMU's log, where it counts the expensive instructions.
//! - `place`: the probes and slots that `rows` and `stretches` use.

mod delivery;
mod many;
mod place;
mod program;
mod reschedule;
mod rows;
mod samples;
mod stretches;

pub use rows::run as costs;
pub use rows::run_sampled as samples;
pub use stretches::run as stretches;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::arch::daif;
use kernel::drivers::timer;
use kernel::exception::Frame;
use kernel::{early, irq, time};

/// Runs `work` while the tick is off: a tick would disturb a measurement.
fn without_tick(work: impl FnOnce()) {
    {
        let _masked = daif::AllMasked::new();
        time::pause();
    }
    work();
    time::resume();
}

/// The counter when the interrupt's handler was reached; 0 while it has not been reached.
static REACHED: AtomicU64 = AtomicU64::new(0);

fn reached(_: &mut Frame) {
    REACHED.store(timer::now(), Relaxed);
    timer::stop();
}

/// Spins until the handler has been reached. Returns the counter at that moment.
#[inline(always)]
fn wait() -> u64 {
    loop {
        match REACHED.load(Relaxed) {
            0 => kernel::arch::barrier::relax(),
            at => return at,
        }
    }
}

/// Runs `work` while the timer's interrupts go to `handler` instead of the tick.
fn with_timer<R>(handler: irq::Handler, work: impl FnOnce() -> R) -> R {
    let intid = early::boot().platform.timer.virt;
    irq::set_handler(intid, handler);
    let result = work();
    irq::set_handler(intid, time::interrupt);
    result
}
