//! The results as a JUnit file, for other programs.

use super::outcome::Outcome;
use crate::ktap::Verdict;
use anyhow::{Context, Result};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::path::Path;

/// Writes the file. Each boot becomes a suite.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    let text = report(outcomes).to_string().context("the results as JUnit")?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn report(outcomes: &[Outcome]) -> Report {
    let mut report = Report::new("stepwell");
    for outcome in outcomes {
        let mut suite = TestSuite::new(outcome.name.as_str());
        suite.set_time(outcome.wall);
        for case in &outcome.cases {
            let mut status = match &case.verdict {
                Verdict::Passed => TestCaseStatus::success(),
                Verdict::Skipped(_) => TestCaseStatus::skipped(),
                Verdict::Failed(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Verdict::Unknown(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
            };
            let why = match &case.verdict {
                Verdict::Passed => None,
                Verdict::Skipped(why) | Verdict::Failed(why) | Verdict::Unknown(why) => Some(why),
            };
            if let Some(why) = why {
                status.set_message(why.as_str());
            }
            let wrong = matches!(case.verdict, Verdict::Failed(_) | Verdict::Unknown(_));
            let mut test = TestCase::new(case.name.as_str(), status);
            test.set_classname(case.suite.as_str());
            if wrong {
                test.set_system_out(format!("{}\n{}", case.output, outcome.tail));
            }
            suite.add_test_case(test);
        }
        report.add_test_suite(suite);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::outcome::Case;

    #[test]
    fn the_file_tells_failures_from_missing_verdicts() {
        let cases = vec![
            Case::new("steps", "one", Verdict::Passed),
            Case::new("steps", "two", Verdict::Failed("1 < 2 \u{1b}[0m".into())),
            Case::unknown("boot", "verdict", "hang".into()),
            Case::new("steps", "four", Verdict::Skipped("one CPU".into())),
        ];
        let outcome = Outcome { name: "max gic3".into(), cases, tail: "tail".into(), ..Outcome::default() };
        let text = report(&[outcome]).to_string().unwrap();
        for part in
            ["tests=\"4\"", "failures=\"1\"", "errors=\"1\"", "1 &lt; 2", "name=\"max gic3\"", "<skipped"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}
