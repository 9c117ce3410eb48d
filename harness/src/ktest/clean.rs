//! The state that a test must leave as it has found it.

use alloc::format;
use alloc::string::String;
use kernel::arch::{daif, mdscr};
use kernel::debug::{self, debugger, slots, stats};
use kernel::irq::off;
use kernel::kprobe;
use kernel::{percpu, sched};

/// The state that must be the same before and after a test.
pub struct Before {
    probes: usize,
    spurious: u64,
    out_of_order: u64,
}

impl Before {
    /// Reads the state before a test.
    pub fn now() -> Self {
        Self { probes: kprobe::count(), spurious: stats::SPURIOUS.sum(), out_of_order: off::out_of_order() }
    }

    /// Says what is not as it was before the test; None if all is well. A test that provokes spurious exceptions, or drops guards out of
    /// order, says so with [`forgive`].
    pub fn left_behind(&self) -> Option<String> {
        let cpu = debug::this();
        let probes = self.probes - TAKEN_AWAY.swap(0, core::sync::atomic::Ordering::Relaxed);
        let forgiven = FORGIVEN.swap(0, core::sync::atomic::Ordering::Relaxed);
        let runs = {
            let _masked = daif::AllMasked::new();
            debug::runs::count()
        };
        let faults = [
            (!daif::read().is_empty(), format!("masks {}", daif::read())),
            (!off::enabled(), "interrupts off".into()),
            (mdscr::read() != mdscr::TDCC, format!("MDSCR_EL1 {:#x}", mdscr::read())),
            (!cpu.owners.get().is_empty(), format!("owners {:?}", cpu.owners.get())),
            (cpu.depth.get() != 0, format!("debug depth {}", cpu.depth.get())),
            (cpu.stash_len.get() != 0, format!("stash {}", cpu.stash_len.get())),
            (cpu.is_stepped(), "a debugger's steps".into()),
            (debugger::is_there(), "a debugger".into()),
            (runs != 0, format!("{runs} calls that a debugger runs over")),
            (kprobe::depth() != 0, format!("{} active probes", kprobe::depth())),
            (kprobe::count() != probes, format!("{} probes where {probes} were", kprobe::count())),
            (sched::threads(percpu::index()) != 0, format!("{} threads", sched::threads(percpu::index()))),
            (slots::list().count() != 0, format!("{} slots", slots::list().count())),
            (
                stats::SPURIOUS.sum() - self.spurious + off::out_of_order() - self.out_of_order != forgiven,
                format!(
                    "{} spurious exceptions and {} guards dropped out of order where {forgiven} of both are forgiven",
                    stats::SPURIOUS.sum() - self.spurious,
                    off::out_of_order() - self.out_of_order
                ),
            ),
        ];
        let mut text = String::new();
        for (_, what) in faults.iter().filter(|(wrong, _)| *wrong) {
            text += if text.is_empty() { "left behind: " } else { ", " };
            text += what;
        }
        (!text.is_empty()).then_some(text)
    }
}

static FORGIVEN: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);

/// Says that the test has provoked this many spurious exceptions, or guards dropped out of order, on purpose.
pub fn forgive(count: u64) {
    FORGIVEN.fetch_add(count, core::sync::atomic::Ordering::Relaxed);
}

static TAKEN_AWAY: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(0);

/// Says that the test has removed this many probes that were there before it.
pub(super) fn taken_away(count: usize) {
    TAKEN_AWAY.fetch_add(count, core::sync::atomic::Ordering::Relaxed);
}
