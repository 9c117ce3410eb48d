//! The command lines in a document.

use super::blocks::{Kind, blocks, prose};
use super::programs;
use crate::args::{Cli, Command, Common};
use crate::inventory::Inventory;
use anyhow::{Context, Result, bail, ensure};
use clap::Parser;

const NAME: &str = "cargo xtask ";

/// All command lines of a document, with their numbers: the lines of its `sh` blocks, those behind a `$` in its console blocks, and
/// inline code that begins with `cargo xtask`.
///
/// # Errors
/// When a block is wrong.
pub fn commands(text: &str) -> Result<Vec<(usize, &str)>> {
    let mut found = Vec::new();
    for block in blocks(text)? {
        match block.kind {
            Kind::Shell => found.extend(block.lines),
            Kind::Console => found.extend(
                block
                    .lines
                    .into_iter()
                    .filter_map(|(line, text)| Some((line, text.strip_prefix("$ ")?)))
                    .filter(|(_, typed)| !programs::is_for_the_host(typed)),
            ),
            Kind::C | Kind::Rust | Kind::Text => {}
        }
    }
    for (line, text) in prose(text) {
        let inline = text.split('`').skip(1).step_by(2);
        found.extend(inline.filter(|code| code.starts_with(NAME)).map(|code| (line, code)));
    }
    Ok(found)
}

/// Reads a command line as this tool would if it were typed.
///
/// # Errors
/// When the tool would refuse the line.
pub fn parse(line: &str) -> Result<Cli> {
    let words = words(line)?;
    ensure!(line.starts_with(NAME), "`{line}`: only `cargo xtask` is tested");
    Cli::try_parse_from(words[1..].iter()).with_context(|| format!("`{line}`"))
}

/// A line's words, as a shell makes them of it; `#` begins a comment.
pub(super) fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let mut word = String::new();
        while let Some(next) = rest.chars().next().filter(|c| !c.is_whitespace()) {
            if next == '\'' {
                let (quoted, after) = rest[1..].split_once('\'').context("a quote is not closed")?;
                word += quoted;
                rest = after;
            } else {
                word.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

/// Checks what a command line names besides flags: boot arguments, rules, and, with the kernel's own list, tests and scenarios.
///
/// # Errors
/// When a name does not exist. The error has the first such name.
pub fn check_names(cli: &Cli, inventory: Option<&Inventory>) -> Result<()> {
    let common = match &cli.command {
        Command::Run(run) => {
            run.user.check()?;
            &run.common
        }
        Command::QemuTest(test) => &test.common,
        Command::Gdb(gdb) => &gdb.common,
        Command::Bench(bench) => &bench.common,
        Command::Sweep(sweep) => &sweep.common,
        Command::Storm(storm) => &storm.common,
        Command::Fuzz(fuzz) => &fuzz.common,
        Command::Mutate(mutate) => &mutate.common,
        Command::Timeline(timeline) => &timeline.common,
        Command::Lab(_)
        | Command::Model(_)
        | Command::Doctor
        | Command::Setup
        | Command::User
        | Command::Docs
        | Command::Lint
        | Command::Runner(_) => {
            return Ok(());
        }
    };
    check_arguments(common)?;
    let Some(inventory) = inventory else { return Ok(()) };
    let append = common.append.join(" ");
    let arguments = cli::BootArgs::parse(&append);
    let is_test = |filter: &str| {
        let own = inventory.tests.iter().chain(inventory.apart.iter().map(|apart| &apart.name));
        own.into_iter().any(|name| name.contains(filter))
    };
    match &cli.command {
        Command::QemuTest(test) => {
            if let Some(filter) = &test.filter {
                let known =
                    is_test(filter) || crate::test::PARTS.iter().any(|part| part.contains(filter.as_str()));
                ensure!(known, "no test's name contains `{filter}`");
            }
        }
        Command::Sweep(sweep) => {
            if let Some(name) = &sweep.scenario {
                ensure!(inventory.sweeps.contains(name), "no scenario is named `{name}`");
            }
        }
        Command::Timeline(timeline) => {
            if let Some(name) = &timeline.scenario {
                ensure!(inventory.sweeps.contains(name), "no scenario is named `{name}`");
            }
        }
        Command::Mutate(mutate) => {
            if let Some(Some(path)) = &mutate.source {
                ensure!(crate::paths::root().join(path).exists(), "{} is not there", path.display());
            }
            if let Some(row) = &mutate.row {
                ensure!(
                    inventory.cells.iter().any(|cell| cell.starts_with(row)),
                    "no cell of the table is `{row}`"
                );
            }
        }
        _ => {
            if let Some(filter) = arguments.test {
                ensure!(is_test(filter), "no test's name contains `{filter}`");
            }
        }
    }
    Ok(())
}

/// Checks that the kernel would take the boot arguments.
fn check_arguments(common: &Common) -> Result<()> {
    let append = common.append.join(" ");
    let arguments = cli::BootArgs::parse(&append);
    if let Some(warning) = arguments.warnings().next() {
        bail!("{warning}");
    }
    for cell in arguments.rules() {
        rules::overrides::Override::parse(cell.id, cell.column, cell.value)
            .map_err(|error| anyhow::anyhow!("rule.{}.{}={}: {error}", cell.id, cell.column, cell.value))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_shells() {
        let line = "cargo xtask run --append 'mode=test test=a'  # why";
        assert_eq!(words(line).unwrap(), ["cargo", "xtask", "run", "--append", "mode=test test=a"]);
        assert!(words("x 'y").is_err());
    }

    #[test]
    fn commands_come_from_blocks_and_from_prose() {
        let text = "Type `cargo xtask run` or `rules`.\n```sh\ncargo xtask storm\n```\n```console\n$ cargo xtask run\nx\n```\n";
        let found = commands(text).unwrap();
        assert_eq!(found, [(3, "cargo xtask storm"), (6, "cargo xtask run"), (1, "cargo xtask run")]);
    }

    #[test]
    fn what_would_be_refused_is_found() {
        assert!(parse("cargo xtask run --smp 2").is_ok());
        for line in ["cargo xtask fly", "cargo xtask run --smp 99", "make", "cargo build"] {
            assert!(parse(line).is_err(), "{line}");
        }
        let names = |line: &str| check_names(&parse(line).unwrap(), None);
        assert!(names("cargo xtask run --append 'hz=10 rule.M8.ss=keep'").is_ok());
        for append in ["herz=10", "hz=x", "rule.M8.ss=kept", "rule.M88.ss=keep"] {
            assert!(names(&format!("cargo xtask run --append {append}")).is_err(), "{append}");
        }
        let list =
            Inventory { tests: vec!["steps.one".into()], sweeps: vec!["a".into()], ..Inventory::default() };
        let known = |line| check_names(&parse(line).unwrap(), Some(&list)).is_ok();
        assert!(known("cargo xtask qemu-test steps.") && known("cargo xtask sweep a"));
        assert!(!known("cargo xtask qemu-test stoops") && !known("cargo xtask sweep b"));
        assert!(
            !known("cargo xtask run --append 'mode=test test=stoops'") && !known("cargo xtask mutate M8")
        );
    }
}
