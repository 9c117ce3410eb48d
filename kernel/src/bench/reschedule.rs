//! M8: how soon a reschedule comes that a step has held back.

use super::ROUNDS;
use crate::debug::slots::{self, Disposition, Hit};
use crate::drivers::gic::{self, Target};
use crate::drivers::timer;
use crate::exception::Frame;
use crate::irq::{self, sgi};
use crate::{percpu, sched};
use ::slots::{Cpus, Privilege, Request};
use alloc::boxed::Box;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

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
pub fn after_step() -> u64 {
    irq::set_handler(sgi::TEST, wants_reschedule);
    let request = Request::Breakpoint { address: stepped as *const () as u64, privilege: Privilege::El1 };
    let slot = match slots::install(&request, Cpus::ALL, Disposition::Call(interrupts)) {
        Ok(slot) => slot,
        Err(error) => panic!("bench: {error}"),
    };
    let thread = match sched::spawn(percpu::index(), "other", Box::new(other)) {
        Ok(thread) => thread,
        Err(error) => panic!("bench: {error}"),
    };
    sched::yield_now();
    let mut samples = [0; ROUNDS];
    for sample in &mut samples {
        let ran = stepped();
        *sample = WENT_ON.load(Relaxed).wrapping_sub(ran);
    }
    OVER.store(true, Relaxed);
    thread.join();
    let _ = slots::remove(slot);
    samples.sort_unstable();
    samples[ROUNDS / 2]
}
