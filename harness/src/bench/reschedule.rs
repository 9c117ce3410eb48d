//! M8: an interrupt in the middle of a step asks for a reschedule, which has to wait for the end of the step. How long that takes.

use super::place::{must, remove};
use ::slots::{Cpus, Privilege, Request};
use alloc::boxed::Box;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::drivers::gic::{self, Target};
use kernel::drivers::timer;
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::{self, sgi};
use kernel::watcher;
use kernel::{percpu, sched};

/// Returns the counter at its first instruction.
#[unsafe(naked)]
extern "C" fn stepped() -> u64 {
    naked_asm!("mrs x0, cntvct_el0", "ret")
}

/// The counter when the other thread last went on.
static WENT_ON: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicBool = AtomicBool::new(false);

fn interrupts(_: &Hit, _: &mut DebugFrame) {
    gic::send_sgi(sgi::TEST, Target::Me);
}

fn wants_reschedule(_: &mut Frame) {
    sched::want_reschedule();
}

fn other() {
    while !OVER.load(Relaxed) {
        sched::yield_now();
        WENT_ON.store(timer::now(), Relaxed);
    }
}

/// While an instruction is stepped over, an interrupt asks for a reschedule. Returns how many instructions are executed from the
/// stepped-over one until the other thread goes on: the step exception, the SGI that makes up for the reschedule, and the switch.
/// `median` takes the samples.
pub fn after_step(median: impl FnOnce(fn() -> u64) -> u64) -> u64 {
    irq::set_handler(sgi::TEST, wants_reschedule);
    let request = Request::Breakpoint { address: stepped as *const () as u64, privilege: Privilege::El1 };
    let slot = must(slots::install(&request, Cpus::ALL, Disposition::Call(watcher!(interrupts))));
    let thread = must(sched::spawn(percpu::index(), "other", Box::new(other)));
    sched::yield_now();
    let cost = median(|| {
        let ran = stepped();
        WENT_ON.load(Relaxed).wrapping_sub(ran)
    });
    OVER.store(true, Relaxed);
    thread.join();
    remove(slot);
    cost
}
