//! The kernel's half of the tracers: it lets them go, stops them, and compares what they have counted.

use super::tracer::{self, count};
use super::{Program, load, store, text, wait};
use crate::el0;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use harness::storm::{Count, Due, Random, due};
use kernel::smp;
use rules::step::Owners;

/// What a tracer has counted.
type Counts = [u64; count::ALL];

/// The tracers, which exist for the whole storm.
pub struct Tracers {
    all: Vec<Program>,
    /// Whether they trace in this round.
    go: bool,
    sums: Counts,
}

impl Tracers {
    /// None yet.
    pub const NONE: Self = Self { all: Vec::new(), go: false, sums: [0; count::ALL] };

    fn counts(&self) -> Counts {
        let of = |n| self.all.iter().map(|one| load(&one.shared, text::word::COUNTS + 8 * n as u64)).sum();
        core::array::from_fn(of)
    }

    /// Starts the tracers, of which there are as many as CPUs.
    ///
    /// # Errors
    /// If they cannot be started.
    pub fn start(&mut self) -> Result<(), String> {
        el0::install("storm-tracer", tracer::text(), text::ROOM)?;
        for _ in 0..smp::online_count() {
            self.all.push(Program::start("/storm-tracer")?);
        }
        Ok(())
    }

    /// Lets the tracers go. They trace these processes.
    ///
    /// # Errors
    /// If a tracer does not wait for that.
    pub fn go(&mut self, random: &mut Random, pids: &[u64]) -> Result<(), String> {
        for one in &self.all {
            wait("a tracer has not waited", || one.waits())?;
            let words = [pids.len() as u64].into_iter().chain(pids.iter().copied());
            for (word, at) in words.zip((tracer::word::TARGETS..).step_by(8)) {
                store(&one.shared, at, word);
            }
            one.go(random, 0);
        }
        self.go = true;
        due(Due::Traced, 1);
        Ok(())
    }

    /// Stops the tracers, while the programs still run. What they have counted must add up, and nothing of them is left at the programs.
    ///
    /// # Errors
    /// If it does not, or something is.
    pub fn settle(&mut self, programs: &[Program]) -> Result<(), String> {
        if !core::mem::replace(&mut self.go, false) {
            return Ok(());
        }
        self.all.iter().for_each(|one| store(&one.shared, text::word::RUN, 0));
        wait("tracers have not stopped", || self.all.iter().all(Program::waits))?;
        let all = self.counts();
        let step_ends = all[count::STEPPED] + all[count::CUT] + all[count::LEFT];
        for (what, seen, expected) in [
            ("errors", all[count::ERRORS], 0),
            ("ends of traces", all[count::DETACHED] + all[count::DIED], all[count::ATTACHED]),
            ("ends of steps", step_ends, all[count::STEPS]),
            ("children that have ended", all[count::REAPED], all[count::FORKS]),
        ] {
            if seen != expected {
                let failed = |one: &Program| [0, 8, 16].map(|n| load(&one.shared, text::word::FAILED + n));
                let failed: Vec<_> = self.all.iter().map(failed).collect();
                return Err(format!(
                    "tracers: {seen} {what} where {expected} are due; the last calls that have failed, their results, and the last stops: {failed:x?}"
                ));
            }
        }
        self.sums = all;
        let owned = |program: &&Program| program.task.debug.is_step_asked(Owners::TRACER);
        match programs.iter().find(owned) {
            Some(program) => Err(format!("process {} has a tracer's step left", program.task.process.pid)),
            None => Ok(()),
        }
    }

    /// How often tracers have done each thing.
    pub fn sums(&self) -> [Count; 5] {
        [
            ("programs attached to", count::ATTACHED),
            ("steps of tracers", count::STEPS),
            ("steps cut by a signal", count::CUT),
            ("tracers that have died in a trace", count::DIED),
            ("of these in a step", count::LEFT),
        ]
        .map(|(name, n)| (name, self.sums[n]))
    }
}
