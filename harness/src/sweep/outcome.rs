//! The outcome of a run: everything that an interrupt must not change.

use super::{Scenario, place, shot};
use alloc::format;
use alloc::string::String;
use core::fmt;
use kernel::arch::{daif, mdscr};
use kernel::debug::{self, slots, stats};
use kernel::exception::astray;
use kernel::irq::off;
use kernel::kprobe;

/// The names of the values that every outcome has. The first `CLEAN` of them after the result must be 0 between runs.
const NAMES: [&str; 15] = [
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
    "the kernel's copy of MDSCR_EL1",
    "the scenario's first fact",
    "the scenario's second fact",
    ASTRAY,
];
/// What a report calls the steps that [`kernel::exception::astray`] counts.
const ASTRAY: &str = "steps that landed in the interrupt's handler";
const CLEAN: usize = 9;
const FACTS: usize = 12;
const LANDED: usize = 14;
const STATS: usize = NAMES.len();
const PLACED: usize = STATS + stats::ALL.len();
const LEN: usize = PLACED + place::ROOM * 2;

/// The values of an outcome. They are written at every boundary, so only as many are used as the scenario needs.
#[derive(Clone)]
struct Numbers {
    all: [u64; LEN],
    /// How many values are used. The others are 0.
    used: usize,
}

impl Numbers {
    const NONE: Self = Self { all: [0; LEN], used: PLACED };

    /// Reads the counters.
    fn count(&mut self) {
        self.all[9] = off::out_of_order();
        self.all[LANDED] = astray();
        for (word, (_, counter)) in self.all[STATS..PLACED].iter_mut().zip(stats::ALL) {
            *word = counter.here();
        }
        let used = PLACED + place::used() * 2;
        for (index, pair) in self.all[PLACED..used].chunks_exact_mut(2).enumerate() {
            pair.copy_from_slice(&place::count(index));
        }
        for word in &mut self.all[used..self.used.max(used)] {
            *word = 0;
        }
        self.used = used;
    }

    /// The first value that differs.
    fn differs(&self, other: &Self) -> Option<usize> {
        let used = self.used.max(other.used);
        self.all[..used].iter().zip(&other.all[..used]).position(|(one, other)| one != other)
    }
}

/// The counters before a run.
pub struct Before(Numbers);

impl Before {
    /// All counters 0.
    pub const NONE: Self = Self(Numbers::NONE);

    /// Reads the counters before a run.
    pub fn count(&mut self) {
        self.0.count();
    }
}

/// The outcome of a run.
#[derive(Clone)]
pub struct Outcome(Numbers);

impl Outcome {
    /// No outcome yet.
    pub const NONE: Self = Self(Numbers::NONE);

    /// Reads the outcome after a run. `before` was read before the run.
    pub fn take(&mut self, before: &Before, scenario: &Scenario, result: u64) {
        // These three are read first: code that runs later could change them back to what is expected.
        let (masks, register, shadow) = (daif::read().bits(), mdscr::read(), debug::this().mdscr.get());
        let facts = (scenario.facts)();
        self.0.count();
        let Numbers { all, used } = &mut self.0;
        for (word, before) in all[..*used].iter_mut().zip(&before.0.all) {
            *word = word.wrapping_sub(*before);
        }
        // How often a step is set aside depends on where the interrupt comes, so that counter is not compared.
        let varies = scenario.varies;
        for counter in varies.iter().chain([&stats::STASHES]) {
            all[STATS + counter.index()] = 0;
        }
        // With a probe on the instruction, a step-over is completed in software. So where the number of step-overs varies, the
        // number of those completed in software varies too.
        if shot::among_probes() && varies.contains(&stats::STEP_OVERS) {
            all[STATS + stats::COMPLETED_IN_SOFTWARE.index()] = 0;
        }
        let cpu = debug::this();
        let suspended = slots::any_suspended();
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
            all[LANDED],
        ];
        all[..fixed.len()].copy_from_slice(&fixed);
    }

    /// Says which value that must be 0 between runs is not, or that MDSCR_EL1 and the kernel's copy differ; None if all is well.
    pub fn unclean(&self) -> Option<String> {
        let all = &self.0.all;
        let wrong = (1..=CLEAN).find(|&n| all[n] != 0);
        let differs = (all[10] != all[11]).then_some(11);
        let spurious = STATS + stats::SPURIOUS.index();
        let wrong = wrong.or(differs).or((all[spurious] != 0).then_some(spurious))?;
        Some(format!("{} {:#x}", name(wrong), all[wrong]))
    }

    /// Says what is wrong in the run without an interrupt; None if nothing is.
    pub fn undue(&self, scenario: &Scenario) -> Option<String> {
        let all = &self.0.all;
        let (result, facts) = (all[0], [all[FACTS], all[FACTS + 1]]);
        if !(scenario.due)(result, facts) {
            return Some(format!("the result {result:#x} and the facts {facts:x?}"));
        }
        // An NMI's handler runs with everything masked, so it hits nothing.
        let idle = (0..place::used()).find(|&n| place::is_there(n) && all[PLACED + n * 2..][..2] == [0, 0]);
        idle.filter(|_| !shot::is_nmi()).map(|n| format!("no hit of slot or probe {n}"))
    }

    /// Says how this outcome differs from that of the run without an interrupt; None if it does not. A step that has landed in the
    /// interrupt's handler is told first, because it changes other values, too.
    pub fn difference(&self, reference: &Self) -> Option<String> {
        let landed = (self.0.all[LANDED] != reference.0.all[LANDED]).then_some(LANDED);
        let wrong = landed.or_else(|| self.0.differs(&reference.0))?;
        let (is, due) = (self.0.all[wrong], reference.0.all[wrong]);
        Some(format!("{}: {is:#x} where {due:#x} is due", name(wrong)))
    }
}

/// What went wrong at all boundaries of a scenario, for a summary.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// Steps that landed in the interrupt's handler.
    landed: u64,
    /// Hits of slots and probes that were counted more than they were due.
    twice: u64,
    /// Hits of slots and probes that were due and not counted.
    unseen: u64,
}

impl Faults {
    /// Adds what differs between an outcome and that of the run without an interrupt.
    pub fn add(&mut self, outcome: &Outcome, reference: &Outcome) {
        let (is, due) = (&outcome.0, &reference.0);
        self.landed += is.all[LANDED].saturating_sub(due.all[LANDED]);
        let used = is.used.max(due.used);
        for (is, due) in is.all[PLACED..used].chunks(2).zip(due.all[PLACED..used].chunks(2)) {
            self.twice += is[0].saturating_sub(due[0]);
            self.unseen += due[0].saturating_sub(is[0]);
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { landed, twice, unseen } = self;
        write!(f, "landed={landed} twice={twice} unseen={unseen}")
    }
}

fn name(index: usize) -> String {
    match index {
        0..STATS => NAMES[index].into(),
        STATS..PLACED => format!("{} counted", stats::ALL[index - STATS].0),
        _ => {
            let what = if (index - PLACED).is_multiple_of(2) { "hits" } else { "misses" };
            format!("{what} of slot or probe {}", (index - PLACED) / 2)
        }
    }
}

/// Says what is wrong with how the interrupts were taken; None if nothing is.
pub fn misfired(pair: bool) -> Option<String> {
    let [first, second, generated] = shot::taken();
    if first != 1 || second > u64::from(pair) || generated != second {
        return Some(format!(
            "the interrupt was taken {first} times, the second one {second} times, the SGI of the second one {generated} times"
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
