//! M8: how soon a reschedule comes that a step has held back.

use super::place::{must, remove};
use ::slots::{Cpus, Privilege, Request};
use alloc::boxed::Box;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::drivers::gic::{self, Target};
use kernel::drivers::timer;
use kernel::exception::Frame;
use kernel::irq::{self, sgi};
use kernel::{percpu, sched};

/// Says when its first instruction ran.
#[unsafe(naked)]
extern "C" fn stepped() -> u64 {
    naked_asm!("mrs x0, cntvct_el0", "ret")
}

/// When the other thread went on, the last time.
static WENT_ON: AtomicU64 = AtomicU64::new(0);
static OVER: AtomicBool = AtomicBool::new(false);

fn interrupts(_: &Hit, _: &mut Frame) {
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

/// From an instruction that is stepped over, in the middle of which an interrupt wanted a reschedule, to where the other thread
/// goes on: its step exception, the interrupt that makes it up, the switch.
/// `median` takes samples.
pub fn after_step(median: impl FnOnce(fn() -> u64) -> u64) -> u64 {
    irq::set_handler(sgi::TEST, wants_reschedule);
    let request = Request::Breakpoint { address: stepped as *const () as u64, privilege: Privilege::El1 };
    let slot = must(slots::install(&request, Cpus::ALL, Disposition::Call(interrupts)));
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
