//! Counters of debug exceptions and of what was done about them, for each CPU.
//!
//! A counter lies beside the CPU's other debug state and has one writer, that CPU, so counting is a load and a store.

use super::cpu::{COUNTERS, CPU_DEBUG, CpuDebug};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One counter of every CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Counter(usize);

impl Counter {
    /// The index of this counter in [`ALL`].
    pub const fn index(self) -> usize {
        self.0
    }

    #[inline(always)]
    fn mine(self) -> &'static AtomicU64 {
        &CPU_DEBUG.this().counters[self.0]
    }

    /// Adds 1 to this CPU's count by a load and a store. Nobody else on this CPU may count in between. So the caller
    /// has all exceptions masked, and is no-probe text, because masks do not keep a BRK away (rule I8). All other
    /// callers use [`Counter::count_shared`].
    #[inline(always)]
    pub fn count(self) {
        let counter = self.mine();
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }

    /// As [`count`](Self::count), for callers that have the CPU's state already.
    #[inline(always)]
    pub fn count_on(self, cpu: &CpuDebug) {
        let counter = &cpu.counters[self.0];
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }

    /// Adds 1 to this CPU's count atomically. Any context.
    pub fn count_shared(self) {
        self.mine().fetch_add(1, Relaxed);
    }

    /// The sum of all CPUs' counts. Any context.
    pub fn sum(self) -> u64 {
        (0..crate::percpu::MAX_CPUS).map(|cpu| self.of(cpu)).sum()
    }

    /// This CPU's count. Any context.
    pub fn here(self) -> u64 {
        self.mine().load(Relaxed)
    }

    /// The count of CPU number `cpu`. Any context.
    pub fn of(self, cpu: usize) -> u64 {
        // SAFETY: only the counters are used, which are atomic.
        unsafe { CPU_DEBUG.of_unchecked(cpu) }.counters[self.0].load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Counter = Counter($number);)*

        /// All counters, with their names.
        pub const ALL: &[(&str, Counter)] = &[$(($text, $name)),*];
    };
}

counters! {
    /// Step exceptions.
    STEPS = 0, "steps";
    /// Step-overs that ended with their step exception.
    STEP_OVERS = 1, "step-overs";
    /// Step-overs that a fault or an assertion ended (M6, M11), or the end of an out-of-line copy (M12).
    COMPLETED_IN_SOFTWARE = 2, "step-overs completed in software";
    /// Owners dropped before their step was done.
    CANCELLED = 3, "steps cancelled";
    /// Breakpoint exceptions.
    BREAKPOINTS = 4, "breakpoint exceptions";
    /// Watchpoint exceptions.
    WATCHPOINTS = 5, "watchpoint exceptions";
    /// Exceptions that nobody asked for (H3).
    SPURIOUS = 6, "spurious";
    /// Interrupts that set a step aside (M8, M9).
    STASHES = 7, "stashes";
    /// WARNs.
    WARNINGS = 8, "warnings";
    /// Faults from EL1 that were fixed up, but for those of [`USER_FIXUPS`].
    FIXUPS = 9, "faults fixed up";
    /// Attempts at an exclusive sequence that were made as one step (H9).
    SEQUENCES = 10, "exclusive sequences";
    /// Exclusive sequences that could not be executed as one step: the context ran free until its next exception (H9).
    FREE_RUNS = 11, "exclusive sequences missed";
    /// Stops for a debugger while the kernel had none.
    UNATTENDED = 12, "stops without a debugger";
    /// Steps of the kernel's own code that were pending where a program was returned to (I6).
    LEFT_BEHIND = 13, "steps left behind in the kernel";
    /// Accesses to a program's memory that have failed: also those that look at an instruction before its page has been brought in.
    USER_FIXUPS = 14, "accesses to programs' memory fixed up";
}

const _: () = {
    assert!(ALL.len() == COUNTERS, "a CPU has room for all counters");
    let mut i = 0;
    while i < ALL.len() {
        assert!(ALL[i].1.0 == i, "counters are numbered in their order");
        i += 1;
    }
};
