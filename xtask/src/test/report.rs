//! Shows results as they arrive: with a progress bar on a terminal, in plain lines elsewhere.

use super::outcome::{Counts, Outcome};
use crate::ktap::Verdict;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

/// What the user sees of a run.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Begins to show the progress of a run with `steps` tasks.
    pub fn new(steps: usize) -> Self {
        let bar = ProgressBar::new(steps as u64);
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos}/{len} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(500));
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self { bar }
    }

    /// Says what is being done now.
    pub fn doing(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    /// Shows an outcome in one line, and below it what went wrong.
    pub fn done(&self, outcome: &Outcome) {
        self.bar.inc(1);
        self.bar.suspend(|| print!("{}", text(outcome)));
    }

    /// Removes the bar from the terminal.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows an outcome when there is no bar.
pub fn show(outcome: &Outcome) {
    print!("{}", text(outcome));
}

/// The line of an outcome, and below it what went wrong.
fn text(outcome: &Outcome) -> String {
    let counts = outcome.counts();
    let word = match counts {
        Counts { unknown: 1.., .. } => "UNKNOWN",
        Counts { failed: 1.., .. } => "FAILED",
        Counts { passed: 0, skipped: 1.., .. } => "skipped",
        _ => "passed",
    };
    let seconds = outcome.wall.as_secs_f64();
    let mut text = format!("{word:<8}{seconds:>6.1} s  {:<44} {}\n", outcome.name, counts.summary());
    if word == "skipped" || counts.failed + counts.unknown > 0 {
        for case in &outcome.cases {
            let (what, why) = match &case.verdict {
                Verdict::Failed(why) => ("failed", why),
                Verdict::Unknown(why) => ("no verdict", why),
                Verdict::Skipped(why) if word == "skipped" => ("skipped", why),
                _ => continue,
            };
            text += &format!("    {what}: {}.{}: {why}\n", case.suite, case.name);
            text += &indented(&case.output);
        }
    }
    if counts.failed + counts.unknown > 0 {
        text += "    the console's end:\n";
        text += &indented(&outcome.tail);
        text += &format!("    again: {}\n", outcome.replay);
    }
    text
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("    | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::outcome::Case;

    fn outcome(verdicts: Vec<Verdict>) -> Outcome {
        let cases = verdicts.into_iter().map(|verdict| Case::new("s", "t", verdict)).collect();
        Outcome { name: "max".into(), cases, tail: "the end".into(), ..Outcome::default() }
    }

    #[test]
    fn a_boot_without_a_verdict_shows_its_console() {
        let text = text(&outcome(vec![Verdict::Passed, Verdict::Unknown("hang".into())]));
        assert!(text.starts_with("UNKNOWN"));
        assert!(text.contains("1 passed, 1 failed, 0 skipped"));
        assert!(text.contains("no verdict: s.t: hang") && text.contains("| the end"));
    }

    #[test]
    fn a_good_boot_is_one_line() {
        let text = text(&outcome(vec![Verdict::Passed, Verdict::Skipped("why".into())]));
        assert_eq!(text.lines().count(), 1);
    }
}
