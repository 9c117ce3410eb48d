//! Watchpoints on data that the timer interrupt writes, on every CPU, at the fastest tick.

use crate::address_of;
use crate::failed;
use crate::support::{Slot, on_every_cpu, together, watchpoint_at};
use ::slots::{Access, Cpus, Kind};
use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use harness::ktest::{Ended, Outcome};
use harness::{check_eq, skip};
use kernel::debug::slots::{Disposition, Hit};
use kernel::exception::DebugFrame;
use kernel::irq::off::{self, IrqOff};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::percpu::PerCpu;
use kernel::sync::SpinLock;
use kernel::watcher;
use kernel::{options, percpu, smp, time};

/// The ticks per second, and the number of timer interrupts that each CPU waits for.
const HZ: u32 = 10_000;
const INTERRUPTS: u64 = 100;

/// For each CPU: how often the probe on `time::account` was hit, the sum of the ticks that the function was told of, and how often
/// the watchpoint's handler was called.
static CALLS: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));
static PASSED: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));
static HANDLED: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));

/// The places at which the CPUs wait for each other, in order.
static HERE: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];
/// Whether the watchpoints call a handler.
static CALLING: AtomicBool = AtomicBool::new(false);
/// The watchpoints, one for each CPU, and the hits that they counted.
static SLOTS: SpinLock<Vec<Slot>> = SpinLock::new(Vec::new());
static HITS: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));

fn pre(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    CALLS.this().fetch_add(1, Relaxed);
    PASSED.this().fetch_add(frame.x[0], Relaxed);
    Then::Run
}

fn handle(_: &Hit, _: &mut DebugFrame) {
    HANDLED.this().fetch_add(1, Relaxed);
}

fn place() -> Outcome {
    let disposition =
        if CALLING.load(Relaxed) { Disposition::Call(watcher!(handle)) } else { Disposition::Count };
    let mut slots = SLOTS.lock();
    for cpu in smp::online() {
        let counter = core::ptr::from_ref(time::TICKS.of(cpu)) as u64;
        slots.push(Slot::on(&watchpoint_at(counter, 8, Access::Write), Cpus::of(cpu as u32), disposition)?);
    }
    kprobe::register(address_of!(time::account), Some(pre), None).map_err(failed)?;
    Ok(())
}

fn take_away() -> Result<(u64, u64), Ended> {
    for (cpu, slot) in smp::online().zip(SLOTS.lock().drain(..)) {
        HITS.of(cpu).store(slot.hits().unwrap_or(u64::MAX), Relaxed);
    }
    kprobe::unregister(address_of!(time::account)).map_err(failed)
}

fn watch() -> Outcome {
    let quiet = || {
        let _off = IrqOff::new();
        time::pause();
    };
    let (first, mut result) = (percpu::index() == 0, Ok(()));
    quiet();
    together(&HERE[0]);
    if first {
        result = place();
    }
    together(&HERE[1]);
    let before = time::ticks();
    {
        let _off = IrqOff::new();
        time::init_cpu(HZ);
    }
    // If the probe could not be placed, CALLS does not grow, and there is nothing to wait for.
    while kprobe::count() != 0 && CALLS.this().load(Relaxed) < INTERRUPTS {
        off::wait();
    }
    quiet();
    let ticks = time::ticks() - before;
    together(&HERE[2]);
    let counts = if first { take_away().map(Some) } else { Ok(None) };
    together(&HERE[3]);
    {
        let _off = IrqOff::new();
        time::init_cpu(options::get().hz);
    }
    result?;
    let (calls, passed) = (CALLS.this().load(Relaxed), PASSED.this().load(Relaxed));
    check_eq!(passed, ticks, "ticks passed to time::account, ticks counted");
    check_eq!(HITS.this().load(Relaxed), calls, "hits of this CPU's watchpoint");
    check_eq!(HANDLED.this().load(Relaxed), if CALLING.load(Relaxed) { calls } else { 0 });
    if let Some(counts) = counts? {
        let all = CALLS.iter().map(|calls| calls.load(Relaxed)).sum();
        check_eq!(counts, (all, 0), "hits of the probe, and misses");
    }
    Ok(())
}

fn every_tick(calling: bool) -> Outcome {
    if smp::online_count() > usize::from(kernel::debug::slots::count(Kind::Watchpoint)) {
        skip!("there are fewer watchpoints than CPUs");
    }
    for counter in CALLS.iter().chain(PASSED.iter()).chain(HANDLED.iter()).chain(HITS.iter()) {
        counter.store(0, Relaxed);
    }
    HERE.iter().for_each(|count| count.store(0, SeqCst));
    CALLING.store(calling, Relaxed);
    on_every_cpu(watch)
}

pub fn watchpoints_on_every_cpus_tick_counter_count_every_tick() -> Outcome {
    every_tick(false)
}

pub fn watchpoints_on_every_cpus_tick_counter_are_handled_at_every_tick() -> Outcome {
    every_tick(true)
}
