//! The in-kernel tests: suites, their results as KTAP, and the state that a test must leave as it has found it.

pub mod clean;
mod command;
pub mod everywhere;
mod run;
mod swept;

pub use command::command;
pub use run::{Choice, Counts, list, matches, run};

use alloc::string::String;

/// How a test ends.
pub type Outcome = Result<(), Ended>;

/// Why a test ended early.
#[derive(Debug)]
pub enum Ended {
    /// The test has failed. The text says what was expected and what was found.
    Failed(String),
    /// The test cannot be run on this machine. The text says why.
    Skipped(String),
}

/// One test.
pub struct Test {
    /// The test's name, unique in its suite.
    pub name: &'static str,
    /// The function to run.
    pub run: fn() -> Outcome,
}

/// The tests of one concern.
pub struct Suite {
    /// Its name, unique.
    pub name: &'static str,
    /// Its tests.
    pub tests: &'static [Test],
}

/// A suite whose tests need other boot arguments or another machine. Each test gets a boot of its own.
pub struct Apart {
    /// The suite.
    pub suite: &'static Suite,
    /// The boot arguments that it needs.
    pub args: &'static str,
    /// What the machine must have: see [`Death::machine`].
    pub machine: &'static str,
}

/// A test that must end the kernel. It gets a boot of its own, and passes only if the kernel reports what is expected.
pub struct Death {
    /// Its name, unique.
    pub name: &'static str,
    /// A function that ends the kernel.
    pub run: fn(),
    /// Texts that must all be in the report.
    pub expect: &'static [&'static str],
    /// Boot arguments that it needs besides `die=`.
    pub args: &'static str,
    /// What the machine must have, separated by commas: `el2`, `gic2`, `smp2`, a CPU model. `xtask/src/inventory.rs` reads this.
    pub machine: &'static str,
}

/// Defines the module's `SUITE` from functions of the module.
#[macro_export]
macro_rules! suite {
    ($name:literal: $($test:ident),* $(,)?) => {
        /// This module's suite.
        pub static SUITE: $crate::ktest::Suite = $crate::ktest::Suite {
            name: $name,
            tests: &[$($crate::ktest::Test { name: stringify!($test), run: $test }),*],
        };
    };
}

/// Ends the test as failed unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr $(, $($why:tt)+)?) => {
        if !$condition {
            return Err($crate::ktest::Ended::Failed(alloc::format!(
                "{}:{}: {}{}", file!(), line!(), stringify!($condition),
                $crate::__why!($($($why)+)?)
            )));
        }
    };
}

/// Ends the test as failed unless both are equal.
#[macro_export]
macro_rules! check_eq {
    ($left:expr, $right:expr $(, $($why:tt)+)?) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            return Err($crate::ktest::Ended::Failed(alloc::format!(
                "{}:{}: {} is {:?}, expected {:?}{}", file!(), line!(), stringify!($left), left, right,
                $crate::__why!($($($why)+)?)
            )));
        }
    }};
}

/// The explanation in the messages of `check!` and `check_eq!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __why {
    () => { "" };
    ($($why:tt)+) => { alloc::format!(": {}", format_args!($($why)+)) };
}

/// Ends the test as skipped, for the given reason.
#[macro_export]
macro_rules! skip {
    ($($why:tt)+) => { return Err($crate::ktest::Ended::Skipped(alloc::format!($($why)+))) };
}
