//! Timer interrupts, counted beside the kernel's own count of ticks: a tick that comes late is one interrupt for several.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::exception::Frame;
use kernel::irq::{self, off};
use kernel::percpu::{self, PerCpu};
use kernel::{early, options, time};

static INTERRUPTS: PerCpu<AtomicU64> = kernel::per_cpu!(AtomicU64::new(0));

/// Timer interrupts are counted, on all CPUs, for as long as this lives.
pub struct Counting(());

impl Counting {
    /// Starts. Thread context.
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

/// Interrupts and ticks.
#[derive(Clone, Copy)]
pub struct Counts {
    /// Timer interrupts.
    pub interrupts: u64,
    /// Ticks that they stood for.
    pub ticks: u64,
}

impl Counts {
    /// Of all CPUs. Consistent in a rendezvous only.
    pub fn of_all() -> Self {
        let sum = |counters: &PerCpu<AtomicU64>| counters.iter().map(|counter| counter.load(Relaxed)).sum();
        Self { interrupts: sum(&INTERRUPTS), ticks: sum(&time::TICKS) }
    }

    /// Of this CPU.
    pub fn here() -> Self {
        let cpu = percpu::index();
        Self { interrupts: INTERRUPTS.of(cpu).load(Relaxed), ticks: time::TICKS.of(cpu).load(Relaxed) }
    }

    /// What came since then.
    pub fn since(self, before: Self) -> Self {
        Self { interrupts: self.interrupts - before.interrupts, ticks: self.ticks - before.ticks }
    }
}

/// Waits for a tenth of a second's ticks of this CPU, but for 10 at least and 100 at most.
pub fn wait() {
    let end = time::ticks() + u64::from(options::get().hz / 10).clamp(10, 100);
    while time::ticks() < end {
        off::wait();
    }
}
