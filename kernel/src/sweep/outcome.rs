//! What a run came to: everything that an interrupt must not change.

use super::{Scenario, place, shot};
use crate::arch::{daif, mdscr};
use crate::debug::{self, slots, stats};
use crate::irq::off;
use crate::kprobe;
use alloc::format;
use alloc::string::String;

/// The fixed part, by name. The first `CLEAN` behind the result are 0 wherever nothing is going on.
const NAMES: [&str; 14] = [
    "the result",
    "the masks",
    "the owners of a step",
    "the debug depth",
    "the entries of the stash",
    "the active probes",
    "a suspended slot",
    "a debugger's steps",
    "interrupts off",
    "interrupt guards dropped out of order",
    "MDSCR_EL1",
    "what the kernel's MDSCR_EL1 shadow says",
    "the scenario's first fact",
    "the scenario's second fact",
];
const CLEAN: usize = 9;
const FACTS: usize = 12;
const STATS: usize = NAMES.len();
const PLACED: usize = STATS + stats::ALL.len();
const LEN: usize = PLACED + place::ROOM * 2;

/// A run's outcome.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome([u64; LEN]);

/// The counters before a run.
pub struct Before([u64; LEN]);

fn counters() -> [u64; LEN] {
    let mut all = [0; LEN];
    all[9] = off::out_of_order();
    for (word, (_, counter)) in all[STATS..].iter_mut().zip(stats::ALL) {
        *word = counter.here();
    }
    for index in 0..place::used() {
        all[PLACED + index * 2..][..2].copy_from_slice(&place::count(index));
    }
    all
}

impl Before {
    /// Before a run.
    pub fn now() -> Self {
        Self(counters())
    }

    /// Behind it.
    pub fn outcome(&self, scenario: &Scenario, result: u64) -> Outcome {
        // First of all, before anything can put them right.
        let (masks, register, shadow) = (daif::read().bits(), mdscr::read(), debug::this().mdscr.get());
        let facts = (scenario.facts)();
        let mut all = counters();
        for (word, before) in all.iter_mut().zip(self.0) {
            *word = word.wrapping_sub(before);
        }
        // How often a step was set aside depends on where the interrupt came, by its nature.
        let varies = scenario.varies;
        for counter in varies.iter().chain([&stats::STASHES]) {
            all[STATS + counter.index()] = 0;
        }
        // A step-over of an instruction with a probe is no step exception, so these vary together.
        if shot::among_probes() && varies.contains(&stats::STEP_OVERS) {
            all[STATS + stats::COMPLETED_IN_SOFTWARE.index()] = 0;
        }
        let cpu = debug::this();
        let suspended = {
            let _masked = daif::AllMasked::new();
            slots::any_suspended(cpu)
        };
        let fixed = [
            result,
            masks,
            cpu.owners.get().bits().into(),
            cpu.depth.get().into(),
            cpu.stash_len.get() as u64,
            kprobe::depth() as u64,
            suspended.into(),
            cpu.is_stepped().into(),
            (!off::enabled()).into(),
            all[9],
            register,
            shadow,
            facts[0],
            facts[1],
        ];
        all[..fixed.len()].copy_from_slice(&fixed);
        Outcome(all)
    }
}

impl Outcome {
    /// What is not as it has to be where nothing is going on; None if all is well.
    pub fn unclean(&self) -> Option<String> {
        let wrong = (1..=CLEAN).find(|&n| self.0[n] != 0);
        let differs = (self.0[10] != self.0[11]).then_some(11);
        let spurious = STATS + stats::SPURIOUS.index();
        let wrong = wrong.or(differs).or((self.0[spurious] != 0).then_some(spurious))?;
        Some(format!("{} {:#x}", name(wrong), self.0[wrong]))
    }

    /// What a run without an interrupt has not come to; None if all is well.
    pub fn undue(&self, scenario: &Scenario) -> Option<String> {
        let (result, facts) = (self.0[0], [self.0[FACTS], self.0[FACTS + 1]]);
        if !(scenario.due)(result, facts) {
            return Some(format!("the result {result:#x} and the facts {facts:x?}"));
        }
        // An NMI's handler hits nothing.
        let idle =
            (0..place::used()).find(|&n| place::is_there(n) && self.0[PLACED + n * 2..][..2] == [0, 0]);
        idle.filter(|_| !shot::is_nmi()).map(|n| format!("no hit of what was placed at {n}"))
    }

    /// How this differs from the run without interrupts; None if it does not.
    pub fn difference(&self, reference: &Self) -> Option<String> {
        let wrong = (0..LEN).find(|&n| self.0[n] != reference.0[n])?;
        Some(format!("{}: {:#x} where {:#x} is due", name(wrong), self.0[wrong], reference.0[wrong]))
    }
}

fn name(index: usize) -> String {
    match index {
        0..STATS => NAMES[index].into(),
        STATS..PLACED => format!("{} counted", stats::ALL[index - STATS].0),
        _ => {
            let what = if (index - PLACED).is_multiple_of(2) { "hits" } else { "misses" };
            format!("{what} of what was placed at {}", (index - PLACED) / 2)
        }
    }
}

/// What is wrong with how the interrupts were taken; None if nothing is.
pub fn misfired(pair: bool) -> Option<String> {
    let [first, second, generated] = shot::taken();
    if first != 1 || second > u64::from(pair) || generated != second {
        return Some(format!(
            "the interrupt was taken {first} times, the second one {second} times, the one that this sends {generated} times"
        ));
    }
    let names = ["masks", "MDSCR_EL1.SS", "owners of a step"];
    let wrong = (0..names.len()).find(|&n| shot::found()[n] != shot::due()[n])?;
    Some(format!(
        "{} in the handler: {:#x} where {:#x} is due ({})",
        names[wrong],
        shot::found()[wrong],
        shot::due()[wrong],
        if shot::is_nmi() { "M9" } else { "M8" }
    ))
}
