//! A watchpoint on data that the timer interrupt writes.

use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at, watchpoint_at};
use ::slots::{Access, Cpus};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::{percpu, time};

/// How often `time::account` was called on the first CPU, and the sum of the ticks that it was told of.
static CALLS: AtomicU64 = AtomicU64::new(0);
static PASSED: AtomicU64 = AtomicU64::new(0);

fn pre(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    if percpu::index() == 0 {
        CALLS.fetch_add(1, Relaxed);
        PASSED.fetch_add(frame.x[0], Relaxed);
    }
    Then::Run
}

/// A watchpoint on the counter, and a breakpoint and a probe on the function that writes it, are all hit at every tick.
pub fn a_watchpoint_on_the_tick_counter_hits_every_tick() -> Outcome {
    let pause = || {
        let _off = IrqOff::new();
        time::pause();
    };
    CALLS.store(0, Relaxed);
    PASSED.store(0, Relaxed);
    let here = Cpus::of(percpu::index() as u32);
    let counter = time::TICKS.of(percpu::index());
    let watched = watchpoint_at(core::ptr::from_ref(counter) as u64, 8, Access::Write);
    let function = address_of!(time::account);
    pause();
    let count = kernel::debug::slots::Disposition::Count;
    let watchpoint = Slot::on(&watched, here, count)?;
    let breakpoint = Slot::on(&breakpoint_at(function), here, count)?;
    kprobe::register(function, Some(pre), None).map_err(failed)?;
    let before = time::ticks();
    time::resume();
    while CALLS.load(Relaxed) < 10 {
        kernel::irq::off::wait();
    }
    pause();
    let ticks = time::ticks() - before;
    let calls = CALLS.load(Relaxed);
    let removed = kprobe::unregister(function);
    let hits = (watchpoint.hits(), breakpoint.hits());
    time::resume();
    check_eq!(removed.map(|(_, missed)| missed), Ok(0));
    check_eq!(hits, (Some(calls), Some(calls)));
    check_eq!(PASSED.load(Relaxed), ticks);
    Ok(())
}
