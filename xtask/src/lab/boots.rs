//! The boots of the kernel of one policy, and what each scenario and test has come to.

use super::matrix::Cell;
use super::phrase;
use crate::capture::{Captured, capture, to_the_end};
use crate::inventory::Inventory;
use crate::ktap::{self, Verdict};
use crate::machines::SWEEP;
use crate::qemu::{Machine, Start};
use crate::session::End;
use crate::sweep::{self, Swept};
use crate::test::Kernel;
use std::time::Duration;

/// The suites whose tests show what policies differ in.
const SUITES: [&str; 11] = [
    "rule-interrupts",
    "rule-debug",
    "rule-faults",
    "rule-warns",
    "rule-probes",
    "rule-return",
    "rule-invariants",
    "threads-steps",
    "threads-reschedules",
    "threads-deferred",
    "programs-delivery",
];

/// How long a boot of one scenario, of one test or of one suite may take.
const SHORT: Duration = Duration::from_secs(60);

/// What one boot, or several boots in a row, run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These scenarios. They share a boot if they are all that the kernel has.
    Sweep(Vec<String>),
    /// These tests of a suite.
    Suite(&'static str, Vec<String>),
}

impl Part {
    /// The names of the part's rows in the matrix.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Sweep(names) => names.iter().map(|name| format!("sweep.{name}")).collect(),
            Self::Suite(_, names) => names.clone(),
        }
    }
}

/// What the filter leaves of a kernel's scenarios and tests.
pub fn parts(inventory: &Inventory, filter: Option<&str>) -> Vec<Part> {
    let wanted = |name: &str| filter.is_none_or(|filter| name.contains(filter));
    let scenarios = inventory.sweeps.iter().filter(|name| wanted(&format!("sweep.{name}"))).cloned();
    let sweep = Part::Sweep(scenarios.collect());
    let suites = SUITES.map(|suite| {
        let of_suite = |name: &&String| name.strip_prefix(suite).is_some_and(|rest| rest.starts_with('.'));
        let tests = inventory.tests.iter().filter(of_suite).filter(|name| wanted(name)).cloned();
        Part::Suite(suite, tests.collect())
    });
    std::iter::once(sweep).chain(suites).filter(|part| !part.names().is_empty()).collect()
}

/// A machine of the sweep, on which every run is the same: the last one, which has two CPUs and masks interrupts by PSTATE.I.
pub fn machine(mode: &str) -> Machine {
    SWEEP[SWEEP.len() - 1].machine(mode)
}

/// Boots a part. Returns its cells in the order of its names. `all` are all scenarios of the kernel.
pub fn run(kernel: &Kernel, part: &Part, all: &[String], thin: u16) -> Vec<Cell> {
    match part {
        Part::Sweep(names) => {
            let machine = Machine { append: format!("mode=sweep share=0/{thin}"), ..machine("mode=sweep") };
            let alone = &Kernel { limit: short(kernel), ..kernel.clone() };
            let one = |name: &String| sweep::sweep_one(alone, &machine, name, &|_| ());
            let swept = if names == all {
                sweep::sweep_all(alone, kernel.limit, &machine, names)
            } else {
                names.iter().map(one).collect()
            };
            swept.iter().map(cell).collect()
        }
        Part::Suite(suite, names) => tests(kernel, suite, names),
    }
}

fn cell(swept: &Swept) -> Cell {
    phrase::of_sweep(swept).map_or(Cell::Pass, Cell::Wrong)
}

/// [`SHORT`], or less if the user wants less.
fn short(kernel: &Kernel) -> Option<Duration> {
    Some(kernel.limit.map_or(SHORT, |limit| limit.min(SHORT)))
}

/// Boots the tests of a suite together; those behind one that has ended the boot get boots of their own. So does one that has not ended in
/// time: perhaps the host was busy.
fn tests(kernel: &Kernel, suite: &str, names: &[String]) -> Vec<Cell> {
    let Ok(boot) = boot(kernel, &format!("{suite}.")) else {
        return names.iter().map(|_| Cell::NotRun).collect();
    };
    let mut cells = if boot.end == End::Timeout { verdicts(&boot, names) } else { cells(&boot, names) };
    for (name, cell) in names.iter().zip(&mut cells).filter(|(_, cell)| **cell == Cell::NotRun) {
        if let Ok(boot) = self::boot(kernel, name) {
            *cell = self::cells(&boot, std::slice::from_ref(name)).remove(0);
        }
    }
    cells
}

fn boot(kernel: &Kernel, test: &str) -> anyhow::Result<Captured> {
    let machine = machine(&format!("mode=test test={test}"));
    capture(&machine, &Start::Kernel(&kernel.image), short(kernel), to_the_end)
}

/// The cells of the tests `names`, which are in the kernel's order. The first one without a verdict is the one that has ended the boot,
/// if the boot has not ended as it should have.
fn cells(boot: &Captured, names: &[String]) -> Vec<Cell> {
    let mut cells = verdicts(boot, names);
    let problems = ktap::parse(&boot.console).problems;
    let ended_well = problems.is_empty() && matches!(boot.end, End::Status(0 | 1));
    if !ended_well && let Some(first) = cells.iter_mut().find(|cell| **cell == Cell::NotRun) {
        *first = Cell::Wrong(phrase::of_end(boot));
    }
    cells
}

/// The cells of those tests of `names` that have a verdict; the others were not run.
fn verdicts(boot: &Captured, names: &[String]) -> Vec<Cell> {
    let report = ktap::parse(&boot.console);
    let verdict = |name: &String| {
        let found = report.tests.iter().find(|test| format!("{}.{}", test.suite, test.name) == *name)?;
        match &found.verdict {
            Verdict::Unknown(_) => None,
            Verdict::Skipped(_) => Some(Cell::Skipped),
            verdict => Some(phrase::of_test(verdict).map_or(Cell::Pass, Cell::Wrong)),
        }
    };
    names.iter().map(|name| verdict(name).unwrap_or(Cell::NotRun)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn a_part_has_what_the_filter_leaves() {
        let inventory = Inventory {
            tests: names(&["rule-warns.a", "rule-warns.b", "steps.c", "threads-steps.d"]),
            sweeps: names(&["breakpoint", "step-1"]),
            ..Inventory::default()
        };
        let shown = |filter| parts(&inventory, filter).iter().map(Part::names).collect::<Vec<_>>().concat();
        assert_eq!(
            shown(None),
            ["sweep.breakpoint", "sweep.step-1", "rule-warns.a", "rule-warns.b", "threads-steps.d"]
        );
        assert_eq!(shown(Some("step")), ["sweep.step-1", "threads-steps.d"]);
        assert!(shown(Some("nothing")).is_empty());
    }

    #[test]
    fn the_test_that_ends_the_boot_is_the_one_without_a_verdict() {
        let start = "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..3\n    ok 1 a\n";
        let boot = |end, console: &str| Captured { end, console: console.into(), wall: Duration::ZERO };
        let all = names(&["s.a", "s.b", "s.c"]);
        let panicked = boot(End::Status(101), &format!("{start}panic: rule M8 violated: why (a.rs:1)\n"));
        assert_eq!(cells(&panicked, &all), [Cell::Pass, Cell::Wrong("breaks M8: why".into()), Cell::NotRun]);
        assert_eq!(
            cells(&boot(End::Timeout, start), &all),
            [Cell::Pass, Cell::Wrong("hangs".into()), Cell::NotRun]
        );
        assert_eq!(verdicts(&boot(End::Timeout, start), &all), [Cell::Pass, Cell::NotRun, Cell::NotRun]);
        let good = format!("{start}    ok 2 b\n    ok 3 c # SKIP no NMIs\nok 1 s\n");
        assert_eq!(cells(&boot(End::Status(0), &good), &all), [Cell::Pass, Cell::Pass, Cell::Skipped]);
    }
}
