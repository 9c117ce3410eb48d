//! `sweep`: a timer interrupt on every instruction boundary of every debug path, and with `--pairs` two of them.
//!
//! The kernel does the work (`mode=sweep`). The command `sweep` gives each scenario a boot of its own on each machine, so that a
//! scenario which ends the kernel does not stop the others. `qemu-test` sweeps all scenarios in one boot for each machine
//! (`sweep_all`).

mod boot;
mod disassemble;
mod report;

#[cfg(test)]
pub use boot::Violation;
pub use boot::{Faults, Swept, machines, sweep_all, sweep_one};

use crate::args::{Common, Sweep};
use crate::qemu::{Machine, Start};
use crate::run::{kernel, planned_image};
use crate::setup::decide::Need;
use crate::test::Kernel;
use crate::{inventory, pack, pool};
use anyhow::{Result, bail};
use report::Progress;
use std::time::Duration;

/// How long one scenario may take on one machine, with one interrupt and with pairs. Pairs have many more places.
const LIMIT: Duration = Duration::from_secs(120);
const LIMIT_OF_PAIRS: Duration = Duration::from_secs(3600);
/// How long all scenarios may take in one boot.
const LIMIT_OF_ALL: Duration = Duration::from_secs(1200);

/// How long one scenario may take on one machine, unless the user says otherwise.
pub fn limit(common: &Common, pairs: bool) -> Option<Duration> {
    common.limit(Some(if pairs { LIMIT_OF_PAIRS } else { LIMIT }))
}

/// How long all scenarios may take in one boot, unless the user says otherwise.
pub fn limit_of_all(common: &Common) -> Option<Duration> {
    common.limit(Some(LIMIT_OF_ALL))
}

/// Sweeps and prints. Returns whether there were no violations.
///
/// # Errors
/// When the kernel does not build, or no scenario has that name.
pub fn sweep(arguments: &Sweep) -> Result<bool> {
    let common = &arguments.common;
    let machines = machines(common, arguments.pairs);
    if common.dry_run {
        let (image, name) = (planned_image(common), arguments.scenario.as_deref());
        for machine in &machines {
            let machine = name.map_or_else(|| machine.clone(), |name| boot::only(machine, name));
            println!("{}", machine.shell_line(&Start::Kernel(&image)));
        }
        return Ok(true);
    }
    let elf = kernel(common, Need { qemu: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    let kernel = Kernel { elf, image, limit: limit(common, arguments.pairs) };
    let all = inventory::ask(&kernel.elf, &kernel.image, kernel.limit)?.sweeps;
    let names = chosen(all, arguments.scenario.as_deref())?;
    let tasks: Vec<(&str, &Machine)> =
        names.iter().flat_map(|name| machines.iter().map(move |machine| (name.as_str(), machine))).collect();
    let progress = Progress::new(tasks.len());
    let mut swept: Vec<Option<Swept>> = tasks.iter().map(|_| None).collect();
    pool::run(
        tasks,
        arguments.jobs.unwrap_or_else(pool::default_jobs),
        |(name, machine)| sweep_one(&kernel, machine, name, &|line| progress.tell(machine, line)),
        |index, one| {
            progress.done(&one);
            swept[index] = Some(one);
        },
    );
    progress.end();
    let swept: Vec<_> = swept.into_iter().flatten().collect();
    let violations = report::violations(&kernel, common, arguments.pairs, &swept);
    let rows = report::rows(&swept);
    if arguments.json {
        eprint!("{violations}");
        print!("{}", report::json(&rows));
    } else {
        print!("{violations}{}", report::table(&rows));
    }
    Ok(rows.iter().all(|row| row.violations == 0))
}

/// The scenario with this name; if there is none, all scenarios whose name contains it.
fn chosen(all: Vec<String>, name: Option<&str>) -> Result<Vec<String>> {
    let Some(name) = name else { return Ok(all) };
    if all.iter().any(|scenario| scenario == name) {
        return Ok(vec![name.into()]);
    }
    let some: Vec<_> = all.iter().filter(|scenario| scenario.contains(name)).cloned().collect();
    if some.is_empty() {
        bail!("no scenario's name contains `{name}`; there are {}", all.join(", "));
    }
    Ok(some)
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn a_whole_name_is_that_scenario_alone() {
        let all = || vec!["step".to_owned(), "step-one".into(), "warn".into()];
        assert_eq!(chosen(all(), Some("step")).unwrap(), ["step"]);
        assert_eq!(chosen(all(), Some("ste")).unwrap(), ["step", "step-one"]);
        assert_eq!(chosen(all(), None).unwrap().len(), 3);
        assert!(chosen(all(), Some("x")).is_err());
    }
}
