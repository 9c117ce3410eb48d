//! The matrix: what each scenario and test does under each policy, and how it is shown.

use crate::json;
use serde::Serialize;
use std::fmt::Write;

/// The outcome of a scenario or a test under a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Pass,
    /// The phrase says what went wrong.
    Wrong(String),
    /// It was not run: the kernel of this policy has not come to it.
    NotRun,
    /// The machine lacks what the test needs.
    Skipped,
}

/// A scenario or a test, with its cells in the order of the policies.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub cells: Vec<Cell>,
}

/// The whole matrix.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub policies: Vec<&'static str>,
    pub rows: Vec<Row>,
}

/// A phrase, and the policies under which it is what went wrong.
type Shared<'a> = (String, Vec<&'a str>);

impl Cell {
    fn phrase(&self) -> &str {
        match self {
            Self::Pass => "pass",
            Self::Wrong(phrase) => phrase,
            Self::NotRun => "not run",
            Self::Skipped => "skipped",
        }
    }

    /// Whether nothing went wrong.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Pass | Self::Skipped)
    }
}

impl Row {
    fn passes(&self) -> bool {
        self.cells.iter().all(Cell::is_good)
    }

    /// Whether the machine has run the test at all.
    pub fn is_run(&self) -> bool {
        self.cells.iter().any(|cell| *cell != Cell::Skipped)
    }
}

impl Matrix {
    /// Whether a policy passes everywhere. True also if the matrix does not have the policy.
    pub fn passes(&self, policy: &str) -> bool {
        let column = self.policies.iter().position(|name| *name == policy);
        column.is_none_or(|column| self.rows.iter().all(|row| row.cells[column].is_good()))
    }

    /// For each policy, how many rows do not pass.
    fn wrong(&self) -> Vec<usize> {
        let wrong = |column: usize| self.rows.iter().filter(|row| !row.cells[column].is_good()).count();
        (0..self.policies.len()).map(wrong).collect()
    }

    /// The phrases of a row, each with the policies that it is the phrase of.
    fn shared(&self, row: &Row) -> Vec<Shared<'_>> {
        let mut shared: Vec<Shared<'_>> = Vec::new();
        for (policy, cell) in self.policies.iter().zip(&row.cells).filter(|(_, cell)| !cell.is_good()) {
            match shared.iter_mut().find(|(phrase, _)| phrase == cell.phrase()) {
                Some((_, policies)) => policies.push(policy),
                None => shared.push((cell.phrase().into(), vec![policy])),
            }
        }
        shared
    }

    /// The matrix for a terminal: a mark for each policy, and the phrases below their row.
    pub fn text(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(8);
        let mut text = format!("{:width$}", "");
        for policy in &self.policies {
            let _ = write!(text, "  {policy}");
        }
        text.push('\n');
        for row in &self.rows {
            let mut line = format!("{:width$}", row.name);
            for (policy, cell) in self.policies.iter().zip(&row.cells) {
                let mark = match cell {
                    Cell::Pass => "pass",
                    Cell::Wrong(_) => "WRONG",
                    Cell::NotRun | Cell::Skipped => "-",
                };
                let _ = write!(line, "  {mark:<width$}", width = policy.len());
            }
            let _ = writeln!(text, "{}", line.trim_end());
            for (phrase, policies) in self.shared(row) {
                let _ = writeln!(text, "    {}: {phrase}", policies.join(", "));
            }
        }
        let _ = write!(text, "{:width$}", "wrong");
        for (policy, wrong) in self.policies.iter().zip(self.wrong()) {
            let _ = write!(text, "  {wrong:<width$}", width = policy.len());
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// The matrix for a document: the rows that do not pass everywhere, with the phrases in the cells.
    pub fn markdown(&self) -> String {
        let mut text = format!("| | `{}` |\n", self.policies.join("` | `"));
        let _ = writeln!(text, "|---|{}", "---|".repeat(self.policies.len()));
        for row in self.rows.iter().filter(|row| !row.passes()) {
            let cells: Vec<_> = row.cells.iter().map(|cell| cell.phrase().replace('|', "\\|")).collect();
            let _ = writeln!(text, "| `{}` | {} |", row.name, cells.join(" | "));
        }
        let wrong: Vec<_> = self.wrong().iter().map(usize::to_string).collect();
        let _ = writeln!(text, "| rows that do not pass | {} |", wrong.join(" | "));
        let passing: Vec<_> =
            self.rows.iter().filter(|row| row.passes()).map(|row| format!("`{}`", row.name)).collect();
        let _ = write!(text, "\nThe other {} rows pass under every policy", passing.len());
        if passing.is_empty() {
            text += ".\n";
        } else {
            let _ = writeln!(text, ": {}.", passing.join(", "));
        }
        text
    }

    /// The matrix as a page.
    pub fn html(&self) -> String {
        let mut text = String::from(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Policies for debug exceptions</title>\n<style>\n\
             body { font: 14px sans-serif } table { border-collapse: collapse }\n\
             td, th { border: 1px solid #bbb; padding: 2px 6px; text-align: left; vertical-align: top }\n\
             thead th { position: sticky; top: 0; background: #fff }\n\
             .pass { color: #060 } .wrong { background: #fdd } .notrun { color: #888 }\n</style></head><body>\n\
             <h1>Policies for debug exceptions</h1>\n<table>\n<thead><tr><th></th>",
        );
        for policy in &self.policies {
            let _ = write!(text, "<th>{}</th>", escaped(policy));
        }
        text += "</tr></thead>\n";
        for row in &self.rows {
            let _ = write!(text, "<tr><th>{}</th>", escaped(&row.name));
            for cell in &row.cells {
                let class = match cell {
                    Cell::Pass => "pass",
                    Cell::Wrong(_) => "wrong",
                    Cell::NotRun | Cell::Skipped => "notrun",
                };
                let _ = write!(text, "<td class=\"{class}\">{}</td>", escaped(cell.phrase()));
            }
            text += "</tr>\n";
        }
        text + "</table>\n</body></html>\n"
    }

    /// The matrix for other programs.
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            name: &'a str,
            cells: Vec<&'a str>,
        }
        #[derive(Serialize)]
        struct Lab<'a> {
            policies: &'a [&'static str],
            rows: Vec<Line<'a>>,
        }
        let rows = self
            .rows
            .iter()
            .map(|row| Line { name: &row.name, cells: row.cells.iter().map(Cell::phrase).collect() });
        json::line(&Lab { policies: &self.policies, rows: rows.collect() })
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Matrix {
        let wrong = |phrase: &str| Cell::Wrong(phrase.into());
        let row = |name: &str, cells: [Cell; 3]| Row { name: name.into(), cells: cells.into() };
        Matrix {
            policies: vec!["stepwell", "other", "third"],
            rows: vec![
                row("step", [Cell::Pass, wrong("1 step landed"), wrong("1 step landed")]),
                row("warn", [Cell::Pass, Cell::Pass, Cell::Pass]),
                row("slot", [Cell::Pass, wrong("a < b"), Cell::NotRun]),
            ],
        }
    }

    #[test]
    fn the_terminal_has_a_mark_for_each_policy_and_each_phrase_once() {
        assert_eq!(
            matrix().text(),
            "          stepwell  other  third\n\
             step      pass      WRONG  WRONG\n    other, third: 1 step landed\n\
             warn      pass      pass   pass\n\
             slot      pass      WRONG  -\n    other: a < b\n    third: not run\n\
             wrong     0         2      2\n"
        );
    }

    #[test]
    fn a_document_has_the_rows_that_differ() {
        assert_eq!(
            matrix().markdown(),
            "| | `stepwell` | `other` | `third` |\n|---|---|---|---|\n\
             | `step` | pass | 1 step landed | 1 step landed |\n\
             | `slot` | pass | a < b | not run |\n\
             | rows that do not pass | 0 | 2 | 2 |\n\n\
             The other 1 rows pass under every policy: `warn`.\n"
        );
    }

    #[test]
    fn a_page_escapes_what_the_kernel_has_printed() {
        let page = matrix().html();
        assert!(page.contains("<td class=\"wrong\">a &lt; b</td>") && page.matches("<tr>").count() == 4);
    }

    #[test]
    fn json_is_as_promised() {
        let line = matrix().json();
        assert!(line.starts_with("{\"policies\":[\"stepwell\",\"other\",\"third\"],\"rows\":[{\"name\":\"step\",\"cells\":[\"pass\",\"1 step landed\""));
    }

    #[test]
    fn a_policy_passes_if_no_row_says_otherwise() {
        let matrix = matrix();
        assert!(matrix.passes("stepwell") && !matrix.passes("other") && !matrix.passes("third"));
        assert!(matrix.passes("not asked for"));
        let skipped = Row { name: "m9".into(), cells: vec![Cell::Skipped; 3] };
        assert!(skipped.passes() && !skipped.is_run() && matrix.rows.iter().all(Row::is_run));
    }
}
