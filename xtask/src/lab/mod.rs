//! `lab`: kernels that are built with the rules of others, and what goes wrong with each.
//!
//! - `boots`: what is booted, and what each scenario and test has come to.
//! - `phrase`: what went wrong, in one phrase.
//! - `matrix`: scenarios and tests by policies, and how that is shown.

mod boots;
mod matrix;
mod phrase;

use crate::args::Lab;
use crate::paths::root;
use crate::say::say;
use crate::setup::{self, decide::Need};
use crate::test::Kernel;
use crate::{build, inventory, pack, pool};
use anyhow::{Context, Result, bail};
use boots::Part;
use matrix::{Cell, Matrix, Row};
use rules::policies::{self, Policy};
use std::time::Duration;

/// The document that has the matrix, between these two lines.
const PAGE: &str = "docs/lab.md";
const BEGIN: &str = "<!-- The matrix: `cargo xtask lab --write` writes it. -->";
const END: &str = "<!-- The end of the matrix. -->";

/// Builds, boots and prints. Returns whether the product passes everywhere, if it is among the policies.
///
/// # Errors
/// When the host lacks something, a kernel does not build, or nothing has a name that the filter leaves.
pub fn lab(arguments: &Lab) -> Result<bool> {
    setup::prepare(Need { qemu: true, ..Need::default() })?;
    let policies = if arguments.rules.is_empty() { policies::ALL.to_vec() } else { arguments.rules.clone() };
    let limit = Some(Duration::from_secs(arguments.timeout));
    let kernels = policies.iter().map(|policy| kernel(policy, limit)).collect::<Result<Vec<_>>>()?;
    let jobs = arguments.jobs.unwrap_or_else(pool::default_jobs);
    let matrix = measure(&policies, &kernels, jobs, arguments)?;
    if let Some(file) = &arguments.html {
        std::fs::write(file, matrix.html()).with_context(|| format!("cannot write {}", file.display()))?;
        say!("{} written", file.display());
    }
    if arguments.write {
        write(&matrix)?;
    }
    print!("{}", if arguments.json { matrix.json() } else { matrix.text() });
    Ok(matrix.passes(policies::STEPWELL.name))
}

/// Builds the kernel of a policy.
fn kernel(policy: &Policy, limit: Option<Duration>) -> Result<Kernel> {
    say!("building {}", policy.name);
    let elf = build::kernel(false, policy)?;
    let image = pack::pack(&elf).with_context(|| format!("the kernel of {}", policy.name))?;
    Ok(Kernel { elf, image, limit })
}

/// Boots every part on the kernel of every policy.
fn measure(policies: &[&'static Policy], kernels: &[Kernel], jobs: usize, arguments: &Lab) -> Result<Matrix> {
    let Some(first) = kernels.first() else { bail!("there is no policy") };
    let inventory = inventory::ask(&first.elf, &first.image, first.limit)?;
    let parts = boots::parts(&inventory, arguments.filter.as_deref());
    if parts.is_empty() {
        bail!(
            "no scenario and no test has a name that contains `{}`",
            arguments.filter.as_deref().unwrap_or("")
        );
    }
    // The sweeps take longest, so they begin first.
    let tasks: Vec<_> =
        parts.iter().flat_map(|part| kernels.iter().map(move |kernel| (part, kernel))).collect();
    let mut done: Vec<Vec<Cell>> = vec![Vec::new(); tasks.len()];
    let (many, mut count) = (tasks.len(), 0);
    let work = |(part, kernel): (&Part, &Kernel)| boots::run(kernel, part, &inventory.sweeps, arguments.thin);
    pool::run(tasks, jobs, work, |index, cells| {
        count += 1;
        let wrong = cells.iter().filter(|cell| !cell.is_good()).count();
        let policy = policies[index % policies.len()].name;
        let what = match &parts[index / policies.len()] {
            Part::Sweep(_) => "sweep",
            Part::Suite(suite, _) => suite,
        };
        say!("{count} of {many}: {policy}, {what}: {wrong} of {} do not pass", cells.len());
        done[index] = cells;
    });
    let columns = done.chunks(policies.len());
    let rows = parts.iter().zip(columns).flat_map(|(part, columns)| {
        let row = |(n, name): (usize, String)| Row {
            name,
            cells: columns.iter().map(|cells: &Vec<Cell>| cells[n].clone()).collect(),
        };
        part.names().into_iter().enumerate().map(row).collect::<Vec<_>>()
    });
    Ok(Matrix {
        policies: policies.iter().map(|policy| policy.name).collect(),
        rows: rows.filter(Row::is_run).collect(),
    })
}

/// Writes the matrix into the document.
fn write(matrix: &Matrix) -> Result<()> {
    let path = root().join(PAGE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let page =
        replaced(&text, &matrix.markdown()).with_context(|| format!("{PAGE} has no place for the matrix"))?;
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    say!("{PAGE} written");
    Ok(())
}

/// The document with another matrix; None if it has no place for one.
fn replaced(text: &str, matrix: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, behind) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{matrix}\n{END}{behind}"))
}

#[cfg(test)]
mod tests;
