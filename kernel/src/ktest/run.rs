//! Runs suites and prints KTAP (Documentation/dev-tools/ktap.rst).

use super::clean::Before;
use super::{Apart, Death, Ended, Suite};
use crate::exception::live;
use crate::println;
use rules::overrides::alternatives;

/// What the tests came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
}

fn selected(filter: &str, suite: &str, test: &str) -> bool {
    let full = alloc::format!("{suite}.{test}");
    full.contains(filter)
}

/// Whether there is a test whose `suite.test` contains `filter`.
pub fn matches(suites: &[&Suite], filter: &str) -> bool {
    suites.iter().any(|suite| suite.tests.iter().any(|test| selected(filter, suite.name, test.name)))
}

/// Runs the tests whose `suite.test` contains `filter`. Thread context on the first CPU.
pub fn run(suites: &[&Suite], filter: &str) -> Counts {
    let mut counts = Counts::default();
    let chosen =
        |suite: &Suite| suite.tests.iter().filter(|test| selected(filter, suite.name, test.name)).count();
    println!("KTAP version 1");
    println!("1..{}", suites.iter().filter(|suite| chosen(suite) > 0).count());
    for (number, suite) in suites.iter().filter(|suite| chosen(suite) > 0).enumerate() {
        println!("    KTAP version 1");
        println!("    # Subtest: {}", suite.name);
        println!("    1..{}", chosen(suite));
        let failed = counts.failed;
        let tests = suite.tests.iter().filter(|test| selected(filter, suite.name, test.name));
        for (number, test) in tests.enumerate() {
            let before = Before::now();
            let outcome = (test.run)();
            let outcome = match (outcome, before.left_behind()) {
                (Ok(()), Some(left)) => Err(Ended::Failed(left)),
                (outcome, _) => outcome,
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

/// What there is to test, for the tool.
pub fn list(suites: &[&Suite], apart: &[Apart], deaths: &[Death]) {
    for suite in suites {
        for test in suite.tests {
            println!("list: test {}.{}", suite.name, test.name);
        }
    }
    for death in deaths {
        crate::print!("list: die {}", death.name);
        for expected in death.expect {
            crate::print!(" | {expected}");
        }
        list_needs(death.args, death.machine);
    }
    for apart in apart {
        for test in apart.suite.tests {
            crate::print!("list: apart {}.{}", apart.suite.name, test.name);
            list_needs(apart.args, apart.machine);
        }
    }
    for cell in live::LIVE.iter().flat_map(|row| alternatives(row.row())) {
        println!("list: cell {cell}");
    }
}

fn list_needs(args: &str, machine: &str) {
    if !args.is_empty() {
        crate::print!(" | args={args}");
    }
    if !machine.is_empty() {
        crate::print!(" | machine={machine}");
    }
    println!();
}
