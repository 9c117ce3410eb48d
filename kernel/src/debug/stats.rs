//! What happened, counted per CPU. Relaxed loads and stores: a counter has one writer, the CPU it belongs to.

use crate::percpu::PerCpu;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One counter a CPU.
pub struct Counter(PerCpu<AtomicU64>);

impl Counter {
    const fn new() -> Self {
        Self(crate::per_cpu!(AtomicU64::new(0)))
    }

    /// Counts one. In a context that no other user of this counter on this CPU can interrupt: all exceptions masked.
    #[inline(always)]
    pub fn count(&self) {
        let counter = self.0.this();
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }

    /// Counts one where other users of the counter on this CPU can interrupt. Any context.
    pub fn count_shared(&self) {
        self.0.this().fetch_add(1, Relaxed);
    }

    /// Of all CPUs. Any context.
    pub fn sum(&self) -> u64 {
        self.0.iter().map(|counter| counter.load(Relaxed)).sum()
    }

    /// Of this CPU. Any context.
    pub fn here(&self) -> u64 {
        self.0.this().load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* #[unsafe(link_section = ".noprobe.data")] pub static $name: Counter = Counter::new();)*

        /// All counters, with their names.
        pub static ALL: &[(&str, &Counter)] = &[$(($text, &$name)),*];
    };
}

counters! {
    /// Step exceptions.
    STEPS = "steps";
    /// Step-overs that ended with their step exception.
    STEP_OVERS = "step-overs";
    /// Step-overs that a fault or an assertion ended (M6, M11), or the end of an out-of-line copy (M12).
    COMPLETED_IN_SOFTWARE = "step-overs completed in software";
    /// Owners dropped before their step was done.
    CANCELLED = "steps cancelled";
    /// Breakpoint exceptions.
    BREAKPOINTS = "breakpoint exceptions";
    /// Watchpoint exceptions.
    WATCHPOINTS = "watchpoint exceptions";
    /// Exceptions that nobody asked for (H3).
    SPURIOUS = "spurious";
    /// Interrupts that set a step aside (M8, M9).
    STASHES = "stashes";
    /// WARNs.
    WARNINGS = "warnings";
    /// Faults from EL1 that were fixed up.
    FIXUPS = "faults fixed up";
}
