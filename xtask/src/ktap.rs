//! Reads what the kernel's test suites print: KTAP version 1, one level of subtests.
//!
//! The parser is strict on purpose: a console that differs from its plan in any way makes the run `unknown`, and never a pass.
//! Lines that are not KTAP belong to the test that was running.

use std::fmt::Write;

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// The test failed, with this message.
    Failed(String),
    /// The test was skipped, for this reason.
    Skipped(String),
    /// The test has no verdict, for this reason.
    Unknown(String),
}

/// A test of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    pub suite: String,
    pub name: String,
    pub verdict: Verdict,
    /// The console's lines since the end of the test before it.
    pub output: String,
}

/// The results on a console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub tests: Vec<Test>,
    /// Why the run as a whole has no verdict; empty if it has one.
    pub problems: Vec<String>,
}

impl Report {
    /// Whether a test failed.
    pub fn failed(&self) -> bool {
        self.tests.iter().any(|test| matches!(test.verdict, Verdict::Failed(_)))
    }
}

/// Reads a whole console.
pub fn parse(console: &str) -> Report {
    let mut parser = Parser::default();
    for line in console.lines() {
        parser.line(line.trim_end_matches('\r'));
    }
    parser.finish()
}

/// Whether the line begins the report of a panic.
pub fn is_panic(line: &str) -> bool {
    line.starts_with("panic: ")
}

#[derive(Default)]
struct Parser {
    report: Report,
    started: bool,
    plan: Option<usize>,
    suites: usize,
    suite: Option<Suite>,
    output: String,
}

#[derive(Default)]
struct Suite {
    name: Option<String>,
    plan: Option<usize>,
    tests: usize,
    failed: bool,
}

enum Line<'a> {
    Version,
    Subtest(&'a str),
    Plan(usize),
    Result { good: bool, number: usize, name: &'a str, directive: &'a str },
    BailOut,
}

impl Parser {
    fn line(&mut self, line: &str) {
        if is_panic(line) {
            self.problem(format!("the kernel panicked: {line}"));
        }
        let (nested, text) = match line.strip_prefix("    ") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        let Some(item) = classify(text) else {
            let _ = writeln!(self.output, "{line}");
            return;
        };
        match (nested, item) {
            (_, Line::BailOut) => self.problem(format!("the run was given up: {line}")),
            (false, Line::Version) if self.started => {
                self.problem("the kernel started again (a second KTAP header)".into());
            }
            (false, Line::Version) => self.started = true,
            _ if !self.started => {
                let _ = writeln!(self.output, "{line}");
            }
            (false, Line::Plan(count)) => match self.plan.replace(count) {
                None if self.suites == 0 => {}
                _ => self.problem("a second plan at the top".into()),
            },
            (false, Line::Result { good, number, name, .. }) => self.end_suite(good, number, name),
            (false, Line::Subtest(_)) => self.problem("a subtest's name at the top".into()),
            (true, Line::Version) => match self.suite.replace(Suite::default()) {
                None => {}
                Some(open) => self.problem(format!("suite {} has no result", open.label())),
            },
            (true, item) => self.nested(line, item),
        }
    }

    fn nested(&mut self, line: &str, item: Line<'_>) {
        let Some(mut suite) = self.suite.take() else {
            return self.problem(format!("outside of a suite: {}", line.trim()));
        };
        match item {
            Line::Subtest(name) if suite.name.is_none() => suite.name = Some(name.into()),
            Line::Plan(count) if suite.plan.is_none() && suite.tests == 0 => suite.plan = Some(count),
            Line::Result { good, number, name, directive } => {
                self.test(&mut suite, good, number, name, directive);
            }
            Line::Subtest(_) | Line::Plan(_) => self.problem(format!("out of place: {}", line.trim())),
            Line::Version | Line::BailOut => unreachable!("handled by the caller"),
        }
        self.suite = Some(suite);
    }

    fn test(&mut self, suite: &mut Suite, good: bool, number: usize, name: &str, directive: &str) {
        suite.tests += 1;
        if suite.plan.is_none() {
            self.problem(format!("suite {} has no plan", suite.label()));
        }
        if number != suite.tests {
            self.problem(format!("suite {}: test {number} where {} was due", suite.label(), suite.tests));
        }
        if name.is_empty() {
            self.problem(format!("suite {}: test {number} has no name", suite.label()));
        }
        let verdict = match (good, directive.strip_prefix("SKIP")) {
            (true, Some(reason)) => Verdict::Skipped(reason.trim().into()),
            (true, None) => Verdict::Passed,
            (false, _) => Verdict::Failed(directive.into()),
        };
        suite.failed |= !good;
        let output = std::mem::take(&mut self.output);
        self.report.tests.push(Test { suite: suite.label(), name: name.into(), verdict, output });
    }

    fn end_suite(&mut self, good: bool, number: usize, name: &str) {
        self.suites += 1;
        if self.plan.is_none() {
            self.problem("no plan at the top".into());
        }
        if number != self.suites {
            self.problem(format!("suite {number} where {} was due", self.suites));
        }
        let Some(suite) = self.suite.take() else {
            return self.problem(format!("suite {name} has a result but no tests"));
        };
        if suite.name.as_deref() != Some(name) {
            self.problem(format!("suite {} ends as {name}", suite.label()));
        }
        if suite.plan != Some(suite.tests) {
            let plan = suite.plan.map_or("none".to_owned(), |plan| plan.to_string());
            self.problem(format!("suite {name}: {plan} planned, {} run", suite.tests));
        }
        if good == suite.failed {
            self.problem(format!("suite {name}'s own result contradicts its tests"));
        }
    }

    fn finish(mut self) -> Report {
        if !self.started {
            self.problem("no KTAP header: the tests did not start".into());
        } else {
            if let Some(open) = self.suite.take() {
                let after = self.report.tests.last().map_or("its start", |test| test.name.as_str());
                self.report.problems.push(format!("the run ended in suite {}, after {after}", open.label()));
            }
            if self.plan != Some(self.suites) {
                let plan = self.plan.map_or("none".to_owned(), |plan| plan.to_string());
                self.problem(format!("{plan} suites planned, {} run", self.suites));
            }
        }
        self.report
    }

    fn problem(&mut self, problem: String) {
        self.report.problems.push(problem);
    }
}

impl Suite {
    fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| "without a name".into())
    }
}

fn classify(text: &str) -> Option<Line<'_>> {
    if text == "KTAP version 1" {
        return Some(Line::Version);
    }
    if text.starts_with("Bail out!") {
        return Some(Line::BailOut);
    }
    if let Some(name) = text.strip_prefix("# Subtest: ") {
        return Some(Line::Subtest(name.trim()));
    }
    if let Some(count) = text.strip_prefix("1..") {
        return count.trim().parse().ok().map(Line::Plan);
    }
    let (good, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = number.parse().ok()?;
    let (name, directive) = rest.split_once('#').unwrap_or((rest, ""));
    let name = name.trim();
    let name = name.strip_prefix("- ").unwrap_or(name);
    Some(Line::Result { good, number, name, directive: directive.trim() })
}

#[cfg(test)]
#[path = "ktap_tests.rs"]
mod tests;
