//! The loops over the boundaries, and the lines that they print.
//!
//! An *instant* is the boundary at which a timer expires. The *place* of an interrupt is the instruction in front of which it is
//! taken. While interrupts are masked, several instants in a row have the same place, which is behind the masked stretch.

use super::outcome::{Before, Faults, Outcome, misfired};
use super::{Scenario, place, shot};
use alloc::string::String;
use cli::Share;
use cli::bootargs::Boundary;
use core::fmt;
use core::ops::Range;
use core::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
};
use kernel::arch::{daif, uaccess};
use kernel::debug;
use kernel::drivers::gic::Priority;
use kernel::exception::Say;
use kernel::irq::off::{self, IrqOff};
use kernel::report::symbols::Shown;
use kernel::{idle, println, time};
use log::LevelFilter;
use spin::Mutex;

/// At how many different places after the first of two interrupts the second one is tried.
const WINDOW: usize = 32;
/// In a scenario with more instructions than this, where masking delays several instants to the same instruction, only the first and the
/// last of these instants are tried.
const LONG: u64 = 60_000;
/// How many lines of progress a scenario prints.
const PROGRESS: u64 = 20;

/// The boundaries that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// This boundary, or this pair.
    One(Boundary),
    /// Every boundary of this machine's share.
    Every(Share),
    /// Pairs: for each place of the first interrupt, the second one is tried at the first [`WINDOW`] places after the first one's
    /// handler.
    Pairs,
    /// This many boundaries, spread evenly.
    Sample(u64, Share),
}

/// The scenarios that are swept, and their boundaries.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    /// The name of a scenario. If no scenario has exactly this name, every scenario whose name contains it is swept.
    pub name: &'a str,
    /// The scenario with this name and those behind it are swept; all, if it is None.
    pub from: Option<&'a str>,
    /// Scenarios that are left out even if `name` chooses them, each with the reason.
    pub unfit: &'a [(&'a str, &'a str)],
    /// The boundaries that are tried.
    pub extent: Extent,
}

/// Sweeps the chosen scenarios. Returns true if at least one boundary was tried and there was no violation. Thread context on the
/// first CPU.
pub fn run(groups: &'static [&'static [Scenario]], choice: Choice<'_>) -> bool {
    let Choice { name, from, unfit, extent } = choice;
    idle::on_all(|| {
        let _off = IrqOff::new();
        time::pause();
    });
    if let Err(why) = shot::prepare() {
        log::error!("sweep: {why}");
        return false;
    }
    let level = log::max_level();
    // Scenarios raise WARNs again and again, which would fill the console.
    log::set_max_level(LevelFilter::Error);
    let all = || groups.iter().flat_map(|group| group.iter());
    let exact = all().any(|scenario| scenario.name == name);
    let chosen =
        |scenario: &Scenario| if exact { scenario.name == name } else { scenario.name.contains(name) };
    let mut tally = Tally::default();
    // A scenario's number is its place among all scenarios, so that a choice of scenarios does not change the machines' shares.
    let before = |scenario: &Scenario| from.is_some_and(|from| scenario.name != from);
    let rest = (0..).zip(all()).skip_while(|(_, scenario)| before(scenario));
    for (number, scenario) in rest.filter(|(_, scenario)| chosen(scenario)) {
        if let Some((_, why)) = unfit.iter().find(|(unfit, _)| *unfit == scenario.name) {
            println!("sweep: {} is left out: {why}", scenario.name);
            continue;
        }
        let mut one = Tally::default();
        Sweep::of(scenario, number, &mut one).sweep(extent);
        if one.violations != 0 {
            println!("sweep: {} faults {}", scenario.name, one.faults);
        }
        println!("sweep: {} boundaries={} violations={}", scenario.name, one.boundaries, one.violations);
        tally.boundaries += one.boundaries;
        tally.violations += one.violations;
    }
    log::set_max_level(level);
    shot::release();
    idle::on_all(time::resume);
    if tally.boundaries == 0 {
        log::error!(
            "sweep: no boundary was tried: no scenario is chosen by test={name}, or none has this boundary"
        );
    }
    println!("sweep: total boundaries={} violations={}", tally.boundaries, tally.violations);
    tally.violations == 0 && tally.boundaries > 0
}

#[derive(Default)]
struct Tally {
    boundaries: u64,
    violations: u64,
    /// What the violations of a scenario have in common.
    faults: Faults,
}

struct Sweep<'a> {
    scenario: &'static Scenario,
    /// The scenario's number among all scenarios.
    number: u64,
    /// The counters before the current run.
    before: Before,
    outcome: Outcome,
    /// The outcome of the run without an interrupt.
    reference: Option<Outcome>,
    /// How many instructions the body takes without an interrupt.
    length: u64,
    /// The boundaries that are tried: those of the whole body, or of the part that the scenario names (`within`).
    part: Range<u64>,
    /// The progress that was printed last.
    shown: Option<u64>,
    tally: &'a mut Tally,
}

/// Why the sweep cannot go on.
struct Over(String);

impl From<String> for Over {
    fn from(why: String) -> Self {
        Self(why)
    }
}

impl<'a> Sweep<'a> {
    fn of(scenario: &'static Scenario, number: u64, tally: &'a mut Tally) -> Self {
        let (before, outcome) = (Before::NONE, Outcome::NONE);
        Self { scenario, number, before, outcome, reference: None, length: 0, part: 0..0, shown: None, tally }
    }

    fn sweep(&mut self, extent: Extent) {
        // Forgets what the scenario before this one has met.
        shot::covered();
        let over = self.try_sweep(extent);
        RUNNING.store(false, Relaxed);
        place::clear();
        (self.scenario.end)();
        if let Err(Over(why)) = over {
            self.tally.violations += 1;
            println!("sweep: {} ended early: {why}", self.scenario.name);
        }
    }

    fn try_sweep(&mut self, extent: Extent) -> Result<(), Over> {
        (self.scenario.setup)()?;
        self.class(extent)?;
        // An NMI comes where interrupts are off, too.
        if off::by_priority() && self.scenario.nmis {
            shot::set_priority(Priority::Nmi);
            // NMIs come at another share than ordinary interrupts, so that this machine tries as many different boundaries as it
            // can. Half of that share is enough: a whole one would double this machine's work, and the other machines have no NMIs
            // to try.
            let over = self.class(match extent {
                Extent::Every(share) => Extent::Every(share.turned(1).thinned(2)),
                other => other,
            });
            shot::set_priority(Priority::Normal);
            over?;
        }
        Ok(())
    }

    /// Sweeps with the kind of interrupts that is set now.
    fn class(&mut self, extent: Extent) -> Result<(), Over> {
        // The first run does work that is done only once, so its outcome is not used.
        self.plain()?;
        let (reference, length) = self.plain()?;
        let (again, same) = self.plain()?;
        if let Some(what) = again.difference(&reference) {
            return Err(Over(alloc::format!("two runs without an interrupt differ: {what}")));
        }
        // Where only a part is interrupted, the rest may vary a little: the scheduler's accounts of time differ from run to run.
        if length != same && self.scenario.within.is_none() {
            return Err(Over(alloc::format!(
                "two runs without an interrupt take {length} and {same} instructions"
            )));
        }
        (self.reference, self.length) = (Some(reference), length);
        let Range { start, end } = self.part.clone();
        match extent {
            Extent::One(k) if k.first >= length => Err(Over(alloc::format!(
                "k={} is behind the end: the body has {length} instructions",
                k.first
            ))),
            Extent::One(k) => self.boundary(k).map(|_| ()),
            Extent::Pairs => self.places(start..end, Self::seconds),
            Extent::Sample(count, share) => {
                self.some(share.choose((start..end).step_by((end - start).div_ceil(count).max(1) as usize)))
            }
            Extent::Every(share) => self.share(share.thinned(self.scenario.thinned)),
        }
    }

    /// Tries every boundary of this machine's share. If none of these interrupts meets the state that the scenario was written for (`covers`),
    /// boundaries of the other shares are tried until one does, so that every machine has tested that state.
    fn share(&mut self, share: Share) -> Result<(), Over> {
        for turns in 0..share.of() {
            let share = share.turned(turns);
            let Range { start, end } = self.part.clone();
            if end - start > LONG {
                let stretch = share.stretch(self.number, end - start);
                self.places(start + stretch.start..start + stretch.end, |_, _| Ok(()))?;
            } else {
                self.some(share.boundaries(self.number, end - start).map(|k| start + k))?;
            }
            let violated = self.tally.violations != 0;
            if shot::covered() || violated {
                return Ok(());
            }
        }
        Err(Over("no interrupt met the state that `covers` describes".into()))
    }

    /// Tries these boundaries.
    fn some(&mut self, boundaries: impl Iterator<Item = u64>) -> Result<(), Over> {
        for first in boundaries {
            self.progress(first);
            self.boundary(Boundary { first, second: None })?;
        }
        Ok(())
    }

    /// Makes a run without an interrupt.
    fn plain(&mut self) -> Result<(Outcome, u64), Over> {
        (self.scenario.before)();
        self.before.count();
        let (result, length) = shot::run(self.scenario, None);
        // Before `facts`, which may go on with what the body has begun.
        self.part = self.scenario.within.map_or(0..length, |within| {
            let (start, end) = within();
            shot::passed_at(start).min(length)..shot::passed_at(end).min(length)
        });
        // NMIs do not call the scenario's handler.
        if !shot::is_nmi() {
            (self.scenario.handler)(None);
        }
        self.outcome.take(&self.before, self.scenario, result);
        if let Some(what) = self.outcome.unclean() {
            return Err(Over(alloc::format!("the run without an interrupt leaves {what}")));
        }
        match self.outcome.undue(self.scenario) {
            Some(what) => Err(Over(alloc::format!("the run without an interrupt ends wrongly: {what}"))),
            None => Ok((self.outcome.clone(), length)),
        }
    }

    /// Makes a run with one interrupt, or with a pair. Returns when their handlers were reached; None after a violation, or if
    /// the second interrupt of a pair was not taken.
    fn boundary(&mut self, at: Boundary) -> Result<Option<[u64; 2]>, Over> {
        (self.scenario.before)();
        note(self.scenario, at);
        self.before.count();
        let (result, _) = shot::run(self.scenario, Some(at));
        self.outcome.take(&self.before, self.scenario, result);
        RUNNING.store(false, Relaxed);
        let wrong = misfired(at.second.is_some())
            .or_else(|| self.reference.as_ref().and_then(|reference| self.outcome.difference(reference)));
        let [_, second, _] = shot::taken();
        // If the second interrupt would come after the end of the body, this is no pair.
        if at.second.is_none() || second != 0 {
            self.tally.boundaries += 1;
        }
        if let Some(what) = wrong {
            self.tally.violations += 1;
            if let Some(reference) = &self.reference {
                self.tally.faults.add(&self.outcome, reference);
            }
            if self.tally.violations == 1 {
                println!("{}", Violation { scenario: self.scenario.name, at, what: &what });
            }
            self.repair()?;
            return Ok(None);
        }
        Ok((at.second.is_none() || second == 1).then(shot::reached))
    }

    /// After a violation, restores a state in which the next boundary can be tried.
    fn repair(&mut self) -> Result<(), Over> {
        debug::session::forget_all();
        daif::clear::<{ daif::ALL }>();
        place::clear();
        (self.scenario.setup)()?;
        // If the violation has changed the outcome for good, every later boundary would be a violation too, so the sweep of this
        // scenario ends.
        let (outcome, _) = self.plain()?;
        match self.reference.as_ref().and_then(|reference| outcome.difference(reference)) {
            Some(what) => Err(Over(alloc::format!("the kernel does not recover: {what}"))),
            None => Ok(()),
        }
    }

    /// Tries every place that an interrupt of these instants can have. Of the instants that have the same place, the first and the
    /// last one are tried. `each` is called with the first one.
    fn places(
        &mut self,
        instants: Range<u64>,
        each: fn(&mut Self, u64) -> Result<(), Over>,
    ) -> Result<(), Over> {
        let Range { start: mut first, end } = instants;
        while first < end {
            self.progress(first);
            each(self, first)?;
            let Some([reached, _]) = self.boundary(Boundary { first, second: None })? else {
                first += 1;
                continue;
            };
            first = self.behind(first..end, reached, &|first| Boundary { first, second: None }, 0)?;
        }
        Ok(())
    }

    /// With the first interrupt at the instant `first`, tries the second one at the first [`WINDOW`] places after the first one's
    /// handler.
    fn seconds(&mut self, first: u64) -> Result<(), Over> {
        let mut second = 0;
        for _ in 0..WINDOW {
            let at = |second| Boundary { first, second: Some(second) };
            let Some([_, reached]) = self.boundary(at(second))? else { break };
            second = self.behind(second..u64::MAX, reached, &|second| at(second), 1)?;
        }
        Ok(())
    }

    /// Returns the first of `instants` that has another place than the beginning of `instants`; the end of `instants` if there is
    /// none. On the way the last instant with the same place is tried, too. `reached` tells the place: it is the moment at which
    /// the handler was reached (see [`shot::reached`]) when the beginning of `instants` was tried. `which` is 0 if `instants` are
    /// those of the first interrupt, 1 for the second one of a pair.
    fn behind(
        &mut self,
        instants: Range<u64>,
        reached: u64,
        at: &impl Fn(u64) -> Boundary,
        which: usize,
    ) -> Result<u64, Over> {
        let held = |sweep: &mut Self, instant| -> Result<bool, Over> {
            if instant >= instants.end {
                return Ok(false);
            }
            Ok(sweep.boundary(at(instant))?.is_some_and(|all| all[which] == reached))
        };
        let (mut low, mut step) = (instants.start, 1);
        while held(self, low + step)? {
            low += step;
            step *= 2;
        }
        let mut high = low + step;
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if held(self, middle)? { low = middle } else { high = middle }
        }
        Ok(high)
    }

    fn progress(&mut self, k: u64) {
        let part = k * PROGRESS / self.length.max(1);
        if self.shown.replace(part) != Some(part) {
            println!("sweep: {} at {k} of {}", self.scenario.name, self.length);
        }
    }
}

/// What is being tried, for the report of a panic.
static TRYING: Mutex<Option<(&'static Scenario, Boundary)>> = Mutex::new(None);
static RUNNING: AtomicBool = AtomicBool::new(false);

fn note(scenario: &'static Scenario, at: Boundary) {
    if let Some(mut trying) = TRYING.try_lock() {
        *trying = Some((scenario, at));
    }
    RUNNING.store(true, SeqCst);
}

/// For the report of a panic: says at which boundary of which scenario the kernel has ended, if a sweep was running. Any context.
pub fn last_words(say: &Say) {
    if !RUNNING.swap(false, SeqCst) {
        return;
    }
    if let Some((scenario, at)) = TRYING.try_lock().and_then(|trying| *trying) {
        say(format_args!("{}", Violation { scenario: scenario.name, at, what: "the kernel ended" }));
    }
}

struct Violation<'a> {
    scenario: &'a str,
    at: Boundary,
    what: &'a str,
}

impl fmt::Display for Violation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = if shot::is_nmi() { " (NMI)" } else { "" };
        write!(f, "sweep: violation {} k={}{class}: {}", self.scenario, self.at, self.what)?;
        for (pc, taken) in shot::pcs().into_iter().zip(shot::taken()) {
            if taken != 0 {
                let word = uaccess::read_u32(pc).unwrap_or(0);
                write!(f, "\nsweep: interrupted at {word:08x}\n  [<{pc:016x}>] {}", Shown(pc))?;
            }
        }
        Ok(())
    }
}
