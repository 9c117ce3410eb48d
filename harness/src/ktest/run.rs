//! Runs suites and prints KTAP (Documentation/dev-tools/ktap.rst).

use super::clean::Before;
use super::{Apart, Death, Ended, Outcome, Suite, Test};
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::exception::live;
use kernel::println;
use rules::overrides::alternatives;

/// How many tests have passed, failed, and were skipped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The number of tests that have passed.
    pub passed: usize,
    /// The number of tests that have failed.
    pub failed: usize,
    /// The number of tests that were skipped.
    pub skipped: usize,
}

/// Which tests are run.
#[derive(Clone, Copy, Default)]
pub struct Choice<'a> {
    /// Every test whose `suite.test` contains this text is run.
    pub filter: &'a str,
    /// All tests of this suite are run too, whatever `filter` says.
    pub always: Option<&'a Suite>,
    /// Tests that cannot be run this time: the whole `suite.test`, and why. They are skipped if they were chosen.
    pub unfit: &'a [(&'a str, &'a str)],
}

impl<'a> Choice<'a> {
    fn selects(&self, suite: &Suite, test: &Test) -> bool {
        let always = self.always.is_some_and(|always| core::ptr::eq(always, suite));
        always || format!("{}.{}", suite.name, test.name).contains(self.filter)
    }

    fn of(&self, suite: &'a Suite) -> impl Iterator<Item = &'a Test> {
        suite.tests.iter().filter(|test| self.selects(suite, test))
    }

    fn unfit(&self, suite: &Suite, test: &Test) -> Option<&'a str> {
        let name = format!("{}.{}", suite.name, test.name);
        self.unfit.iter().find(|(unfit, _)| *unfit == name).map(|&(_, why)| why)
    }
}

/// Whether there is a test whose `suite.test` contains `filter`.
pub fn matches(suites: &[&Suite], filter: &str) -> bool {
    let choice = Choice { filter, ..Choice::default() };
    suites.iter().any(|suite| choice.of(suite).next().is_some())
}

/// Runs the tests of the choice. Thread context on the first CPU.
pub fn run(suites: &[&Suite], choice: Choice<'_>) -> Counts {
    let mut counts = Counts::default();
    let chosen = || suites.iter().filter(|suite| choice.of(suite).next().is_some());
    println!("KTAP version 1");
    println!("1..{}", chosen().count());
    for (number, suite) in chosen().enumerate() {
        println!("    KTAP version 1");
        println!("    # Subtest: {}", suite.name);
        println!("    1..{}", choice.of(suite).count());
        let failed = counts.failed;
        for (number, test) in choice.of(suite).enumerate() {
            let outcome = match choice.unfit(suite, test) {
                Some(why) => Err(Ended::Skipped(why.into())),
                None => run_one(test),
            };
            let (number, name) = (number + 1, test.name);
            match outcome {
                Ok(()) => {
                    counts.passed += 1;
                    println!("    ok {number} {name}");
                }
                Err(Ended::Skipped(why)) => {
                    counts.skipped += 1;
                    println!("    ok {number} {name} # SKIP {why}");
                }
                Err(Ended::Failed(why)) => {
                    counts.failed += 1;
                    println!("    not ok {number} {name} # {why}");
                }
            }
        }
        let word = if counts.failed == failed { "ok" } else { "not ok" };
        println!("{word} {} {}", number + 1, suite.name);
    }
    counts
}

/// The number of tests that were run.
pub(super) static RUN: AtomicU64 = AtomicU64::new(0);

/// Runs one test. It is a function of its own, so that a probe on it is hit once for each test.
#[inline(never)]
pub(super) fn run_one(test: &Test) -> Outcome {
    RUN.fetch_add(1, Relaxed);
    let before = Before::now();
    let outcome = (test.run)();
    match (outcome, before.left_behind()) {
        (Ok(()), Some(left)) => Err(Ended::Failed(left)),
        (outcome, _) => outcome,
    }
}

/// Prints the list of tests that `xtask/src/inventory.rs` reads.
pub fn list(suites: &[&Suite], apart: &[Apart], deaths: &[Death]) {
    for suite in suites {
        for test in suite.tests {
            println!("list: test {}.{}", suite.name, test.name);
        }
    }
    for death in deaths {
        kernel::print!("list: die {}", death.name);
        for expected in death.expect {
            kernel::print!(" | {expected}");
        }
        list_needs(death.args, death.machine);
    }
    for apart in apart {
        for test in apart.suite.tests {
            kernel::print!("list: apart {}.{}", apart.suite.name, test.name);
            list_needs(apart.args, apart.machine);
        }
    }
    for cell in live::LIVE.iter().flat_map(|row| alternatives(row.row())) {
        println!("list: cell {cell}");
    }
}

fn list_needs(args: &str, machine: &str) {
    if !args.is_empty() {
        kernel::print!(" | args={args}");
    }
    if !machine.is_empty() {
        kernel::print!(" | machine={machine}");
    }
    println!();
}
