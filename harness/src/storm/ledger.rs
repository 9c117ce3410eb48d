//! Compares what the storm has done with the kernel's counters. They must agree exactly.

use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::debug::stats::{self, Counter};
use kernel::percpu::PerCpu;

/// The events that the storm counts itself. Such a count is *due*: the kernel's counters must reach the same number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Breakpoint exceptions.
    Breakpoints,
    /// Watchpoint exceptions.
    Watchpoints,
    /// Watchpoint exceptions of an instruction that is already being stepped over: one step-over serves both.
    Merged,
    /// Watchpoint exceptions at a load-exclusive: its handler executes the whole attempt, so there is no step-over (H9).
    Sequences,
    /// Watchpoint exceptions at a store-exclusive, which then fails: there is no step-over either.
    Failed,
    /// Steps that the debugger's hook was called for.
    Hooks,
    /// Step exceptions that have ended a step-over and a debugger's step at once.
    Both,
    /// WARNs.
    Warnings,
    /// Faults that are fixed up.
    Fixups,
    /// Interrupts that came while a context was being stepped.
    Stashes,
    /// BRKs of probes and of the debugger.
    Brks,
    /// BRKs of programs at EL0.
    Programs,
    /// Slots removed while a context may have been stepping over them: only then may a step be cancelled.
    Racing,
    /// Rounds in which programs at EL0 were traced. How many of a tracer's steps are step exceptions depends on where they come: others are made
    /// by executing an exclusive sequence, or end with a call.
    Traced,
}

const KINDS: usize = Due::Traced as usize + 1;

static DUE: PerCpu<[AtomicU64; KINDS]> = kernel::per_cpu!([const { AtomicU64::new(0) }; KINDS]);

/// Adds to a count that is due. Any context.
pub fn due(what: Due, count: u64) {
    DUE.this()[what as usize].fetch_add(count, Relaxed);
}

/// The kernel's counters and the counts that are due, at one moment.
#[derive(Clone, Copy)]
pub struct Ledger {
    counted: [u64; stats::ALL.len()],
    due: [u64; KINDS],
}

impl Ledger {
    /// Reads the kernel's counters and the counts that are due. Call it only while nobody storms.
    pub fn now() -> Self {
        let mut ledger = Self { counted: [0; stats::ALL.len()], due: [0; KINDS] };
        for (word, (_, counter)) in ledger.counted.iter_mut().zip(stats::ALL) {
            *word = counter.sum();
        }
        for (index, word) in ledger.due.iter_mut().enumerate() {
            *word = DUE.iter().map(|all| all[index].load(Relaxed)).sum();
        }
        ledger
    }

    /// What was counted between the moment of `self` and now.
    pub fn since(&self) -> Self {
        let mut now = Self::now();
        now.counted.iter_mut().zip(self.counted).for_each(|(word, before)| *word -= before);
        now.due.iter_mut().zip(self.due).for_each(|(word, before)| *word -= before);
        now
    }

    /// A counter of the kernel's.
    pub fn counted(&self, counter: Counter) -> u64 {
        self.counted[counter.index()]
    }

    /// A count that is due.
    pub fn due(&self, what: Due) -> u64 {
        self.due[what as usize]
    }

    /// Debug exceptions: breakpoints, watchpoints, steps, BRKs.
    pub fn exceptions(&self) -> u64 {
        let hardware = [stats::BREAKPOINTS, stats::WATCHPOINTS, stats::STEPS, stats::WARNINGS];
        hardware.iter().map(|&counter| self.counted(counter)).sum::<u64>()
            + self.due(Due::Brks)
            + self.due(Due::Programs)
    }

    /// Says which counts do not agree; None if all do.
    pub fn difference(&self) -> Option<String> {
        let counted = |counter| self.counted(counter);
        let plain = [
            (stats::BREAKPOINTS, Due::Breakpoints),
            (stats::WATCHPOINTS, Due::Watchpoints),
            (stats::WARNINGS, Due::Warnings),
            (stats::FIXUPS, Due::Fixups),
            (stats::STASHES, Due::Stashes),
            (stats::SEQUENCES, Due::Sequences),
        ];
        let traced = self.due(Due::Traced) != 0;
        for (counter, what) in plain {
            if traced && counter == stats::SEQUENCES {
                continue;
            }
            if counted(counter) != self.due(what) {
                let (name, _) = stats::ALL[counter.index()];
                return Some(format!("{name}: {} counted, {} due", counted(counter), self.due(what)));
            }
        }
        if !traced && let Some(why) = self.steps_differ() {
            return Some(why);
        }
        if counted(stats::FREE_RUNS) != 0 {
            return Some(format!("{} exclusive sequences missed", counted(stats::FREE_RUNS)));
        }
        if counted(stats::LEFT_BEHIND) != 0 {
            return Some(format!("{} steps left behind", counted(stats::LEFT_BEHIND)));
        }
        (counted(stats::SPURIOUS) != 0).then(|| format!("{} spurious exceptions", counted(stats::SPURIOUS)))
    }

    /// Says which counts of steps do not agree; None if all do.
    fn steps_differ(&self) -> Option<String> {
        let counted = |counter| self.counted(counter);
        // Every hit but those at exclusives asks for a step-over, and every step-over ends once.
        let hits = counted(stats::BREAKPOINTS) + counted(stats::WATCHPOINTS);
        let ends = [stats::STEP_OVERS, stats::COMPLETED_IN_SOFTWARE, stats::CANCELLED].map(counted);
        let unstepped = self.due(Due::Sequences) + self.due(Due::Failed);
        if hits != ends.iter().sum::<u64>() + self.due(Due::Merged) + unstepped {
            return Some(format!(
                "{hits} hits; {unstepped} at exclusives, {} step-overs, {} completed in software, {} cancelled, {} merged with another",
                ends[0],
                ends[1],
                ends[2],
                self.due(Due::Merged)
            ));
        }
        let steps = self.due(Due::Hooks) + counted(stats::STEP_OVERS);
        if counted(stats::STEPS) + self.due(Due::Both) != steps {
            return Some(format!(
                "{} steps; {} of the debugger and {} step-overs, {} of them both at once",
                counted(stats::STEPS),
                self.due(Due::Hooks),
                counted(stats::STEP_OVERS),
                self.due(Due::Both)
            ));
        }
        if counted(stats::CANCELLED) != 0 && self.due(Due::Racing) == 0 {
            return Some(format!(
                "{} steps cancelled, and no slot was removed under one",
                counted(stats::CANCELLED)
            ));
        }
        None
    }
}
