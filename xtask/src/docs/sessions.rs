//! Sessions with the kernel in a document's console blocks.
//!
//! `$ cargo xtask run ...` boots a kernel; `stepwell> ...` types a line at its monitor. The lines below must be shown in this
//! order, and other lines may come between them; numbers may differ, and `...` stands for anything. Blocks without a boot of
//! their own share one, which goes straight to the monitor. An answer that begins with `error:` fails, unless the document shows
//! it.

use super::blocks::{Block, Kind, blocks};
use crate::args::{Command, Common};
use crate::docs::programs::GDB;
use crate::docs::{commands, programs};
use crate::session::PROMPT;
use anyhow::{Context, Result, bail};

/// One boot of the kernel, with the lines that a document types at its monitor.
#[derive(Debug, Default)]
pub struct Session {
    /// The number of the document's line that boots; None for the boot that several blocks share.
    pub line: Option<usize>,
    /// The flags of that line.
    pub common: Common,
    /// What the console must show before the first prompt.
    boot: Vec<String>,
    steps: Vec<Step>,
}

/// One line that is typed, and what the monitor must show for it.
#[derive(Debug)]
struct Step {
    line: usize,
    typed: String,
    shows: Vec<String>,
}

/// The sessions of a document.
///
/// # Errors
/// When a block is wrong, with its line.
pub fn sessions(text: &str) -> Result<Vec<Session>> {
    let mut shared = Session {
        common: Common { append: vec!["mode=monitor".into()], ..Common::default() },
        ..Session::default()
    };
    let mut own = Vec::new();
    let is_session = |block: &Block<'_>| block.kind == Kind::Console && !programs::is_example(block);
    for block in blocks(text)?.into_iter().filter(is_session) {
        let mut session = &mut shared;
        for (line, text) in block.lines {
            if let Some(command) = text.strip_prefix("$ ") {
                let Command::Run(run) = commands::parse(command)?.command else {
                    bail!("line {line}: only `run` has a session");
                };
                own.push(Session { line: Some(line), common: run.common, ..Session::default() });
                session = own.last_mut().context("it was just put there")?;
            } else if let Some(typed) = text.strip_prefix(PROMPT) {
                session.steps.push(Step { line, typed: typed.into(), shows: Vec::new() });
            } else if text.starts_with(GDB) {
                // The rest of the block is a session with gdb. Its commands are looked up in the script that gdb runs.
                break;
            } else if let Some(step) = session.steps.last_mut() {
                step.shows.push(text.into());
            } else if session.line.is_some() {
                session.boot.push(text.into());
            } else {
                bail!("line {line}: nothing was typed that could show this");
            }
        }
    }
    if !shared.steps.is_empty() {
        own.insert(0, shared);
    }
    Ok(own)
}

/// The commands that a document shows for gdb, with their lines.
///
/// # Errors
/// When a block is wrong.
#[cfg(test)]
pub fn gdb_commands(text: &str) -> Result<Vec<(usize, &str)>> {
    // What is typed at gdb behind a run with `--gdbserver` is executed.
    let scripted = |block: &Block<'_>| !programs::is_example(block);
    let lines = blocks(text)?.into_iter().filter(scripted).flat_map(|block| block.lines);
    Ok(lines.filter_map(|(line, text)| Some((line, text.strip_prefix(GDB)?))).collect())
}

impl Session {
    /// All lines that are typed, as the console's input.
    pub fn input(&self) -> String {
        self.steps.iter().map(|step| format!("{}\n", step.typed)).collect()
    }

    /// What is wrong with the console of this session: empty if nothing is.
    pub fn complaints(&self, console: &str) -> Vec<String> {
        let mut parts: Vec<Vec<&str>> = vec![Vec::new()];
        for line in console.lines() {
            match line.strip_prefix(PROMPT) {
                Some(typed) => parts.push(vec![typed]),
                None => parts.last_mut().into_iter().for_each(|part| part.push(line)),
            }
        }
        let at = self.line.unwrap_or(0);
        let mut wrong: Vec<_> = absent(&self.boot, &parts[0])
            .map(|line| format!("line {at}: the boot does not show `{line}`"))
            .collect();
        for (step, part) in self.steps.iter().zip(parts[1..].iter().map(Some).chain(std::iter::repeat(None)))
        {
            let Step { line, typed, shows } = step;
            let Some([echo, answer @ ..]) = part.map(Vec::as_slice).filter(|part| part[0] == typed) else {
                wrong.push(format!("line {line}: `{typed}` was not executed"));
                break;
            };
            debug_assert_eq!(echo, typed);
            wrong.extend(
                absent(shows, answer).map(|shown| format!("line {line}: `{typed}` does not show `{shown}`")),
            );
            let refused = answer
                .iter()
                .filter(|said| said.starts_with("error:") && !shows.iter().any(|l| fits(l, said)));
            wrong.extend(refused.map(|said| format!("line {line}: `{typed}` answers `{said}`")));
        }
        wrong
    }
}

/// The lines of `shown` that `said` lacks, or has in another order. Numbers may differ, and `...` stands for anything.
pub fn absent<'a>(shown: &'a [String], said: &[&str]) -> impl Iterator<Item = &'a String> {
    let mut rest = said.iter();
    shown.iter().filter(move |line| line.trim() != "..." && !rest.by_ref().any(|other| fits(line, other)))
}

/// Whether the document's line matches the kernel's line.
fn fits(shown: &str, said: &str) -> bool {
    let (shown, mut said) = (blurred(shown), blurred(said).as_str().to_owned());
    let mut pieces = shown.split("...").map(str::trim);
    let first = pieces.next().unwrap_or_default();
    let Some(rest) = said.strip_prefix(first) else { return false };
    said = rest.to_owned();
    let mut open = false;
    for piece in pieces {
        let Some((_, rest)) = said.split_once(piece) else { return false };
        said = rest.to_owned();
        open = piece.is_empty();
    }
    open || said.is_empty()
}

/// A line with single blanks, and with a `#` for each number: digits, and hexadecimal digits around them.
fn blurred(line: &str) -> String {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut blurred = String::new();
    let mut rest = line.as_str();
    while let Some(next) = rest.chars().next() {
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        if digits.contains(|c: char| c.is_ascii_digit()) {
            blurred.push('#');
            rest = after;
        } else {
            let length = end.max(next.len_utf8());
            blurred += &rest[..length];
            rest = &rest[length..];
        }
    }
    blurred
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "```console\n$ cargo xtask run --smp 2\ndemo: 2 CPUs\nstepwell> break x\nbreakpoint 1: x+0x0/0x60, bp0\n```\n\
        ```console\nstepwell> probe p y\nerror: y is not there: ...\nstepwell> rules\n```\n";

    fn complaints(index: usize, console: &str) -> String {
        sessions(TEXT).unwrap()[index].complaints(console).join("; ")
    }

    #[test]
    fn blocks_with_a_boot_have_their_own_session_and_the_others_share_one() {
        let found = sessions(TEXT).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].input().as_str()), (None, "probe p y\nrules\n"));
        assert_eq!((found[1].line, found[1].common.smp), (Some(2), Some(2)));
        assert!(sessions("```console\nnothing typed\n```\n").is_err());
    }

    #[test]
    fn numbers_may_differ_and_nothing_else() {
        let good = "demo: 4 CPUs\nstepwell> break x\nbreakpoint 12: x+0x4/0x6c, bp3\nstepwell> \n";
        assert_eq!(complaints(1, good), "");
        assert!(complaints(1, &good.replace("demo", "memo")).contains("the boot does not show"));
        assert!(complaints(1, &good.replace("bp3", "wp3")).contains("does not show"));
        assert!(complaints(1, "demo: 4 CPUs\nstepwell> \n").contains("was not executed"));
    }

    #[test]
    fn an_error_fails_unless_the_document_shows_it() {
        let good = "stepwell> probe p y\nerror: y is not there: did you mean z?\nstepwell> rules\n  M1\n";
        assert_eq!(complaints(0, good), "");
        assert!(complaints(0, &good.replace("  M1", "error: no rules")).contains("no rules"));
        assert!(complaints(0, &good.replace("not there", "elsewhere")).contains("answers"));
    }

    #[test]
    fn dots_stand_for_anything() {
        assert!(fits("a 1 b; ...", "  a 22   b; and more"));
        assert!(fits("1 steps, ... 0 landed", "5 steps, 2 interrupts, 7 landed"));
        assert!(!fits("1 steps, ... 0 landed", "5 steps, 2 interrupts, 7 landed there"));
        assert!(!fits("a b", "a b c"));
        assert!(fits("ffff8000800eea70  f9000bf3  x", "ffff800080000000  d503201f  x"));
    }
}
