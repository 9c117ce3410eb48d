//! The sweep as part of `qemu-test`. Every scenario is swept with one interrupt, and each boundary is tried on one of the machines.
//! In the full matrix each boundary is tried on all machines, and pairs of interrupts are tried as well.

use super::Extent;
use super::outcome::{Case, Outcome};
use super::{Kernel, matrix};
use crate::args::{Common, QemuTest};
use crate::inventory::Inventory;
use crate::ktap::Verdict;
use crate::qemu::{Machine, Start};
use crate::sweep::{self, Swept, sweep_all, sweep_one};

/// What one machine sweeps.
pub struct Sweeps {
    names: Vec<String>,
    machine: Machine,
    pairs: bool,
    /// Whether all scenarios share one boot. They do when none is filtered out and there are no pairs.
    together: bool,
}

/// The scenarios that the filter leaves, as one task for each machine.
pub fn tasks(arguments: &QemuTest, inventory: &Inventory) -> Vec<Sweeps> {
    let wanted = |name: &&String| {
        arguments.filter.as_ref().is_none_or(|filter| format!("sweep.{name}").contains(filter.as_str()))
    };
    let names: Vec<_> = inventory.sweeps.iter().filter(wanted).cloned().collect();
    if names.is_empty() {
        return Vec::new();
    }
    // A boot of all scenarios has no `test=`. If the user gives one, each scenario has to have its own boot.
    let all = names.len() == inventory.sweeps.len() && !arguments.common.gives("test");
    let kinds: &[bool] = if arguments.matrix == Extent::Full { &[true, false] } else { &[false] };
    let mut tasks = Vec::new();
    for &pairs in kinds {
        let machines = sweep::machines(&arguments.common, pairs);
        let of = machines.len();
        for (part, mut machine) in machines.into_iter().enumerate() {
            if arguments.matrix == Extent::Quick && !arguments.common.gives("share") {
                machine.append += &format!(" share={part}/{of}");
            }
            tasks.push(Sweeps { names: names.clone(), machine, pairs, together: all && !pairs });
        }
    }
    tasks
}

/// Sweeps all scenarios in one boot, or each in a boot of its own.
pub fn run(kernel: &Kernel, common: &Common, sweeps: &Sweeps) -> Outcome {
    let Sweeps { names, machine, pairs, together } = sweeps;
    let each = &Kernel { limit: sweep::limit(common, *pairs), ..kernel.clone() };
    let name = format!("sweep{}, {}", if *pairs { " of pairs" } else { "" }, matrix::name(machine));
    let mut outcome = Outcome { name, ..Outcome::default() };
    let all = if *together {
        sweep_all(each, sweep::limit_of_all(common), machine, names)
    } else {
        names.iter().map(|name| sweep_one(each, machine, name, &|_| ())).collect()
    };
    for swept in all {
        outcome.wall += swept.wall;
        outcome.cases.push(Case::new("sweep", &swept.name, verdict(&swept)));
        if swept.violations > 0 && outcome.tail.is_empty() {
            outcome.replay = swept.machine.shell_line(&Start::Kernel(&kernel.image));
            outcome.tail = swept.tail;
        }
    }
    outcome
}

fn verdict(swept: &Swept) -> Verdict {
    let Some(first) = &swept.first else { return Verdict::Passed };
    let at = first.k.as_ref().map_or(String::new(), |k| format!(", the first at k={k}"));
    Verdict::Failed(format!("{} violations{at}: {}", swept.violations, first.what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use cli::{BootArgs, Share};

    /// The number of scenarios, and whether they share a boot, on the first machine of each kind.
    fn first(line: &str) -> Vec<(usize, bool)> {
        let Command::QemuTest(arguments) = Cli::parse_from(line.split(' ')).command else { panic!("{line}") };
        let sweeps = ["bp".into(), "wp".into()].into();
        let all = tasks(&arguments, &Inventory { sweeps, ..Inventory::default() });
        let each = all.iter().map(|task| (task.names.len(), task.together));
        each.step_by(sweep::machines(&arguments.common, false).len()).collect()
    }

    #[test]
    fn a_boot_is_shared_where_it_sweeps_all_that_is_wanted() {
        assert_eq!(first("x qemu-test"), [(2, true)]);
        assert_eq!(first("x qemu-test sweep.wp"), [(1, false)]);
        assert_eq!(first("x qemu-test --append test=wp"), [(2, false)]);
        assert_eq!(first("x qemu-test --matrix full --gic 2"), [(2, false), (2, true)], "pairs, and one");
        assert_eq!(first("x qemu-test storm"), []);
    }

    /// The share of the boundaries that each machine tries.
    fn shares(line: &str) -> Vec<Share> {
        let Command::QemuTest(arguments) = Cli::parse_from(line.split(' ')).command else { panic!("{line}") };
        let all = tasks(&arguments, &Inventory { sweeps: ["bp".into()].into(), ..Inventory::default() });
        all.iter()
            .filter(|task| !task.pairs)
            .map(|task| BootArgs::parse(&task.machine.append).share)
            .collect()
    }

    #[test]
    fn each_boundary_is_tried_on_one_machine_in_the_quick_matrix_and_on_all_in_the_full_one() {
        let times = |shares: &[Share], k| {
            shares.iter().filter(|share| share.boundaries(9, 100).any(|boundary| boundary == k)).count()
        };
        for (flags, machines, each) in [
            ("", 4, 1),
            (" --gic 3", 4, 1),
            (" sweep.bp --cpu max --gic 2", 2, 1),
            (" --cpu max --gic 2 --el 1 --smp 1", 1, 1),
            (" --matrix full", 4, 4),
        ] {
            let shares = shares(&format!("x qemu-test{flags}"));
            assert_eq!(shares.len(), machines, "{flags}");
            assert!((0..100).all(|k| times(&shares, k) == each), "{flags}");
        }
    }
}
