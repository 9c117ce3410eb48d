//! Boots that sweep, one scenario or all of them, and what the console says of each scenario.

use crate::args::Common;
use crate::capture::{Captured, capture, to_the_end};
use crate::ktap::is_panic;
use crate::machines;
use crate::qemu::{Machine, Start};
use crate::session::End;
use crate::test::{Kernel, machine_name};
use std::time::Duration;

/// The result of one scenario on one machine.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    pub name: String,
    pub machine: Machine,
    pub boundaries: u64,
    pub violations: u64,
    /// The first violation, if there is one.
    pub first: Option<Violation>,
    /// What went wrong at all boundaries, if the kernel has come to the scenario's end.
    pub faults: Option<Faults>,
    /// The console's last lines, to be shown with a violation.
    pub tail: String,
    pub wall: Duration,
}

/// What the violations of a scenario have in common, as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Steps that landed in the interrupt's handler.
    pub landed: u64,
    /// Hits of slots and probes that were counted more than they were due.
    pub twice: u64,
    /// Hits of slots and probes that were due and not counted.
    pub unseen: u64,
}

/// A violation: an outcome that the interrupt has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violation {
    /// The boundary, as the boot argument `k=` takes it. None if the scenario failed without an interrupt.
    pub k: Option<String>,
    pub what: String,
    /// The console's lines about where the interrupts came: `interrupted at WORD`, then the place, for each interrupt.
    pub places: Vec<Place>,
}

/// Where an interrupt came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The instruction word in memory.
    pub word: String,
    /// `  [<ADDRESS>] SYMBOL+OFFSET/SIZE`.
    pub line: String,
}

/// The machines that scenarios are swept on, narrowed by the user's flags.
pub fn machines(common: &Common, pairs: bool) -> Vec<Machine> {
    let mode = if pairs { "mode=sweep pairs=1" } else { "mode=sweep" };
    machines::narrowed(common, machines::SWEEP.map(|config| config.machine(mode)))
}

/// The machine, told to sweep this scenario only.
pub fn only(machine: &Machine, name: &str) -> Machine {
    Machine { append: format!("{} test={name}", machine.append), ..machine.clone() }
}

/// Boots and sweeps one scenario. `tell` is called with its progress.
pub fn sweep_one(kernel: &Kernel, machine: &Machine, name: &str, tell: &dyn Fn(&str)) -> Swept {
    let machine = only(machine, name);
    let enough = |console: &str| {
        if let Some(line) = console.lines().rev().find_map(progress) {
            tell(line);
        }
        false
    };
    match capture(&machine, &Start::Kernel(&kernel.image), kernel.limit, enough) {
        Ok(boot) => {
            let tail = boot.tail(&kernel.elf);
            Swept { tail, wall: boot.wall, ..read(name, machine, &boot) }
        }
        Err(error) => {
            let first = Some(Violation { what: format!("{error:#}"), ..Violation::default() });
            Swept { name: name.into(), machine, violations: 1, first, ..Swept::default() }
        }
    }
}

/// Sweeps all scenarios in one boot, which may take `limit`. `names` are the scenarios in the kernel's order. If one of them ends
/// the kernel, another boot begins with the one after it.
pub fn sweep_all(
    kernel: &Kernel,
    limit: Option<Duration>,
    machine: &Machine,
    names: &[String],
) -> Vec<Swept> {
    let mut swept = Vec::new();
    while let Some(rest) = names.get(swept.len()..).filter(|rest| !rest.is_empty()) {
        let of_boot = boot_of(kernel, limit, &from(machine, &rest[0], swept.is_empty()), machine, rest);
        swept.extend(of_boot);
    }
    swept
}

/// The machine, told to begin with this scenario, unless it is the first one.
fn from(machine: &Machine, name: &str, first: bool) -> Machine {
    let from = if first { String::new() } else { format!(" from={name}") };
    Machine { append: format!("{}{from}", machine.append), ..machine.clone() }
}

/// Boots `beginning`, which sweeps `names` on `machine`. Returns the results of those that were begun, at least one.
fn boot_of(
    kernel: &Kernel,
    limit: Option<Duration>,
    beginning: &Machine,
    machine: &Machine,
    names: &[String],
) -> Vec<Swept> {
    let boot = match capture(beginning, &Start::Kernel(&kernel.image), limit, to_the_end) {
        Ok(boot) => boot,
        Err(_) => return vec![sweep_one(kernel, machine, &names[0], &|_| ())],
    };
    let parts = parts(names, &boot);
    let mut swept: Vec<_> = names
        .iter()
        .zip(&parts)
        .map(|(name, part)| Swept { tail: part.tail(&kernel.elf), ..read(name, machine.clone(), part) })
        .collect();
    if let Some(first) = swept.first_mut() {
        first.wall = boot.wall;
    }
    swept
}

/// Splits the console of a boot of all scenarios into one console and one end for each, as if each had had a boot of its own. The
/// first scenario without a verdict gets the rest of the console and the boot's end. If the end contradicts the verdicts, the last
/// scenario gets that end.
fn parts(names: &[String], boot: &Captured) -> Vec<Captured> {
    let mut parts = Vec::new();
    let (mut rest, mut good) = (boot.console.as_str(), true);
    for name in names {
        let Some((end, (_, violations))) = verdict(rest, name) else {
            parts.push(Captured { end: boot.end, console: rest.into(), wall: Duration::ZERO });
            return parts;
        };
        good &= violations == 0;
        let status = End::Status(i32::from(violations > 0));
        parts.push(Captured { end: status, console: rest[..end].into(), wall: Duration::ZERO });
        rest = &rest[end..];
    }
    if boot.end != End::Status(i32::from(!good))
        && let Some(last) = parts.last_mut()
    {
        last.console += rest;
        last.end = boot.end;
    }
    parts
}

/// The numbers of a scenario, and where their line ends in the console.
fn verdict(console: &str, name: &str) -> Option<(usize, (u64, u64))> {
    let mut end = 0;
    console.split_inclusive('\n').find_map(|line| {
        end += line.len();
        totals(line.trim_end(), name).map(|numbers| (end, numbers))
    })
}

/// The part `breakpoint at 12 of 990` of a line of progress.
fn progress(line: &str) -> Option<&str> {
    let text = line.trim_end().strip_prefix("sweep: ")?;
    text.split_once(" at ").filter(|(_, rest)| rest.contains(" of ")).map(|_| text)
}

/// Reads a scenario's result from the console. A missing verdict, or an end that contradicts the verdict, is a violation.
fn read(name: &str, machine: Machine, boot: &Captured) -> Swept {
    let lines: Vec<_> = boot.console.lines().map(str::trim_end).collect();
    let total = lines.iter().find_map(|line| totals(line, name));
    let mut first = lines.iter().position(|line| line.starts_with("sweep: violation ")).and_then(|at| {
        let rest = lines[at].strip_prefix("sweep: violation ")?.strip_prefix(name)?.strip_prefix(" k=")?;
        let (k, what) = rest.split_once(": ")?;
        // In `k=12 (NMI)` the class is not part of the boot argument: with `k=12` both kinds of interrupts are tried.
        let (k, class) = k.split_once(' ').map_or((k, String::new()), |(k, class)| (k, format!(" {class}")));
        let places = lines[at + 1..].chunks(2).map_while(place).collect();
        Some(Violation { k: Some(k.into()), what: format!("{what}{class}"), places })
    });
    let (boundaries, mut violations) = total.unwrap_or_else(|| {
        // There is no verdict: count the boundaries that the scenario has tried so far.
        let tried =
            first.as_ref().and_then(|first| first.k.as_deref()?.split(',').next()?.parse::<u64>().ok());
        let seen = lines.iter().rev().find_map(|line| progress(line)?.split(' ').nth(2)?.parse().ok());
        (tried.map(|k| k + 1).or(seen).unwrap_or(0), 0)
    });
    let due = End::Status(i32::from(violations > 0));
    if total.is_none() || boot.end != due || boundaries == 0 {
        violations = violations.max(1);
        let panic = lines.iter().find(|line| is_panic(line));
        let early = lines.iter().find_map(|line| line.split_once(" ended early: "));
        let why = match (panic, early) {
            (Some(panic), _) => (*panic).to_owned(),
            (None, Some((_, why))) => why.to_owned(),
            (None, None) => format!("no verdict ({})", boot.ending()),
        };
        match &mut first {
            Some(first) if panic.is_some() => first.what = why,
            Some(_) => {}
            None => first = Some(Violation { what: why, ..Violation::default() }),
        }
    }
    if violations > 0 && first.is_none() {
        let early = lines.iter().find_map(|line| line.split_once(" ended early: "));
        let what = early.map_or("no reason given", |(_, why)| why).to_owned();
        first = Some(Violation { what, ..Violation::default() });
    }
    let faults = lines.iter().find_map(|line| faults(line, name));
    Swept { name: name.into(), machine, boundaries, violations, first, faults, ..Swept::default() }
}

/// Reads the line `sweep: NAME faults landed=1 twice=2 unseen=3`.
fn faults(line: &str, name: &str) -> Option<Faults> {
    let rest = line.strip_prefix("sweep: ")?.strip_prefix(name)?.strip_prefix(" faults ")?;
    let number =
        |key: &str| rest.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok());
    Some(Faults { landed: number("landed")?, twice: number("twice")?, unseen: number("unseen")? })
}

fn totals(line: &str, name: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("sweep: ")?.strip_prefix(name)?.strip_prefix(" boundaries=")?;
    let (boundaries, violations) = rest.split_once(" violations=")?;
    Some((boundaries.parse().ok()?, violations.parse().ok()?))
}

fn place(lines: &[&str]) -> Option<Place> {
    let [first, second] = lines else { return None };
    let word = first.strip_prefix("sweep: interrupted at ")?.into();
    second.starts_with("  [<").then(|| Place { word, line: (*second).to_owned() })
}

impl Swept {
    /// The result in one line.
    pub fn summary(&self) -> String {
        let (boundaries, violations) = (self.boundaries, self.violations);
        format!(
            "{:<24} {:<28} {boundaries:>7} boundaries {violations:>5} violations",
            self.name,
            machine_name(&self.machine)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::{El, Gic};

    fn swept(end: End, console: &str) -> Swept {
        let boot = Captured { end, console: console.into(), wall: Duration::ZERO };
        read("bp", Machine::default(), &boot)
    }

    #[test]
    fn a_verdict_with_its_status_is_believed() {
        let good = swept(End::Status(0), "x\nsweep: bp at 0 of 9\nsweep: bp boundaries=9 violations=0\n");
        assert_eq!((good.boundaries, good.violations, good.first), (9, 0, None));
    }

    #[test]
    fn what_does_not_add_up_is_a_violation() {
        let total = "sweep: bp boundaries=9 violations=0\n";
        for (end, console) in [
            (End::Status(1), total),
            (End::Timeout, total),
            (End::Status(0), ""),
            (End::Status(0), "sweep: bp boundaries=0 violations=0\n"),
            (End::Status(0), "sweep: other boundaries=9 violations=0\n"),
            (End::Status(1), "sweep: bp ended early: why\nsweep: bp boundaries=3 violations=1\n"),
        ] {
            let swept = swept(end, console);
            assert!(swept.violations == 1 && swept.first.is_some(), "{end:?} {console}");
        }
        assert_eq!(swept(End::Timeout, "sweep: bp at 50 of 90\n").boundaries, 50);
    }

    #[test]
    fn the_faults_of_a_scenario_are_its_own() {
        let line = "sweep: bp faults landed=3 twice=0 unseen=12\n";
        let verdict = "sweep: bp boundaries=9 violations=4\n";
        let seen = swept(End::Status(1), &format!("{line}{verdict}")).faults;
        assert_eq!(seen, Some(Faults { landed: 3, twice: 0, unseen: 12 }));
        assert_eq!(swept(End::Status(1), &format!("{}{verdict}", line.replace("bp", "bp-x"))).faults, None);
        assert_eq!(swept(End::Status(1), verdict).faults, None);
    }

    #[test]
    fn a_boot_begins_behind_the_scenario_that_ended_the_last_one() {
        let machine = Machine { append: "mode=sweep".into(), ..Machine::default() };
        assert_eq!(from(&machine, "bp", true).append, "mode=sweep");
        assert_eq!(from(&machine, "wp", false).append, "mode=sweep from=wp");
    }

    /// Boundaries and violations of scenarios that shared a boot.
    fn together(names: &[&str], end: End, console: &str) -> Vec<(u64, u64)> {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let boot = Captured { end, console: console.into(), wall: Duration::ZERO };
        let read = |(part, name): (&Captured, &String)| {
            let swept = read(name, Machine::default(), part);
            (swept.boundaries, swept.violations)
        };
        parts(&names, &boot).iter().zip(&names).map(read).collect()
    }

    #[test]
    fn scenarios_that_share_a_boot_have_a_verdict_each() {
        let bp = "x\nsweep: bp at 0 of 9\nsweep: bp boundaries=9 violations=0\n";
        let bad = "sweep: violation wp k=1: hits\nsweep: wp boundaries=5 violations=2\n";
        let step = "sweep: step boundaries=7 violations=0\nsweep: total boundaries=21 violations=2\n";
        let (three, all) = (["bp", "wp", "step"], [bp, bad, step].concat());
        assert_eq!(together(&three, End::Status(1), &all), [(9, 0), (5, 2), (7, 0)]);
        let good = [bp, step].concat();
        assert_eq!(together(&["bp", "step"], End::Status(0), &good), [(9, 0), (7, 0)]);
        // The boot's end does not fit the verdicts.
        assert_eq!(together(&["bp", "step"], End::Status(1), &good), [(9, 0), (7, 1)]);
        assert_eq!(together(&three, End::Timeout, &all), [(9, 0), (5, 2), (7, 1)]);
    }

    #[test]
    fn what_ends_a_shared_boot_is_the_first_without_a_verdict() {
        let bp = "sweep: bp boundaries=9 violations=0\n";
        let end = "panic: rule I2 violated\nsweep: violation wp k=7: the kernel ended\n";
        for console in [[bp, end].concat(), [bp, "sweep: step boundaries=7 violations=0\n"].concat()] {
            let seen = together(&["bp", "wp", "step"], End::Status(101), &console);
            assert_eq!((seen.len(), seen[0], seen[1].1), (2, (9, 0), 1), "the third is booted by itself");
        }
    }

    #[test]
    fn a_violation_is_told_in_full() {
        let console = "sweep: violation bp k=12,3 (NMI): hits: 1 where 2 is due\nsweep: interrupted at d503201f\n  \
                       [<ffff800080001000>] f+0x4/0x8\nsweep: interrupted at 91000400\n  [<ffff800080001004>] f+0x8/0x8\n\
                       sweep: bp boundaries=9 violations=4\n";
        let swept = swept(End::Status(1), console);
        let first = swept.first.unwrap();
        assert_eq!((swept.boundaries, swept.violations), (9, 4));
        assert_eq!((first.k.as_deref(), first.what.as_str()), (Some("12,3"), "hits: 1 where 2 is due (NMI)"));
        assert_eq!(first.places.len(), 2);
        assert_eq!(first.places[1].word, "91000400");
    }

    #[test]
    fn a_panic_names_its_boundary() {
        let console =
            "sweep: bp at 0 of 90\npanic: rule I2 violated\nsweep: violation bp k=7: the kernel ended\n";
        let swept = swept(End::Status(101), console);
        assert_eq!((swept.boundaries, swept.violations), (8, 1));
        let first = swept.first.unwrap();
        assert_eq!((first.k.as_deref(), first.what.as_str()), (Some("7"), "panic: rule I2 violated"));
    }

    #[test]
    fn one_machine_can_be_chosen() {
        assert_eq!(machines(&Common::default(), false).len(), 4);
        let cpu = Some("max".into());
        let one = Common { cpu, el: Some(El::El1), gic: Some(Gic::V2), smp: Some(1), ..Common::default() };
        assert_eq!(machines(&one, false).len(), 1);
    }
}
