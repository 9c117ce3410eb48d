//! `qemu-test`: the host's tests, and at the same time the kernel's tests on every machine of the matrix.

pub mod boots;
mod costs;
mod dirty;
mod dtb;
mod everywhere;
mod examples;
mod gdb_session;
mod gdbserver;
mod host;
pub mod judge;
mod junit;
mod matrix;
mod order;
mod outcome;
pub mod programs;
mod report;
mod runs;
mod storms;
mod sweeps;
mod timelines;
mod traces;

#[cfg(test)]
pub use gdb_session::script as gdb_script;

pub use boots::{Kernel, machine_for};
pub use matrix::{Extent, name as machine_name};

use crate::args::QemuTest;
use crate::docs::{self, Document};
use crate::inventory::{self, Apart, Die, Inventory};
use crate::machines::APART;
use crate::qemu::{El, Machine, Start};
use crate::run::{kernel, planned_image};
use crate::say::say;
use crate::setup::decide::Need;
use crate::trace::conform;
use crate::{pack, pool};
use anyhow::{Result, bail};
use outcome::{Counts, Outcome};
use report::Progress;
use std::time::Duration;

/// Names for filters of the parts that the kernel does not list.
pub const PARTS: [&str; 10] = [
    storms::NAME,
    everywhere::NAME,
    gdb_session::NAME,
    gdbserver::SESSIONS,
    gdbserver::REPEATED,
    costs::NAME,
    timelines::NAME,
    examples::PREFIX,
    programs::PREFIX,
    programs::LIMITED_PREFIX,
];

/// How long one boot may take.
const LIMIT: Duration = Duration::from_secs(180);

/// One task of a run: a boot, several boots one after the other, or tests on the host.
enum Task {
    /// The tests on the host, except those that take minutes.
    Host,
    /// The lock-free protocols under a model checker, on the host.
    Models,
    Suites(Machine),
    Die(Die, Machine),
    Apart(Apart, Machine),
    Tree(&'static str, dtb::Tree),
    Order(&'static str, El),
    Dirty(&'static dirty::Dirty),
    Document(Document),
    Gdb(Machine),
    /// Sessions with gdbserver.
    Gdbserver(Machine),
    /// One session with gdbserver, many times.
    GdbserverRepeated(Machine),
    Costs(Machine),
    /// The page of a timeline.
    Timeline,
    /// A program at EL0.
    Program(programs::Task),
    /// Scenarios on one machine.
    Sweep(sweeps::Sweeps),
    Storm(Machine),
    Everywhere(Machine),
}

/// Runs, lists or shows the tests. Returns whether all is well.
///
/// # Errors
/// When the host lacks something, nothing builds, or there is nothing to run.
pub fn qemu_test(arguments: &QemuTest) -> Result<bool> {
    let common = &arguments.common;
    let matrix = matrix::machines(arguments.matrix, common, &mode(arguments));
    if common.dry_run {
        let image = planned_image(common);
        matrix.iter().for_each(|machine| println!("{}", machine.shell_line(&Start::Kernel(&image))));
        return Ok(true);
    }
    let elf = kernel(common, Need { qemu: true, gdb: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    let kernel = Kernel { elf, image, limit: common.limit(Some(LIMIT)) };
    let inventory = inventory::ask(&kernel.elf, &kernel.image, kernel.limit)?;
    if arguments.list {
        return list(arguments, &inventory, &matrix).map(|()| true);
    }
    let tasks = tasks(arguments, &inventory, matrix)?;
    let any_program = tasks
        .iter()
        .any(|task| matches!(task, Task::Program(_) | Task::Gdbserver(_) | Task::GdbserverRepeated(_)));
    let programs = if any_program { programs::prepare()? } else { Vec::new() };
    if arguments.trace {
        conform::switch_on();
    }
    let mut outcomes = run(arguments, &kernel, &inventory, &programs, tasks);
    if arguments.trace {
        let outcome = traces::outcome(&conform::take());
        report::show(&outcome);
        outcomes.push(outcome);
    }
    if let Some(path) = &arguments.junit {
        junit::write(path, &outcomes)?;
        say!("results written to {}", path.display());
    }
    let mut total = Counts::default();
    outcomes.iter().for_each(|outcome| total += outcome.counts());
    if total == Counts::default() {
        bail!("no test's name contains `{}`", arguments.filter.as_deref().unwrap_or_default());
    }
    if total.unknown > 0 {
        println!("{} unknown (no verdict), counted as failed", total.unknown);
    }
    println!("{}", total.summary());
    Ok(total.good())
}

fn mode(arguments: &QemuTest) -> String {
    let filter = arguments.filter.as_ref().map(|filter| format!(" test={filter}"));
    // How many random instructions the suite `differential` tries.
    let samples = if arguments.matrix == Extent::Full { " samples=10000" } else { "" };
    format!("mode=test{}{samples}", filter.unwrap_or_default())
}

fn run(
    arguments: &QemuTest,
    kernel: &Kernel,
    inventory: &Inventory,
    programs: &[crate::user::Program],
    tasks: Vec<Task>,
) -> Vec<Outcome> {
    let long = arguments.matrix == Extent::Full;
    let progress = Progress::new(tasks.len() + usize::from(long));
    let long = long.then(|| {
        progress.doing("long host tests");
        let long = host::run_long(arguments.filter.as_deref(), |how_far| progress.doing(how_far));
        progress.done(&long);
        long
    });
    progress.doing("host tests and boots");
    let mut outcomes: Vec<Option<Outcome>> = tasks.iter().map(|_| None).collect();
    let work = |task| match task {
        Task::Host => host::run(arguments.filter.as_deref()),
        Task::Models => host::run_models(arguments.filter.as_deref()),
        Task::Suites(machine) => kernel.test(&machine),
        Task::Die(die, machine) => kernel.die(&die, &machine),
        Task::Apart(apart, machine) => kernel.apart(&apart, &machine),
        Task::Tree(name, tree) => dtb::boot(kernel, name, tree),
        Task::Order(name, el) => order::boot(kernel, name, el),
        Task::Dirty(dirty) => dirty::boot(kernel, dirty),
        Task::Document(document) => examples::run(kernel, inventory, &document),
        Task::Sweep(sweeps) => sweeps::run(kernel, &arguments.common, &sweeps),
        Task::Storm(machine) => storms::run(kernel, arguments, &machine),
        Task::Everywhere(machine) => everywhere::run(kernel, arguments, &machine),
        Task::Gdb(machine) => gdb_session::run(kernel, &machine),
        Task::Gdbserver(machine) => gdbserver::run_sessions(kernel, programs, &machine),
        Task::GdbserverRepeated(machine) => gdbserver::run_repeated(kernel, programs, &machine, arguments),
        Task::Costs(machine) => costs::run(kernel, &machine),
        Task::Timeline => timelines::run(kernel, arguments),
        Task::Program(task) => programs::run(kernel, programs, &task),
    };
    pool::run(tasks, arguments.jobs.unwrap_or_else(pool::default_jobs), work, |index, outcome| {
        // If the filter leaves no host test, there is nothing to print.
        if !outcome.cases.is_empty() {
            progress.done(&outcome);
        }
        outcomes[index] = Some(outcome);
    });
    progress.end();
    long.into_iter().chain(outcomes.into_iter().flatten()).collect()
}

/// The tasks that the filter leaves, in the order in which they begin. The host's tests come first: their compilation does not keep
/// all of the host's CPUs busy, and boots use the rest. Then come long boots, so that no long boot is left alone at the end.
fn tasks(arguments: &QemuTest, inventory: &Inventory, matrix: Vec<Machine>) -> Result<Vec<Task>> {
    let wanted = |name: &str| arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let mut tasks = Vec::new();
    if inventory.tests.iter().any(|test| wanted(test)) {
        let is_long = |machine: &Machine| matrix::is_long(machine.smp, machine.icount);
        let (long, short): (Vec<_>, Vec<_>) = matrix.into_iter().partition(is_long);
        tasks.extend(long.into_iter().chain(short).map(Task::Suites));
    }
    let base = |other: Machine| arguments.common.machine(other);
    let all = APART.map(|config| config.machine(""));
    let bases = match arguments.matrix {
        Extent::Quick => &all[..1],
        Extent::Full => &all[..],
    };
    for die in inventory.dies.iter().filter(|die| wanted(&format!("die.{}", die.name))) {
        let machines = distinct(bases, |machine| boots::machine_for(die, base(machine)))?;
        tasks.extend(machines.into_iter().map(|machine| Task::Die(die.clone(), machine)));
    }
    for apart in inventory.apart.iter().filter(|apart| wanted(&apart.name)) {
        let machines = distinct(&all, |machine| boots::machine_apart(apart, base(machine)))?;
        tasks.extend(machines.into_iter().map(|machine| Task::Apart(apart.clone(), machine)));
    }
    tasks.extend(
        dtb::CASES
            .iter()
            .filter(|(name, _)| wanted(&format!("dtb.{name}")))
            .map(|(name, tree)| Task::Tree(name, *tree)),
    );
    let orders = order::CASES.iter().filter(|(name, _)| wanted(&format!("{}{name}", order::PREFIX)));
    tasks.extend(orders.map(|&(name, el)| Task::Order(name, el)));
    tasks.extend(dirty::CASES.iter().filter(|dirty| wanted(&dirty.full_name())).map(Task::Dirty));
    let documents = docs::documents()?.into_iter().filter(|document| wanted(&examples::name(document)));
    tasks.extend(documents.map(Task::Document));
    if wanted(storms::NAME) {
        tasks.splice(0..0, storms::tasks(arguments).into_iter().map(Task::Storm));
    }
    if wanted(everywhere::NAME) {
        tasks.splice(0..0, everywhere::machines(arguments).into_iter().map(Task::Everywhere));
    }
    // Sweeps take longest of all.
    let sweeps = sweeps::tasks(arguments, inventory);
    tasks.splice(0..0, sweeps.into_iter().map(Task::Sweep));
    tasks.splice(0..0, [Task::Host, Task::Models]);
    if wanted(gdb_session::NAME) {
        tasks.push(Task::Gdb(base(Machine::default())));
    }
    if wanted(gdbserver::SESSIONS) {
        let machines = distinct(bases, |machine| Ok(gdbserver::machine(&base(machine), "")))?;
        tasks.extend(machines.into_iter().map(Task::Gdbserver));
    }
    if wanted(gdbserver::REPEATED) {
        tasks.push(Task::GdbserverRepeated(base(Machine::default())));
    }
    tasks.extend(programs::tasks(arguments).into_iter().map(Task::Program));
    if timelines::is_wanted(arguments) {
        tasks.push(Task::Timeline);
    }
    if wanted(costs::NAME) {
        tasks.extend(costs::machines(arguments).into_iter().map(Task::Costs));
    }
    Ok(tasks)
}

/// The machines that `adapt` makes from `bases`, without duplicates.
fn distinct(bases: &[Machine], adapt: impl Fn(Machine) -> Result<Machine>) -> Result<Vec<Machine>> {
    let mut machines = Vec::new();
    for base in bases {
        let machine = adapt(base.clone())?;
        if !machines.contains(&machine) {
            machines.push(machine);
        }
    }
    Ok(machines)
}

fn list(arguments: &QemuTest, inventory: &Inventory, matrix: &[Machine]) -> Result<()> {
    let wanted = |name: &str| arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    for name in host::list()?.iter().filter(|name| wanted(name)) {
        println!("host {name}");
    }
    let kernel = inventory.tests.iter().cloned();
    let dies = inventory.dies.iter().map(|die| format!("die.{}", die.name));
    let apart = inventory.apart.iter().map(|apart| apart.name.clone());
    let trees = dtb::CASES.iter().map(|(name, _)| format!("dtb.{name}"));
    let dirty = dirty::CASES.iter().map(dirty::Dirty::full_name);
    let orders = order::CASES.iter().map(|(name, _)| format!("{}{name}", order::PREFIX));
    let sweeps = inventory.sweeps.iter().map(|name| format!("sweep.{name}"));
    let documents = docs::documents()?;
    for name in kernel
        .chain(sweeps)
        .chain(apart)
        .chain(dies)
        .chain(trees)
        .chain(dirty)
        .chain(orders)
        .chain(documents.iter().map(examples::name))
        .chain(programs::names())
        .chain([storms::NAME, everywhere::NAME, gdb_session::NAME].map(String::from))
        .chain([gdbserver::SESSIONS, gdbserver::REPEATED, costs::NAME, timelines::NAME].map(String::from))
        .filter(|name| wanted(name))
    {
        println!("kernel {name}");
    }
    for machine in matrix {
        println!("machine {}", matrix::name(machine));
    }
    Ok(())
}
