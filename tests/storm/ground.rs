//! What a CPU knows about a target: the slots and probes that are set on it, and how often the CPU has run the target since.

use super::code::{Marks, Target};
use super::set::{Counts, Expected, Set, WAYS, Way};
use super::steps;
use core::cell::Cell;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
    compiler_fence,
};
use harness::storm::{Due, due, fail};
use kernel::arch::daif::AllMasked;
use kernel::percpu;

/// What one CPU knows about a target. Only that CPU uses it; its interrupts do so only while `changing` is not set.
pub struct Ground {
    changing: Cell<bool>,
    expected: [Cell<Expected>; WAYS.len()],
    runs: [AtomicU64; WAYS.len()],
}

impl Ground {
    /// What a CPU knows before anything is set on the target. The state counts as changing until the first [`Ground::end_change`].
    pub const fn new() -> Self {
        const NOTHING: Expected = Expected {
            marks: Marks { breakpoints: 0, watchpoints: 0, probes: 0 },
            breakpoints: 0,
            watchpoints: 0,
            merged: 0,
            both: 0,
            fixups: 0,
            hits: [0; 3],
            probes: [(0, 0); 2],
        };
        Self {
            changing: Cell::new(true),
            expected: [const { Cell::new(NOTHING) }; WAYS.len()],
            runs: [const { AtomicU64::new(0) }; WAYS.len()],
        }
    }

    /// From now on the interrupts of this CPU do not run the target.
    pub fn begin_change(&self) {
        self.changing.set(true);
        compiler_fence(SeqCst);
    }

    /// From now on `set` is what is set. Returns the counts that the runs since the last change must have made, and adds them to
    /// what is due in the ledger.
    pub fn end_change(&self, set: &Set) -> Counts {
        let mut owed = Counts::default();
        for (way, runs) in WAYS.into_iter().zip(&self.runs) {
            enter(&self.expected[way as usize].replace(set.expected(way)), runs.swap(0, Relaxed), &mut owed);
        }
        compiler_fence(SeqCst);
        self.changing.set(false);
        owed
    }

    /// Runs the target, and checks the result of each execution. Works in every context except debug context; [`Way::Stepped`]
    /// works in threads only.
    pub fn run(&self, target: Target, way: Way, times: u32) {
        let expected = self.expected[way as usize].get().marks;
        for _ in 0..times {
            let seen = match way {
                Way::Plain => target.run(false),
                Way::Faulting => target.run(true),
                Way::Masked => {
                    let _masked = AllMasked::new();
                    target.run(false)
                }
                Way::Stepped => steps::step(target),
            };
            if seen != Some(expected) {
                fail(format_args!(
                    "cpu{}: {target:?} run {way:?}: {seen:x?}, expected {expected:x?}",
                    percpu::index()
                ));
            }
        }
        self.runs[way as usize].fetch_add(times.into(), Relaxed);
    }

    /// Like [`Ground::run`], but does nothing if the caller has interrupted a change.
    pub fn run_if_settled(&self, target: Target, way: Way, times: u32) {
        if !self.changing.get() {
            self.run(target, way, times);
        }
    }
}

fn enter(expected: &Expected, runs: u64, owed: &mut Counts) {
    due(Due::Breakpoints, expected.breakpoints * runs);
    due(Due::Watchpoints, expected.watchpoints * runs);
    due(Due::Merged, expected.merged * runs);
    due(Due::Both, expected.both * runs);
    due(Due::Fixups, expected.fixups * runs);
    for (sum, hits) in owed.hits.iter_mut().zip(expected.hits) {
        *sum += hits * runs;
    }
    for (sum, (hits, missed)) in owed.probes.iter_mut().zip(expected.probes) {
        due(Due::Brks, (hits + missed) * runs);
        sum.0 += hits * runs;
        sum.1 += missed * runs;
    }
}
