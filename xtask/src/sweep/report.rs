//! What the user sees of a sweep.

use super::boot::{Place, Swept};
use super::disassemble;
use crate::args::Common;
use crate::capture::{capture, to_the_end};
use crate::json;
use crate::machines::flags;
use crate::qemu::{Machine, Start};
use crate::say::say;
use crate::symbolise::Symboliser;
use crate::test::{Kernel, machine_name};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the user sees while a sweep runs: a progress bar on a terminal, plain lines elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    /// When the last line was printed, if the output is no terminal.
    said: Mutex<Instant>,
}

/// Without a terminal, progress of a scenario is printed at most this often.
const SILENCE: Duration = Duration::from_secs(60);

impl Progress {
    /// Begins to show the progress of a sweep with `boots` boots.
    pub fn new(boots: usize) -> Self {
        let said = Mutex::new(Instant::now());
        if !std::io::stderr().is_terminal() {
            return Self { bar: None, said };
        }
        let bar = ProgressBar::with_draw_target(Some(boots as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{elapsed_precise} [{wide_bar}] {pos}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar: Some(bar), said }
    }

    /// Shows the progress of a scenario on a machine.
    pub fn tell(&self, machine: &Machine, line: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(line.to_owned()),
            None => {
                let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.elapsed() >= SILENCE {
                    *said = Instant::now();
                    say!("{} on {}", line, machine_name(machine));
                }
            }
        }
    }

    /// Shows that a scenario is done on a machine.
    pub fn done(&self, swept: &Swept) {
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => say!("{}", swept.summary()),
        }
    }

    /// Removes the bar from the terminal.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The results of one scenario on all machines, added up.
#[derive(Serialize)]
pub struct Row {
    pub name: String,
    pub boundaries: u64,
    pub violations: u64,
}

/// Adds up the results of each scenario, in the order of the scenarios.
pub fn rows(swept: &[Swept]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for one in swept {
        match rows.iter_mut().find(|row| row.name == one.name) {
            Some(row) => {
                row.boundaries += one.boundaries;
                row.violations += one.violations;
            }
            None => rows.push(Row {
                name: one.name.clone(),
                boundaries: one.boundaries,
                violations: one.violations,
            }),
        }
    }
    rows
}

fn total(rows: &[Row]) -> (u64, u64) {
    (rows.iter().map(|row| row.boundaries).sum(), rows.iter().map(|row| row.violations).sum())
}

/// The table for the terminal.
pub fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<28}{:>12}{:>12}\n", "scenario", "boundaries", "violations");
    let (boundaries, violations) = total(rows);
    let sum = Row { name: "all".into(), boundaries, violations };
    for row in rows.iter().chain([&sum]) {
        let _ = writeln!(text, "{:<28}{:>12}{:>12}", row.name, row.boundaries, row.violations);
    }
    text
}

/// The JSON for other programs.
pub fn json(rows: &[Row]) -> String {
    #[derive(Serialize)]
    struct Sweep<'a> {
        boundaries: u64,
        violations: u64,
        scenarios: &'a [Row],
    }
    let (boundaries, violations) = total(rows);
    json::line(&Sweep { boundaries, violations, scenarios: rows })
}

/// The first violation of every scenario, with the console of a run at this boundary alone.
pub fn violations(kernel: &Kernel, common: &Common, pairs: bool, swept: &[Swept]) -> String {
    let mut text = String::new();
    let mut told: Vec<&str> = Vec::new();
    for one in swept.iter().filter(|one| one.violations > 0) {
        if !told.contains(&one.name.as_str()) {
            told.push(&one.name);
            text += &violation(kernel, common, pairs, one);
        }
    }
    text
}

fn violation(kernel: &Kernel, common: &Common, pairs: bool, swept: &Swept) -> String {
    let first = swept.first.clone().unwrap_or_default();
    let at = first.k.as_ref().map_or(String::new(), |k| format!(" at k={k}"));
    let mut text =
        format!("{}: violation{at} on {}: {}\n", swept.name, machine_name(&swept.machine), first.what);
    for place in &first.places {
        text += &interrupted(kernel, place);
    }
    let machine = match &first.k {
        Some(k) => Machine { append: format!("{} k={k}", swept.machine.append), ..swept.machine.clone() },
        None => swept.machine.clone(),
    };
    let start = Start::Kernel(&kernel.image);
    match capture(&machine, &start, kernel.limit, to_the_end) {
        Ok(boot) if first.k.is_some() => {
            let _ = writeln!(text, "    the console of that run ({}):", boot.ending());
            text += &indented(&boot.tail(&kernel.elf));
        }
        _ => {
            text += "    the console's end:\n";
            text += &indented(&swept.tail);
        }
    }
    let _ =
        writeln!(text, "    again: {}", command(&swept.name, &machine, common, pairs, first.k.as_deref()));
    let _ = writeln!(text, "    or: {}", machine.shell_line(&start));
    text
}

/// The place of an interrupt with file and line, and the instruction there, in memory and in the image.
fn interrupted(kernel: &Kernel, place: &Place) -> String {
    let mut lines = Symboliser::new(&kernel.elf);
    let mut shown = lines.feed(format!("{}\n", place.line).as_bytes());
    shown.extend(lines.finish());
    let shown = String::from_utf8_lossy(&shown);
    let address = place.line.trim().strip_prefix("[<").and_then(|rest| rest.split_once(">]"));
    let address = address.and_then(|(address, _)| u64::from_str_radix(address, 16).ok());
    let instruction = address.and_then(|address| disassemble::at(&kernel.elf, address));
    let instruction = instruction.map_or(String::new(), |text| format!("{text}  "));
    format!("    interrupted in front of {instruction}({})\n    {}\n", place.word, shown.trim_end())
}

/// The command that repeats a violation.
fn command(name: &str, machine: &Machine, common: &Common, pairs: bool, k: Option<&str>) -> String {
    // `k=N,M` names one pair, so `--pairs` is not needed.
    let pairs = if pairs && k.is_none() { " --pairs" } else { "" };
    let k: Vec<_> = k.map(|k| format!("k={k}")).into_iter().collect();
    format!("cargo xtask sweep {name}{pairs} {}", flags(machine, common, &k))
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("    | {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::{El, Gic};

    fn swept(name: &str, boundaries: u64, violations: u64) -> Swept {
        Swept { name: name.into(), boundaries, violations, ..Swept::default() }
    }

    #[test]
    fn json_is_as_promised() {
        let rows = rows(&[swept("a", 3, 0), swept("b", 2, 1), swept("a", 4, 0)]);
        assert_eq!(
            json(&rows),
            "{\"boundaries\":9,\"violations\":1,\"scenarios\":[{\"name\":\"a\",\"boundaries\":7,\"violations\":0},\
             {\"name\":\"b\",\"boundaries\":2,\"violations\":1}]}\n"
        );
    }

    #[test]
    fn the_command_names_machine_and_boundary() {
        let machine = Machine {
            cpu: "cortex-a57".into(),
            gic: Gic::V3,
            el: El::El2,
            append: "mode=sweep nmi=1 rule.M8.ss=keep test=bp k=7".into(),
            ..Machine::default()
        };
        let common = Common { append: vec!["rule.M8.ss=keep".into()], ..Common::default() };
        assert_eq!(
            command("bp", &machine, &common, false, Some("7")),
            "cargo xtask sweep bp --cpu cortex-a57 --smp 4 --gic 3 --el 2 \
             --append 'rule.M8.ss=keep nmi=1 optimise=0 k=7'"
        );
    }
}
