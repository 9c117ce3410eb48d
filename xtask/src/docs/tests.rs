//! Tests of the documents that need no boot.

use super::blocks::{Kind, blocks, prose};
use super::{Document, commands, documents, rules, sessions};
use crate::args::Cli;
use crate::paths::root;
use clap::CommandFactory;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn all() -> Vec<Document> {
    documents().unwrap()
}

fn text(name: &str) -> String {
    all().into_iter().find(|document| document.name == name).unwrap().text
}

/// The texts between backticks in the first column of tables.
fn first_column(text: &str) -> BTreeSet<String> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.map(str::to_owned).collect()
}

#[test]
fn the_page_of_the_rules_is_up_to_date() {
    let page = std::fs::read_to_string(root().join(rules::PAGE)).unwrap();
    assert!(page == rules::page().unwrap(), "{} is stale: `cargo xtask docs` writes it", rules::PAGE);
}

/// The rules cite "discussion 3", and the list at the end of the page must say which one that is.
#[test]
fn every_discussion_that_a_rule_cites_is_in_the_numbered_list() {
    let page = rules::page().unwrap();
    let (text, list) = page.split_once("\n## The discussions\n").unwrap();
    let number = |rest: &str| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok();
    let cited: BTreeSet<_> = text.split("*discussion ").skip(1).filter_map(number).collect();
    assert!(cited.len() > 2, "{cited:?}");
    for number in cited {
        let listed = list.lines().any(|line| line.starts_with(&format!("{number}. \"")));
        assert!(listed, "{}: discussion {number} is not in the list", rules::PAGE);
    }
}

/// The reader of the rules meets these words without another document at hand.
#[test]
fn the_page_of_the_rules_explains_its_words() {
    let page = rules::page().unwrap();
    let (_, rest) = page.split_once("\n## Words\n").unwrap();
    let (words, text) = rest.split_once("\n## ").unwrap();
    let explained: BTreeSet<_> =
        words.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    for word in [
        "no-probe text",
        "displaced instruction",
        "trampoline",
        "fix-up",
        "debug depth",
        "disposition",
        "record",
        "out-of-line copy",
        "missed",
        "deferred work",
        "pseudo-NMI",
        "rendezvous",
        "stash",
        "snapshot",
    ] {
        assert!(text.contains(word), "no rule uses the word \"{word}\"");
        assert!(explained.contains(word), "{}: \"{word}\" is not explained", rules::PAGE);
    }
}

#[test]
fn the_readme_is_short() {
    let lines = text("README").lines().count();
    assert!(lines <= 120, "{lines} lines");
}

#[test]
fn every_command_line_is_understood() {
    let mut count = 0;
    for document in all() {
        for (line, text) in commands::commands(&document.text).unwrap() {
            let checked = commands::parse(text).and_then(|cli| commands::check_names(&cli, None));
            assert!(checked.is_ok(), "{}.md, line {line}: {checked:?}", document.name);
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn every_session_can_be_held() {
    let found: usize = all().iter().map(|document| sessions::sessions(&document.text).unwrap().len()).sum();
    assert!(found >= 3, "{found}");
}

#[test]
fn every_command_of_gdb_is_in_the_script_that_is_run() {
    let script = std::fs::read_to_string(crate::test::gdb_script()).unwrap();
    for document in all() {
        for (line, command) in sessions::gdb_commands(&document.text).unwrap() {
            let known = script.lines().any(|own| own.trim() == command);
            assert!(known, "{}.md, line {line}: the script does not have `{command}`", document.name);
        }
    }
}

/// Adds every file with one of the endings in the folder and below it, with its text, except in cargo's output directories.
fn sources(folder: &Path, endings: &[&str], all: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, endings, all);
        } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
            let text = std::fs::read_to_string(&path).unwrap();
            all.push((path, text));
        }
    }
}

/// Arm renumbers these sections of DDI 0487 from issue to issue: the encodings of A64 below C4.1, and the later sections of B2
/// (barriers, caches, exclusives). A number without its issue leads to another section, so they are cited by title.
#[test]
fn sections_that_move_are_cited_by_title() {
    const MOVING: [&str; 3] = ["C4.1.", "B2.1", "B2.7."];
    let mut files = Vec::new();
    for folder in [
        "boot",
        "cli",
        "docs",
        "harness",
        "image",
        "kernel",
        "linux",
        "platform",
        "probe",
        "protocols",
        "rules",
        "scheduler",
        "scripts",
        "slots",
        "tests",
        "xtask",
    ] {
        sources(&root().join(folder), &["rs", "S", "md"], &mut files);
    }
    for name in ["README.md", "ARCHITECTURE.md"] {
        files.push((root().join(name), std::fs::read_to_string(root().join(name)).unwrap()));
    }
    assert!(files.len() > 100, "{}", files.len());
    for (path, text) in files {
        for (line, number) in text.lines().zip(1..) {
            for moving in MOVING {
                let cited = line.match_indices(moving).any(|(at, _)| {
                    let before = line[..at].chars().next_back();
                    let after = line[at + moving.len()..].chars().next();
                    !before.is_some_and(char::is_alphanumeric) && after.is_some_and(|c| c.is_ascii_digit())
                });
                assert!(
                    !cited,
                    "{}:{number}: cite the section by its title: {}",
                    path.display(),
                    line.trim()
                );
            }
        }
    }
}

/// A block is compiled if a file has all of its lines, one after the other. An empty line stands for lines that are left out.
#[test]
fn every_block_of_rust_is_part_of_a_file_that_is_compiled() {
    let mut files = Vec::new();
    for folder in ["tests", "harness"] {
        sources(&root().join(folder), &["rs"], &mut files);
    }
    let trimmed = |text: &str| format!("\n{}\n", text.lines().map(str::trim).collect::<Vec<_>>().join("\n"));
    let files: Vec<_> = files.iter().map(|(_, text)| trimmed(text)).collect();
    for document in all() {
        for block in blocks(&document.text).unwrap().iter().filter(|block| block.kind == Kind::Rust) {
            let code: Vec<_> = block.lines.iter().map(|(_, line)| *line).collect();
            let code = code.join("\n");
            let parts: Vec<_> = code.split("\n\n").map(trimmed).collect();
            let compiled = files.iter().any(|file| parts.iter().all(|part| file.contains(part.as_str())));
            assert!(compiled, "{}.md, line {}: no file has this code", document.name, block.lines[0].0);
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in all() {
        let folder = document.path.parent().unwrap();
        for (line, text) in prose(&document.text) {
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = link.split('#').next().unwrap_or_default();
                let there = link.contains("://") || folder.join(file).exists();
                assert!(there, "{}.md, line {line}: {link} is not there", document.name);
            }
        }
    }
}

#[test]
fn the_list_of_commands_and_flags_is_complete() {
    let listed = first_column(&text("commands"));
    let command = Cli::command();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        assert!(listed.contains(sub.get_name()), "{} is not in docs/commands.md", sub.get_name());
    }
    let run = command.find_subcommand("run").unwrap();
    for flag in run.get_arguments().filter(|flag| !flag.is_hide_set()).filter_map(|flag| flag.get_long()) {
        assert!(listed.contains(&format!("--{flag}")), "--{flag} is not in docs/commands.md");
    }
    // The page must not list a flag or an argument that does not exist.
    for name in listed {
        let known = match (name.strip_prefix("--"), name.split_once('=')) {
            (Some(flag), _) => run.get_arguments().any(|known| known.get_long() == Some(flag)),
            (_, Some(("rule.ID.COLUMN", _))) => true,
            (_, Some((key, _))) => {
                let argument = format!("{key}=?");
                let arguments = cli::BootArgs::parse(&argument);
                !arguments
                    .warnings()
                    .any(|warning| matches!(warning, cli::bootargs::Warning::UnknownKey { .. }))
            }
            _ => command.find_subcommand(&name).is_some(),
        };
        assert!(known, "docs/commands.md names {name}, which is not there");
    }
}
