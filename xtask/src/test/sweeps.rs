//! The sweep as part of `qemu-test`: every scenario with one interrupt; in the full matrix with two as well.

use super::Extent;
use super::outcome::{Case, Outcome};
use super::{Kernel, matrix};
use crate::args::{Common, QemuTest};
use crate::inventory::Inventory;
use crate::ktap::Verdict;
use crate::qemu::{Machine, Start};
use crate::sweep::{self, Swept, sweep_one};

/// What the filter leaves, a task a machine.
pub fn tasks(arguments: &QemuTest, inventory: &Inventory) -> Vec<(Vec<String>, Machine)> {
    let wanted = |name: &&String| {
        arguments.filter.as_ref().is_none_or(|filter| format!("sweep.{name}").contains(filter.as_str()))
    };
    let names: Vec<_> = inventory.sweeps.iter().filter(wanted).cloned().collect();
    if names.is_empty() {
        return Vec::new();
    }
    let kinds: &[bool] = if arguments.matrix == Extent::Full { &[true, false] } else { &[false] };
    kinds
        .iter()
        .flat_map(|&pairs| sweep::machines(&arguments.common, pairs))
        .map(|machine| (names.clone(), machine))
        .collect()
}

/// Sweeps them, each in a boot of its own.
pub fn run(kernel: &Kernel, common: &Common, names: &[String], machine: &Machine) -> Outcome {
    let pairs = machine.append.contains("pairs=1");
    let kernel = &Kernel { limit: sweep::limit(common, pairs), ..kernel.clone() };
    let name = format!("sweep{}, {}", if pairs { " of pairs" } else { "" }, matrix::name(machine));
    let mut outcome = Outcome { name, ..Outcome::default() };
    for name in names {
        let swept = sweep_one(kernel, machine, name, &|_| ());
        outcome.wall += swept.wall;
        let bad = swept.violations > 0;
        outcome.cases.push(Case::new("sweep", name, verdict(&swept)));
        if bad && outcome.tail.is_empty() {
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
