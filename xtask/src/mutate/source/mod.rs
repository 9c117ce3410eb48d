//! `mutate --source`: faults put into the source, one at a time; the tests of the area must see each.
//!
//! `cargo mutants` lists most of the faults, and only its list is used; `cargo install cargo-mutants` installs it. [`faults`] adds
//! faults that `cargo mutants` does not know and that break a kernel: a barrier left out, an ordering made Relaxed, a statement
//! left out.
//!
//! Each mutant is put into a copy of the tree under `target/mutants` and built there. A mutant of a library runs the library's
//! tests on the host, and the models of its protocols under `loom` if it has some. A mutant of the kernel has to pass the check of
//! its image, all suites on two machines, the tests that must die, and the sweeps of its area. The first failure ends the trial of
//! a mutant. `xtask/mutants.txt` has the mutants that no test can see, with reasons.

mod faults;
mod tree;

use super::Trial;
use crate::args::Mutate;
use crate::qemu::{El, Machine};
use crate::setup::{self, decide::Need};
use crate::test::Kernel;
use crate::{inventory, pack};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tree::Tree;

const EXPLAINED: &str = include_str!("../../../mutants.txt");

/// The kernel's core. Mutants of the kernel's other files are made only if the user names such a file.
const CORE: &[&str] = &[
    "kernel/src/debug/",
    "kernel/src/kprobe/",
    "kernel/src/exception/",
    "kernel/src/irq/",
    "kernel/src/smp/",
    "kernel/src/sched/",
    "kernel/src/mm/patch.rs",
];

/// The folders of the libraries.
const LIBRARIES: &[&str] = &[
    "cli",
    "linux/files",
    "linux/maps",
    "linux/proc",
    "linux/programs",
    "linux/signals",
    "linux/tty",
    "platform",
    "probe",
    "protocols",
    "rules",
    "scheduler",
    "slots",
];

/// Which scenarios of the sweep go with a part of the kernel: those whose name contains the word.
const SWEEPS: &[(&str, &[&str])] = &[
    ("kernel/src/debug/exclusive", &["exclusive"]),
    ("kernel/src/debug/", &["step", "slot", "watch", "break"]),
    ("kernel/src/kprobe/", &["probe", "return"]),
    ("kernel/src/exception/", &["fault", "step"]),
    ("kernel/src/irq/", &["deferred"]),
    ("kernel/src/sched/", &["reschedule", "thread"]),
];

/// How long a mutant may take to build, and a boot of it to run.
const BUILD: Duration = Duration::from_secs(600);
const BOOT: Duration = Duration::from_secs(120);

/// A fault to be put into the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mutant {
    /// The file's path from the repository's root.
    pub file: String,
    /// Where the replaced text begins and ends: lines and columns (in characters) from 1.
    pub from: (usize, usize),
    pub to: (usize, usize),
    pub replacement: String,
    /// The fault in words, without its place.
    pub what: String,
}

impl Mutant {
    /// The file's text with the fault.
    fn put_into(&self, text: &str) -> Result<String> {
        let at = |(line, column): (usize, usize)| {
            let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
            let line = text.get(start..)?;
            let offset = line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(column - 1)?;
            Some(start + offset)
        };
        let (from, to) = at(self.from).zip(at(self.to)).context("a mutant outside of its file")?;
        Ok(format!("{}{}{}", &text[..from], self.replacement, &text[to..]))
    }

    /// The mutant's name in `mutants.txt`.
    fn name(&self) -> String {
        format!("{}: {}", self.file, self.what)
    }

    fn is_of_kernel(&self) -> bool {
        self.file.starts_with("kernel/")
    }
}

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// A test has failed. The text names it.
    Killed(String),
    Survived,
    /// A build, a test or a boot did not end in time. The text names it.
    Timeout(String),
    /// The source with the fault does not build.
    Unviable,
    /// No test can see the mutant. The text says why.
    Explained(&'static str),
}

impl Fate {
    const COLUMNS: [&'static str; 5] = ["killed", "survived", "timeout", "unviable", "explained"];

    fn column(&self) -> usize {
        match self {
            Self::Killed(_) => 0,
            Self::Survived => 1,
            Self::Timeout(_) => 2,
            Self::Unviable => 3,
            Self::Explained(_) => 4,
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Killed(what) | Self::Timeout(what) => what,
            Self::Explained(why) => why,
            Self::Survived | Self::Unviable => "",
        }
    }
}

/// A part of all mutants: number `k` of `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    k: usize,
    n: usize,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((k, n)) if k < n => Ok(Self { k, n }),
            _ => Err("expected K/N with K from 0 to N - 1".into()),
        }
    }
}

/// Tries the mutants. Returns whether none survived.
///
/// # Errors
/// When there are none, a tool is missing, or the unchanged tree fails.
pub fn mutate(arguments: &Mutate, file: Option<&Path>) -> Result<bool> {
    let mut mutants = all(file)?;
    let listed = mutants.len();
    if let Some(shard) = arguments.shard {
        mutants = share(mutants, shard);
    }
    if arguments.list {
        mutants.iter().for_each(|mutant| println!("{} ({}:{})", mutant.name(), mutant.from.0, mutant.from.1));
        println!("{} of {listed} mutants", mutants.len());
        return Ok(true);
    }
    if mutants.is_empty() {
        bail!("there is no mutant to be tried");
    }
    setup::prepare(Need { qemu: true, ..Need::default() })?;
    let tree = Tree::new()?;
    let mut unchanged = BTreeSet::new();
    let mut table: BTreeMap<String, [usize; 5]> = BTreeMap::new();
    for mutant in &mutants {
        let begin = Instant::now();
        let fate = match explained(&mutant.name()) {
            Some(why) => Fate::Explained(why),
            None => {
                // A test that fails without a fault would seem to kill every mutant.
                let area = area(&mutant.file).to_owned();
                if !unchanged.contains(&area) {
                    let fate = fate(&tree, mutant, arguments)?;
                    if fate != Fate::Survived {
                        bail!("{area} does not pass unchanged: {}", fate.detail());
                    }
                    unchanged.insert(area);
                }
                let text = tree.read(&mutant.file)?;
                tree.write(&mutant.file, &mutant.put_into(&text)?)?;
                let fate = fate(&tree, mutant, arguments);
                tree.write(&mutant.file, &text)?;
                fate?
            }
        };
        let seconds = begin.elapsed().as_secs();
        println!(
            "{:<9} {seconds:>4} s  {}:{}: {}  {}",
            Fate::COLUMNS[fate.column()],
            mutant.file,
            mutant.from.0,
            mutant.what,
            fate.detail()
        );
        table.entry(mutant.file.clone()).or_default()[fate.column()] += 1;
    }
    print!("{}", as_text(&table));
    Ok(table.values().all(|row| row[Fate::Survived.column()] == 0))
}

/// All mutants of a file, or of the libraries and the kernel's core, in the order of the source.
fn all(file: Option<&Path>) -> Result<Vec<Mutant>> {
    let root = crate::paths::root();
    let file = file.map(|file| file.to_str().context("a path that is not UTF-8")).transpose()?;
    let files = match file {
        Some(file) if root.join(file).is_file() => vec![file.to_owned()],
        Some(file) => {
            let files =
                tree::sources(&root)?.into_iter().filter(|one| one.starts_with(file)).collect::<Vec<_>>();
            if files.is_empty() {
                bail!("no source is named {file} or lies in a folder of that name");
            }
            files
        }
        None => {
            let of_library = |file: &str| {
                LIBRARIES
                    .iter()
                    .any(|folder| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with("/src/")))
            };
            let is_core =
                |file: &&String| CORE.iter().any(|beginning| file.starts_with(beginning)) || of_library(file);
            tree::sources(&root)?.iter().filter(is_core).cloned().collect()
        }
    };
    let mut mutants = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {file}"))?;
        mutants.extend(faults::of(file, &text)?);
    }
    mutants.extend(of_cargo_mutants(&root, &files)?);
    mutants.sort();
    mutants
        .dedup_by(|a, b| (&a.file, a.from, a.to, &a.replacement) == (&b.file, b.from, b.to, &b.replacement));
    Ok(mutants)
}

/// What `cargo mutants` would try in these files.
fn of_cargo_mutants(root: &Path, files: &[String]) -> Result<Vec<Mutant>> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["mutants", "--list", "--json", "--workspace"]);
    for file in files {
        cargo.args(["--file", file]);
    }
    let output = cargo.stdin(Stdio::null()).output().context("cannot start cargo")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("`cargo mutants --list` failed (`cargo install cargo-mutants` installs it):\n{}", error.trim());
    }
    let listed: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("not the list of cargo mutants")?;
    let listed = listed.as_array().context("not the list of cargo mutants")?;
    let mutants = listed.iter().map(|one| {
        let text = |key: &str| one[key].as_str().map(str::to_owned);
        let place = |end: &str| {
            let number = |key: &str| one["span"][end][key].as_u64().map(|number| number as usize);
            number("line").zip(number("column"))
        };
        let name = text("name")?;
        // `file:line:column: what`.
        let what = name.splitn(4, ':').nth(3)?.trim().to_owned();
        Some(Mutant {
            file: text("file")?,
            from: place("start")?,
            to: place("end")?,
            replacement: text("replacement")?,
            what,
        })
    });
    mutants.collect::<Option<_>>().ok_or_else(|| anyhow!("the list of cargo mutants lacks a field"))
}

/// The mutants of a shard: a sample of all files, because a hash decides to which shard a mutant belongs.
fn share(mut mutants: Vec<Mutant>, shard: Shard) -> Vec<Mutant> {
    // The hash FNV-1a of the mutant's name and place.
    let hash = |mutant: &Mutant| {
        let text = format!("{} {:?}", mutant.name(), mutant.from);
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    };
    mutants.sort_by_cached_key(hash);
    mutants.into_iter().skip(shard.k).step_by(shard.n).collect()
}

/// Why no test can see a mutant, if `mutants.txt` says so.
fn explained(name: &str) -> Option<&'static str> {
    reasons(EXPLAINED).find(|(mutant, _)| *mutant == name).map(|(_, why)| why)
}

/// The lines of `mutants.txt`: `FILE: WHAT  # reason`.
fn reasons(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(" # ")).map(|(mutant, why)| (mutant.trim(), why.trim()))
}

/// Builds the copy as it is now, and runs the tests of the mutant's area.
fn fate(tree: &Tree, mutant: &Mutant, arguments: &Mutate) -> Result<Fate> {
    if mutant.is_of_kernel() { of_kernel(tree, mutant, arguments) } else { of_library(tree, mutant) }
}

fn of_library(tree: &Tree, mutant: &Mutant) -> Result<Fate> {
    let folder = library(&mutant.file).unwrap_or_default();
    let manifest = format!("{folder}/Cargo.toml");
    let test = |arguments: &[&str]| {
        let mut cargo = tree.cargo("");
        cargo.args(["test", "--manifest-path", &manifest]).args(arguments);
        cargo
    };
    match tree::run(test(&["--no-run", "--quiet"]), BUILD)? {
        tree::Ran::Good => {}
        tree::Ran::Bad(_) => return Ok(Fate::Unviable),
        tree::Ran::Endless => return Ok(Fate::Timeout("the build".into())),
    }
    match tree::run(test(&[]), BOOT)? {
        tree::Ran::Good => {}
        tree::Ran::Bad(text) => return Ok(Fate::Killed(failed_test(&text))),
        tree::Ran::Endless => return Ok(Fate::Timeout("cargo test".into())),
    }
    if !tree.has(&format!("{folder}/tests/models.rs")) {
        return Ok(Fate::Survived);
    }
    let mut models = test(&["--profile", "models", "--test", "models", "--target-dir", "target/loom"]);
    models.env("RUSTFLAGS", "--cfg loom");
    Ok(match tree::run(models, BUILD)? {
        tree::Ran::Good => Fate::Survived,
        tree::Ran::Bad(text) => Fate::Killed(format!("loom {}", failed_test(&text))),
        tree::Ran::Endless => Fate::Timeout("the models of protocols".into()),
    })
}

/// The first test that failed, of the output of `cargo test`.
fn failed_test(text: &str) -> String {
    let mut failed = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    failed.next().unwrap_or("cargo test").to_owned()
}

fn of_kernel(tree: &Tree, mutant: &Mutant, arguments: &Mutate) -> Result<Fate> {
    let elf = match tree.build_kernel(BUILD)? {
        tree::Built::Elf(elf) => elf,
        tree::Built::Not => return Ok(Fate::Unviable),
        tree::Built::Endless => return Ok(Fate::Timeout("the build".into())),
    };
    let image = match pack::pack(&elf) {
        Ok(image) => image,
        Err(error) => return Ok(Fate::Killed(first_lines(&format!("{error:#}")))),
    };
    let limit = arguments.common.limit(Some(BOOT));
    let kernel = Kernel { elf: elf.clone(), image, limit };
    let Ok(inventory) = inventory::ask(&kernel.elf, &kernel.image, kernel.limit) else {
        return Ok(Fate::Killed("it does not boot".into()));
    };
    let machine = |cpu: &str, el, append: &str| Machine {
        cpu: cpu.into(),
        el,
        append: append.into(),
        ..Machine::default()
    };
    // Four CPUs in turns, and two at the same time. More at the same time take several times as long, and see little more.
    let in_turns = Machine { icount: true, ..machine("max", El::El2, "mode=test hz=1000") };
    let together = Machine { smp: 2, ..machine("cortex-a57", El::El1, "mode=test nmi=1 hz=2000") };
    let mut machines = [in_turns, together].map(|machine| arguments.common.machine(machine)).to_vec();
    machines.dedup();
    let base = arguments.common.machine(machine("max", El::El1, ""));
    let dies =
        inventory.dies.iter().map(|die| Ok((die.clone(), crate::test::machine_for(die, base.clone())?)));
    let trial = Trial { kernel, machines, dies: dies.collect::<Result<_>>()? };
    if let Some(what) = trial.detect("") {
        return Ok(if what.contains("hang") { Fate::Timeout(what) } else { Fate::Killed(what) });
    }
    for scenario in scenarios(&mutant.file, &inventory.sweeps) {
        let mut sweep = Command::new(std::env::current_exe()?);
        sweep.args(["sweep", scenario, "--cpu", "cortex-a57", "--el", "1", "--elf"]).arg(&elf);
        match tree::run(sweep, BOOT)? {
            tree::Ran::Good => {}
            tree::Ran::Bad(_) => return Ok(Fate::Killed(format!("sweep {scenario}"))),
            tree::Ran::Endless => return Ok(Fate::Timeout(format!("sweep {scenario}"))),
        }
    }
    Ok(Fate::Survived)
}

/// The folder of the library that a file belongs to.
fn library(file: &str) -> Option<&'static str> {
    LIBRARIES
        .iter()
        .copied()
        .find(|folder| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// The part of the tree whose mutants the same tests are run for: a part of the kernel, or a folder of the root.
fn area(file: &str) -> &str {
    let part = SWEEPS.iter().map(|(beginning, _)| *beginning).find(|beginning| file.starts_with(beginning));
    part.or_else(|| library(file)).unwrap_or_else(|| file.split('/').next().unwrap_or_default())
}

/// The scenarios of a file's area.
fn scenarios<'a>(file: &str, all: &'a [String]) -> Vec<&'a str> {
    let area = SWEEPS.iter().find(|(beginning, _)| file.starts_with(beginning));
    let words = area.map_or(&[][..], |(_, words)| words);
    all.iter().map(String::as_str).filter(|name| words.iter().any(|word| name.contains(word))).collect()
}

fn first_lines(text: &str) -> String {
    text.lines().take(2).map(str::trim).collect::<Vec<_>>().join(" ")
}

fn as_text(table: &BTreeMap<String, [usize; 5]>) -> String {
    let width = table.keys().map(String::len).max().unwrap_or(0).max(5);
    let row = |name: &str, counts: [usize; 5]| {
        let counts: String = counts.iter().map(|count| format!("{count:>10}")).collect();
        format!("{name:<width$}{counts}\n")
    };
    let mut text = format!("{:<width$}", "");
    Fate::COLUMNS.iter().for_each(|column| text += &format!("{column:>10}"));
    text.push('\n');
    let mut sum = [0; 5];
    for (file, counts) in table {
        text += &row(file, *counts);
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    text += &row("all", sum);
    let [killed, survived, timeout, _, explained] = sum;
    let viable = killed + survived + timeout + explained;
    let seen = killed + timeout + explained;
    let percent = (100 * seen).checked_div(viable).unwrap_or(100);
    text + &format!("{seen} of {viable} viable mutants die or are explained ({percent}%)\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(from: (usize, usize), to: (usize, usize), replacement: &str) -> Mutant {
        let (file, what) = ("slots/src/x.rs".into(), "replace".into());
        Mutant { file, from, to, replacement: replacement.into(), what }
    }

    #[test]
    fn a_fault_is_put_where_it_belongs() {
        let text = "one\ntwo § three\nfour\n";
        assert_eq!(mutant((2, 7), (2, 12), "x").put_into(text).unwrap(), "one\ntwo § x\nfour\n");
        assert_eq!(mutant((1, 1), (3, 1), "").put_into(text).unwrap(), "four\n");
        assert_eq!(mutant((3, 5), (3, 5), "!").put_into(text).unwrap(), "one\ntwo § three\nfour!\n");
        assert!(mutant((9, 1), (9, 2), "").put_into(text).is_err());
    }

    #[test]
    fn shards_share_all_mutants() {
        let mutants: Vec<_> = (1..50).map(|line| mutant((line, 1), (line, 2), "x")).collect();
        let mut shared: Vec<_> = (0..4).flat_map(|k| share(mutants.clone(), Shard { k, n: 4 })).collect();
        shared.sort();
        assert_eq!(shared, mutants);
        assert_eq!("1/4".parse(), Ok(Shard { k: 1, n: 4 }));
        for wrong in ["4/4", "1", "a/b", "0/0", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_explanation_has_a_reason() {
        let lines = EXPLAINED.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        assert_eq!(lines.count(), reasons(EXPLAINED).count());
        assert!(reasons(EXPLAINED).all(|(_, why)| why.len() > 10));
    }

    #[test]
    fn the_table_counts_what_is_viable() {
        let table = BTreeMap::from([("a.rs".to_owned(), [3, 1, 0, 5, 0]), ("b.rs".into(), [4, 0, 1, 0, 1])]);
        let text = as_text(&table);
        assert!(text.contains("9 of 10 viable mutants die or are explained (90%)"), "{text}");
        assert!(
            text.lines()
                .any(|line| line.split_whitespace().collect::<Vec<_>>() == ["all", "7", "1", "1", "5", "1"])
        );
    }

    #[test]
    fn a_failed_test_is_named() {
        assert_eq!(failed_test("test a ... ok\ntest b::c ... FAILED\ntest d ... FAILED\n"), "b::c");
        assert_eq!(failed_test("error"), "cargo test");
    }
}
