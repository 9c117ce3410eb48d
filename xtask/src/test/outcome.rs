//! The results of a boot, or of the host's tests.

use crate::ktap::Verdict;
use std::time::Duration;

/// One test's result on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub suite: String,
    pub name: String,
    pub verdict: Verdict,
    pub output: String,
}

/// The results of one boot.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The name of the machine, or of the part of `qemu-test`.
    pub name: String,
    pub cases: Vec<Case>,
    /// The console's last lines. They are shown when something went wrong.
    pub tail: String,
    /// A command that repeats the run.
    pub replay: String,
    pub wall: Duration,
}

/// How many cases have each verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub unknown: usize,
}

impl Outcome {
    /// Counts the cases.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for case in &self.cases {
            match case.verdict {
                Verdict::Passed => counts.passed += 1,
                Verdict::Failed(_) => counts.failed += 1,
                Verdict::Skipped(_) => counts.skipped += 1,
                Verdict::Unknown(_) => counts.unknown += 1,
            }
        }
        counts
    }

    /// The first case that has failed or has no verdict, with the reason.
    pub fn complaint(&self) -> Option<String> {
        self.cases.iter().find_map(|case| match &case.verdict {
            Verdict::Failed(why) | Verdict::Unknown(why) => {
                Some(format!("{}.{}: {why}", case.suite, case.name))
            }
            Verdict::Passed | Verdict::Skipped(_) => None,
        })
    }

    /// The outcome of a boot that could not be started.
    pub fn not_run(name: &str, suite: &str, error: &anyhow::Error) -> Self {
        Self {
            name: name.into(),
            cases: vec![Case::unknown(suite, "boot", format!("{error:#}"))],
            ..Self::default()
        }
    }
}

impl Case {
    /// A case without a verdict.
    pub fn unknown(suite: &str, name: &str, why: String) -> Self {
        Self::new(suite, name, Verdict::Unknown(why))
    }

    /// A case without output.
    pub fn new(suite: &str, name: &str, verdict: Verdict) -> Self {
        Self { suite: suite.into(), name: name.into(), verdict, output: String::new() }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.unknown += other.unknown;
    }
}

impl Counts {
    /// The last line of `qemu-test`. Cases without a verdict are counted as failed.
    pub fn summary(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed + self.unknown, self.skipped)
    }

    /// Whether nothing failed and something passed.
    pub fn good(&self) -> bool {
        self.failed == 0 && self.unknown == 0 && self.passed > 0
    }
}
