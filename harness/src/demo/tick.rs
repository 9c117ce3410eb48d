//! Counts timer interrupts, beside the kernel's own count of ticks. The two differ, because one late interrupt stands for several ticks.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::exception::Frame;
use kernel::irq::{self, off};
use kernel::percpu::{self, PerCpu};
use kernel::{early, options, time};

static INTERRUPTS: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));

/// While this value lives, timer interrupts are counted on all CPUs.
pub struct Counting(());

impl Counting {
    /// Starts to count. Thread context.
    pub fn start() -> Self {
        irq::set_handler(early::boot().platform.timer.virt, interrupt);
        Self(())
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        irq::set_handler(early::boot().platform.timer.virt, time::interrupt);
    }
}

fn interrupt(frame: &mut Frame) {
    INTERRUPTS.this().fetch_add(1, Relaxed);
    time::interrupt(frame);
}

/// Numbers of timer interrupts and of ticks.
#[derive(Clone, Copy)]
pub struct Counts {
    /// Timer interrupts.
    pub interrupts: u64,
    /// The ticks that these interrupts stood for.
    pub ticks: u64,
}

impl Counts {
    /// The sums of all CPUs. The two numbers fit each other only if this is called in a rendezvous.
    pub fn of_all() -> Self {
        let sum = |counters: &PerCpu<AtomicU64>| counters.iter().map(|counter| counter.load(Relaxed)).sum();
        Self { interrupts: sum(&INTERRUPTS), ticks: sum(&time::TICKS) }
    }

    /// The numbers of this CPU.
    pub fn here() -> Self {
        let cpu = percpu::index();
        Self { interrupts: INTERRUPTS.of(cpu).load(Relaxed), ticks: time::TICKS.of(cpu).load(Relaxed) }
    }

    /// The difference to earlier numbers.
    pub fn since(self, before: Self) -> Self {
        Self { interrupts: self.interrupts - before.interrupts, ticks: self.ticks - before.ticks }
    }
}

/// Waits for a tenth of a second, counted in ticks of this CPU, but for at least 10 and at most 100 ticks.
pub fn wait() {
    let end = time::ticks() + u64::from(options::get().hz / 10).clamp(10, 100);
    while time::ticks() < end {
        off::wait();
    }
}
