//! What the user sees of storms.

use super::boot::Stormed;
use crate::args::Common;
use crate::json;
use crate::machines::flags;
use crate::qemu::{Machine, Start};
use crate::say::say;
use crate::test::{Kernel, machine_name};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::cell::RefCell;
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

/// What the user sees while a storm runs: one changing line on a terminal, plain lines elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    last: RefCell<String>,
}

impl Progress {
    /// Begins to show the progress of a storm on `machine`.
    pub fn new(machine: &Machine) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{elapsed_precise} {prefix}: {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(machine_name(machine));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Self { bar, last: RefCell::default() }
    }

    /// Shows a line of the kernel's progress, unless it is the line before.
    pub fn tell(&self, line: &str) {
        if *self.last.borrow() == line {
            return;
        }
        *self.last.borrow_mut() = line.to_owned();
        match &self.bar {
            Some(bar) => bar.set_message(line.to_owned()),
            None => say!("{line}"),
        }
    }

    /// Removes the changing line from the terminal.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The text for the terminal: one line and the counts; or the failure, and the command that makes the same choices again.
pub fn text(kernel: &Kernel, common: &Common, asked: u64, stormed: &Stormed) -> String {
    let (seed, name) = (stormed.seed, machine_name(&stormed.machine));
    let seconds = stormed.wall.as_secs_f64();
    let Some(failure) = &stormed.failure else {
        let (exceptions, rounds) = (stormed.exceptions, stormed.rounds);
        let mut text = format!(
            "{name}: {exceptions} debug exceptions in {rounds} rounds, {seconds:.1} s; all exact; seed {seed}\n"
        );
        stormed.counts.iter().for_each(|line| _ = writeln!(text, "    {line}"));
        return text;
    };
    let word = if failure.verdict { "FAILED" } else { "UNKNOWN" };
    let mut text = format!("{name}: {word} after {seconds:.1} s, seed {seed}: {}\n", failure.what);
    text += "    the console's end:\n";
    stormed.tail.lines().for_each(|line| _ = writeln!(text, "    | {line}"));
    let _ = writeln!(text, "    again: {}", command(&stormed.machine, common, seed, asked));
    let _ = writeln!(text, "    or: {}", stormed.machine.shell_line(&Start::Kernel(&kernel.image)));
    text
}

/// The command that makes the same choices again.
pub fn command(machine: &Machine, common: &Common, seed: u64, exceptions: u64) -> String {
    let flags = flags(machine, common, &[]);
    format!("cargo xtask storm --seed {seed} --exceptions {exceptions} {flags}")
}

/// The JSON for other programs.
pub fn json(stormed: &[Stormed]) -> String {
    #[derive(Serialize)]
    struct Storms<'a> {
        exceptions: u64,
        failures: usize,
        storms: Vec<Storm<'a>>,
    }
    #[derive(Serialize)]
    struct Storm<'a> {
        machine: String,
        seed: u64,
        exceptions: u64,
        rounds: u64,
        seconds: f64,
        failure: Option<&'a str>,
    }
    fn storm(one: &Stormed) -> Storm<'_> {
        Storm {
            machine: machine_name(&one.machine),
            seed: one.seed,
            exceptions: one.exceptions,
            rounds: one.rounds,
            seconds: (one.wall.as_secs_f64() * 10.0).round() / 10.0,
            failure: one.failure.as_ref().map(|failure| failure.what.as_str()),
        }
    }
    json::line(&Storms {
        exceptions: stormed.iter().map(|one| one.exceptions).sum(),
        failures: stormed.iter().filter(|one| one.failure.is_some()).count(),
        storms: stormed.iter().map(storm).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::boot::Failure;

    #[test]
    fn json_is_as_promised() {
        let good = Stormed { seed: u64::MAX, exceptions: 9, rounds: 2, ..Stormed::default() };
        let failure = Some(Failure { what: "a \"b\"".into(), verdict: true });
        let bad = Stormed { seed: 1, failure, ..Stormed::default() };
        assert_eq!(
            json(&[good, bad]),
            "{\"exceptions\":9,\"failures\":1,\"storms\":[{\"machine\":\"max gic3 el1 smp4\",\"seed\":18446744073709551615,\
             \"exceptions\":9,\"rounds\":2,\"seconds\":0.0,\"failure\":null},{\"machine\":\"max gic3 el1 smp4\",\"seed\":1,\
             \"exceptions\":0,\"rounds\":0,\"seconds\":0.0,\"failure\":\"a \\\"b\\\"\"}]}\n"
        );
    }

    #[test]
    fn the_command_names_machine_and_seed() {
        let machine = Machine { append: "mode=storm nmi=1 seed=7".into(), smp: 2, ..Machine::default() };
        let common = Common { append: vec!["rule.M8.ss=keep".into()], ..Common::default() };
        assert_eq!(
            command(&machine, &common, 7, 10),
            "cargo xtask storm --seed 7 --exceptions 10 --cpu max --smp 2 --gic 3 --el 1 --append 'rule.M8.ss=keep nmi=1 optimise=0'"
        );
    }
}
