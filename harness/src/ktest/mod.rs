//! The in-kernel tests: suites, their KTAP, and what a test must leave as it found it.

pub mod clean;
mod command;
pub mod everywhere;
mod run;
mod swept;

pub use command::command;
pub use run::{Choice, Counts, list, matches, run};

use alloc::string::String;

/// A test's end.
pub type Outcome = Result<(), Ended>;

/// Why a test ended before its end.
#[derive(Debug)]
pub enum Ended {
    /// It failed: what was expected and what was found.
    Failed(String),
    /// It cannot be run on this machine: why.
    Skipped(String),
}

/// One test.
pub struct Test {
    /// Its name, unique in the suite.
    pub name: &'static str,
    /// The test.
    pub run: fn() -> Outcome,
}

/// Tests of one concern.
pub struct Suite {
    /// Its name, unique.
    pub name: &'static str,
    /// Its tests.
    pub tests: &'static [Test],
}

/// A suite whose tests each get a boot of their own, since the ordinary one is not what they need.
pub struct Apart {
    /// The suite.
    pub suite: &'static Suite,
    /// Boot arguments that it needs.
    pub args: &'static str,
    /// What the machine must have: see [`Death::machine`].
    pub machine: &'static str,
}

/// A test that must end the kernel: it gets a boot of its own and passes only on the report it expects.
pub struct Death {
    /// Its name, unique.
    pub name: &'static str,
    /// Ends the kernel.
    pub run: fn(),
    /// All of these must be in the report.
    pub expect: &'static [&'static str],
    /// Boot arguments that it needs besides `die=`.
    pub args: &'static str,
    /// What the machine must have, separated by commas: `el2`, `gic2`, `smp2`, a CPU model; see the tool.
    pub machine: &'static str,
}

/// A suite from the functions of its module.
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

/// For `check!` and `check_eq!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __why {
    () => { "" };
    ($($why:tt)+) => { alloc::format!(": {}", format_args!($($why)+)) };
}

/// Ends the test as skipped.
#[macro_export]
macro_rules! skip {
    ($($why:tt)+) => { return Err($crate::ktest::Ended::Skipped(alloc::format!($($why)+))) };
}
