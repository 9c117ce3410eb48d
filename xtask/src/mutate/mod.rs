//! `mutate`: shows that the tests cover every rule. A boot argument changes one cell of the rule table after the other; the model is asked what
//! the change breaks, and at least one of the kernel's tests must fail each time, those that bear the rule's name before all others. With `--source`, faults are put into the source instead ([`source`]).

mod source;

pub use source::Shard;

use crate::args::Mutate;
use crate::capture::{Captured, capture};
use crate::inventory::{self, Die};
use crate::ktap::{self, Verdict, is_panic};
use crate::qemu::{Machine, Start};
use crate::run::{kernel, planned_image};
use crate::session::End;
use crate::setup::decide::Need;
use crate::test::{Kernel, machine_for};
use crate::{pack, pool};
use ::model::explore::explore;
use ::model::model::Model;
use ::model::scenarios::scenarios;
use ::model::table::Table;
use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget};
use rules::overrides::Override;
use std::io::IsTerminal;
use std::time::Duration;

/// How long a boot may take. It is short, because a changed rule often hangs the machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Tries every cell. Returns whether every change was detected.
///
/// # Errors
/// When the kernel does not build, the unchanged kernel fails a test, or the table has no such cell.
pub fn mutate(arguments: &Mutate) -> Result<bool> {
    let common = &arguments.common;
    if let Some(file) = &arguments.source {
        return source::mutate(arguments, file.as_deref());
    }
    if common.release {
        bail!("a release build has no overrides of the rule table: run `mutate` without --release");
    }
    let machines = machines(arguments);
    if common.dry_run {
        let image = planned_image(common);
        machines.iter().for_each(|machine| println!("{}", machine.shell_line(&Start::Kernel(&image))));
        return Ok(true);
    }
    let elf = kernel(common, Need { qemu: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    let kernel = Kernel { elf, image, limit: common.limit(Some(LIMIT)) };
    let inventory = inventory::ask(&kernel.elf, &kernel.image, kernel.limit)?;
    let cells = inventory.cells.iter().filter(|cell| wanted(cell, arguments.row.as_deref()));
    let cells: Vec<_> = cells.cloned().collect();
    if cells.is_empty() {
        bail!("no cell of the rule table that a boot argument can change has this name");
    }
    let base = || common.machine(Machine::default());
    let dies = inventory.dies.iter().map(|die| Ok((die.clone(), machine_for(die, base())?)));
    let trial = Trial { kernel, machines, dies: dies.collect::<Result<_>>()? };
    if let Some(what) = trial.detect("") {
        bail!("the unchanged kernel does not pass: {what}");
    }
    Ok(trial.all(&cells, arguments.jobs.unwrap_or_else(pool::default_jobs)))
}

/// One machine masks interrupts by PSTATE.I, and one by priority: some changes show on one of them only.
fn machines(arguments: &Mutate) -> Vec<Machine> {
    let machine =
        |append: &str| arguments.common.machine(Machine { append: append.into(), ..Machine::default() });
    let mut machines = vec![machine("mode=test"), machine("mode=test nmi=1")];
    machines.dedup();
    machines
}

/// Whether the user's name stands for the cell `M8.ss=keep`: its row (`M8`), its column (`M8.ss`), or the cell itself.
fn wanted(cell: &str, name: Option<&str>) -> bool {
    name.is_none_or(|name| {
        cell.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '=']))
    })
}

/// The boots that a changed kernel has to pass.
struct Trial {
    kernel: Kernel,
    machines: Vec<Machine>,
    dies: Vec<(Die, Machine)>,
}

impl Trial {
    fn all(&self, cells: &[String], jobs: usize) -> bool {
        let bar = ProgressBar::new(cells.len() as u64);
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let mut survived = 0;
        let width = cells.iter().map(String::len).max().unwrap_or(0);
        let work = |cell: String| (model_says(&cell), self.detect_by_name(&cell));
        pool::run(cells.to_vec(), jobs, work, |index, (model, detected)| {
            bar.inc(1);
            survived += usize::from(detected.is_none());
            let text = detected.as_deref().unwrap_or("SURVIVED");
            let model = model.as_deref().unwrap_or("nothing");
            bar.suspend(|| println!("{:<width$}  model: {model:<8} tests: {text}", cells[index]));
        });
        bar.finish_and_clear();
        println!("{} cells changed, {} detected, {survived} survived", cells.len(), cells.len() - survived);
        survived == 0
    }

    /// The first failure with a cell changed, of the tests that bear the name of its rule, or of all; None if everything passes.
    fn detect_by_name(&self, cell: &str) -> Option<String> {
        let argument = format!(" rule.{cell}");
        let row = cell.split('.').next().unwrap_or(cell).to_lowercase();
        let named = self.machines.first().and_then(|machine| {
            let machine = Machine { append: format!("{} test={row}_", machine.append), ..machine.clone() };
            self.suites(&machine, &argument)
        });
        named.or_else(|| self.detect(&argument))
    }

    /// The first failure with one more boot argument; None if everything passes.
    fn detect(&self, argument: &str) -> Option<String> {
        let suites = self.machines.iter().find_map(|machine| self.suites(machine, argument));
        suites.or_else(|| {
            let mut dies = self.dies.iter();
            dies.find_map(|(die, machine)| self.kernel.die(die, &changed(machine, argument)).complaint())
        })
    }

    /// The first failure of the suites on one machine.
    fn suites(&self, machine: &Machine, argument: &str) -> Option<String> {
        // One failure is enough: the boot is ended after it.
        let failed =
            |console: &str| console.lines().any(|line| line.starts_with("    not ok ") || is_panic(line));
        let complete = |console: &str| failed(console) && console.ends_with('\n');
        let start = Start::Kernel(&self.kernel.image);
        match capture(&changed(machine, argument), &start, self.kernel.limit, complete) {
            Ok(boot) => detection(&boot),
            // A boot that could not be started has detected nothing.
            Err(_) => None,
        }
    }
}

/// The machine with one more boot argument.
fn changed(machine: &Machine, argument: &str) -> Machine {
    Machine { append: format!("{}{argument}", machine.append), ..machine.clone() }
}

/// The rule that the model finds broken with a cell changed; None if it finds none, as with rows that it does not apply.
fn model_says(cell: &str) -> Option<String> {
    let (name, value) = cell.split_once('=')?;
    let (id, column) = name.split_once('.')?;
    let change = Override::parse(id, column, value).ok()?;
    let models = scenarios(1).into_iter().map(|config| Model::new(Table::of_kernel().with(change), config));
    models.filter_map(|model| explore(&model).violation).map(|violation| violation.rule.to_owned()).next()
}

/// The failure in a boot's results; None if the boot is complete and good.
fn detection(boot: &Captured) -> Option<String> {
    let report = ktap::parse(&boot.console);
    let failed = report.tests.iter().find(|test| matches!(test.verdict, Verdict::Failed(_)));
    if let Some(test) = failed {
        return Some(format!("{}.{}", test.suite, test.name));
    }
    if let Some(panic) = boot.console.lines().find(|line| is_panic(line)) {
        let last = report
            .tests
            .last()
            .map_or("the start".to_owned(), |test| format!("{}.{}", test.suite, test.name));
        return Some(format!("{panic} (after {last})"));
    }
    match (boot.end, report.problems.first()) {
        (End::Status(0), None) => None,
        (_, Some(problem)) => Some(format!("{} ({problem})", boot.ending())),
        (_, None) => Some(boot.ending()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_columns_and_cells_can_be_named() {
        assert!(wanted("M8.ss=keep", None));
        for name in ["M8", "M8.ss", "M8.ss=keep"] {
            assert!(wanted("M8.ss=keep", Some(name)), "{name}");
        }
        for name in ["M", "M1", "M8.s", "M8.ss=k"] {
            assert!(!wanted("M8.ss=keep", Some(name)), "{name}");
        }
        assert!(!wanted("M12.ss=keep", Some("M1")));
    }

    #[test]
    fn the_model_is_asked_first() {
        assert_eq!(model_says("M8.ss=keep").as_deref(), Some("I2"));
        assert_eq!(model_says("M12b.ss=keep"), None);
        assert_eq!(model_says("nonsense"), None);
    }

    fn boot(end: End, console: &str) -> Captured {
        Captured { end, console: console.into(), wall: Duration::ZERO }
    }

    #[test]
    fn only_a_full_good_run_is_a_survivor() {
        let good =
            "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..1\n    ok 1 a\nok 1 s\n";
        assert_eq!(detection(&boot(End::Status(0), good)), None);
        let failed = good.replace("    ok 1 a", "    not ok 1 a");
        assert_eq!(detection(&boot(End::Stopped, &failed)).as_deref(), Some("s.a"));
        assert!(
            detection(&boot(End::Status(101), &format!("{good}panic: M8\n"))).unwrap().contains("after s.a")
        );
        assert!(detection(&boot(End::Timeout, good)).unwrap().contains("hang"));
        assert!(detection(&boot(End::Status(0), "")).is_some());
    }
}
