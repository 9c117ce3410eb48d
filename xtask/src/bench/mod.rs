//! `bench`: what the kernel's paths cost in guest instructions, beside Linux's costs, and how long they keep exceptions masked.

mod counts;
mod log;
mod logged;
mod programs;
mod rows;
mod sampled;
mod samples;
mod show;
mod stretches;
pub mod trace;

use crate::args::{Bench, Common};
use crate::capture::{Captured, capture, to_the_end};
use crate::ktap::is_panic;
use crate::machines::COSTS;
use crate::paths::root;
use crate::pool;
use crate::qemu::{Machine, Start};
use crate::run::{kernel, planned_image};
use crate::say::say;
use crate::session::End;
use crate::setup::decide::Need;
use crate::{pack, test::Kernel};
use anyhow::{Result, bail};
use rows::Row;
use samples::Counted;
use std::path::Path;
use std::time::Duration;
use stretches::Masked;

const LIMIT: Duration = Duration::from_secs(300);

/// All figures of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    rows: Vec<Row>,
    counted: Vec<Counted>,
    stretches: Vec<Masked>,
}

/// Measures and prints. With `--check`, returns whether all budgets hold; otherwise true.
///
/// # Errors
/// When the kernel does not build or does not come to its end, or when two runs differ.
pub fn bench(arguments: &Bench) -> Result<bool> {
    // Costs are those of the release build, also without `--release`.
    let common = Common { release: true, ..arguments.common.clone() };
    let machine = machines(&common).swap_remove(0);
    if common.dry_run {
        let image = planned_image(&common);
        println!("{}", machine.shell_line(&Start::Kernel(&image)));
        println!("{}", logged::shell_line(&sampled::machine(&machine), &image));
        println!("{}", logged::shell_line(&stretches::machine(&machine), &image));
        return Ok(true);
    }
    let elf = kernel(&common, Need { qemu: true, user: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    let kernel = Kernel { elf, image, limit: common.limit(Some(LIMIT)) };
    let costs = twice(&kernel, &machine)?;
    print!("{}", if arguments.json { show::json(&costs) } else { show::tables(&costs) });
    if arguments.write {
        show::write(&root().join(show::PAGE), &costs)?;
    }
    let rows = costs.rows.iter().filter(|row| !row.holds()).map(|row| row.key.clone());
    let over: Vec<_> = rows.chain(costs.counted.iter().flat_map(Counted::over)).collect();
    if arguments.check && !over.is_empty() {
        say!("over budget: {}", over.join(", "));
    }
    Ok(!arguments.check || over.is_empty())
}

/// The machines that costs can be measured on, narrowed by the user's flags: the first one is that of the budgets.
pub fn machines(common: &Common) -> Vec<Machine> {
    let mut machines: Vec<_> = COSTS.map(|config| common.machine(config.machine("mode=bench"))).into();
    machines.dedup();
    machines
}

/// Measures twice. A figure that differs between two runs means nothing.
fn twice(kernel: &Kernel, machine: &Machine) -> Result<Costs> {
    let mut runs = Vec::new();
    let run = |()| measure(kernel, machine);
    pool::run(vec![(), ()], pool::default_jobs(), run, |_, costs| runs.push(costs));
    let mut runs = runs.into_iter();
    let (Some(first), Some(second)) = (runs.next(), runs.next()) else { bail!("no run") };
    let (first, second) = (first?, second?);
    if first != second {
        bail!("two runs differ:\n{}and\n{}", show::tables(&first), show::tables(&second));
    }
    Ok(first)
}

/// Boots once for the kernel's rows, once for the stretches, and once for each program that measures rows; then again for the samples of
/// the kernel and of each program.
///
/// # Errors
/// When a boot does not come to its end, or when a figure that is measured in two ways differs.
pub fn measure(kernel: &Kernel, machine: &Machine) -> Result<Costs> {
    measure_with_traces(kernel, machine).map(|(costs, _)| costs)
}

/// Like [`measure`], but also returns the instructions that each path has executed.
///
/// # Errors
/// When [`measure`] would fail.
pub fn measure_with_traces(kernel: &Kernel, machine: &Machine) -> Result<(Costs, trace::Traces)> {
    let boot = capture(machine, &Start::Kernel(&kernel.image), kernel.limit, to_the_end)?;
    let (stretches, traces) = stretches::measure(kernel, machine)?;
    let mut boots = vec![boot];
    boots.extend(programs::measure(kernel, machine)?);
    let consoles = consoles(&boots, &kernel.elf)?;
    let rows = rows::read(&consoles)?;
    let counted = sampled::measure(kernel, machine, &consoles)?;
    let costs = Costs { rows, counted, stretches };
    consistent(&costs)?;
    samples::consistent(&costs.counted, &costs.rows)?;
    Ok((costs, traces))
}

/// The consoles of boots that came to their ends.
fn consoles(boots: &[Captured], elf: &Path) -> Result<String> {
    let mut consoles = String::new();
    for boot in boots {
        if boot.end != End::Status(0) || boot.console.lines().any(is_panic) {
            bail!("the kernel did not come to its end ({}):\n{}", boot.ending(), boot.tail(elf));
        }
        consoles += &boot.console;
    }
    Ok(consoles)
}

/// Compares the two ways of counting. The empty BRK runs masked from its vector to its return. So the counter's figure must be the
/// length of the stretch in QEMU's log, plus one for the BRK itself.
fn consistent(costs: &Costs) -> Result<()> {
    const KEY: &str = "dbg_entry_exit";
    let row = costs.rows.iter().find(|row| row.key == KEY);
    let path = costs.stretches.iter().find(|path| path.name == KEY);
    let (Some(row), Some(path)) = (row, path) else { bail!("{KEY} was not measured in both ways") };
    let (counted, d, i) = (row.insns, path.longest.d.insns, path.longest.i.insns);
    if (d + 1, i + 1) != (counted, counted) {
        bail!("{KEY}: {counted} instructions by the counter, but D is masked for {d} and I for {i} of them");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::log::{Longest, Stretch};
    use super::*;

    #[test]
    fn what_the_counter_and_the_log_say_must_agree() {
        let costs = |insns: u64, d, i| {
            let rows = rows::read(&rows::tests::console(|_| insns)).unwrap();
            let stretch = |insns| Stretch { insns, from: 0 };
            let longest = Longest { runs: 1, insns: 99, d: stretch(d), i: stretch(i) };
            let name = "dbg_entry_exit".into();
            let path = Masked { name, longest, d_from: String::new(), i_from: String::new() };
            Costs { rows, counted: Vec::new(), stretches: vec![path] }
        };
        assert!(consistent(&costs(95, 94, 94)).is_ok());
        for (insns, d, i) in [(95, 93, 94), (95, 94, 95), (94, 94, 94)] {
            assert!(consistent(&costs(insns, d, i)).is_err());
        }
        assert!(consistent(&Costs { stretches: Vec::new(), ..costs(95, 94, 94) }).is_err());
    }
}
