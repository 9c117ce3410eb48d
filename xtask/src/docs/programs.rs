//! Programs in a document: the C sources that it shows, and the console blocks that compile and run them.
//!
//! A block of C begins with a line such as `/* hello.c */`, which names the file. A console block belongs to a program if it calls the cross
//! compiler, or has `--exec` or `--gdbserver`. Its lines behind a `$` may be the compiler, `cargo xtask run --exec`, `cargo xtask run --gdbserver`, and
//! `echo $?` right after a run. What a run must show follows it, as in the other sessions; without `echo $?` its status must be 0. Behind a run
//! with `--gdbserver` lines begin with `(gdb) ` that are typed at gdb; what follows one of them must be shown by gdb, or on the console.

use super::blocks::{Block, Kind, blocks};
use super::commands;
use crate::args::{Command, Run};
use anyhow::{Context, Result, bail, ensure};

/// The compiler that documents call.
pub const COMPILER: &str = "aarch64-linux-gnu-gcc";
const STATUS: &str = "echo $?";

/// A file that a document shows.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// A console block that compiles and runs programs.
#[derive(Debug)]
pub struct Example {
    /// The number of its first line.
    pub line: usize,
    pub steps: Vec<Step>,
}

/// A line that is typed.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub act: Act,
    /// The lines below it.
    pub shows: Vec<String>,
}

/// A line that is typed at gdb.
#[derive(Debug)]
pub struct Typed {
    pub line: usize,
    pub text: String,
    /// The lines below it.
    pub shows: Vec<String>,
}

/// gdb's prompt.
pub const GDB: &str = "(gdb) ";

#[derive(Debug)]
pub enum Act {
    /// The arguments of the compiler.
    Compile(Vec<String>),
    /// A run, and the status with which it must end.
    Run(Box<Run>, i32),
    /// A run with gdbserver, and what is typed at gdb.
    Debug(Box<Run>, Vec<Typed>),
}

/// Whether a typed line is for the host's shell, and not for this tool.
pub fn is_for_the_host(typed: &str) -> bool {
    typed == STATUS || typed.split_whitespace().next() == Some(COMPILER)
}

/// Whether a console block is one of programs.
pub fn is_example(block: &Block<'_>) -> bool {
    block
        .lines
        .iter()
        .filter_map(|(_, text)| text.strip_prefix("$ "))
        .any(|typed| is_for_the_host(typed) || typed.contains(" --exec ") || typed.contains(" --gdbserver "))
}

/// The files of a document.
///
/// # Errors
/// When a block of C does not name its file.
pub fn sources(text: &str) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for block in blocks(text)?.into_iter().filter(|block| block.kind == Kind::C) {
        let &(line, first) = block.lines.first().context("a block of C is empty")?;
        let name = first.strip_prefix("/* ").and_then(|rest| rest.strip_suffix(" */"));
        let plain = |name: &&str| name.ends_with(".c") && !name.contains(['/', ' ']);
        let Some(name) = name.filter(plain) else {
            bail!("line {line}: a block of C begins with a line like `/* hello.c */`");
        };
        let text: String = block.lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        sources.push(Source { name: name.into(), text });
    }
    Ok(sources)
}

/// The console blocks of a document that compile and run programs.
///
/// # Errors
/// When a line of such a block cannot be executed.
pub fn examples(text: &str) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for block in blocks(text)?.into_iter().filter(|block| block.kind == Kind::Console && is_example(block)) {
        let mut steps: Vec<Step> = Vec::new();
        let mut asked = false;
        for &(line, text) in &block.lines {
            match (text.strip_prefix("$ "), steps.last_mut()) {
                (Some(STATUS), Some(Step { act: Act::Run(..), .. })) => asked = true,
                (Some(STATUS), _) => bail!("line {line}: no run is in front of `{STATUS}`"),
                (Some(typed), _) => {
                    steps.push(Step { line, act: act(typed)?, shows: Vec::new() });
                    asked = false;
                }
                (None, None) => bail!("line {line}: nothing was typed that could show this"),
                (None, Some(Step { act: Act::Debug(_, typed), shows, .. })) => {
                    match (text.strip_prefix(GDB), typed.last_mut()) {
                        (Some(text), _) => typed.push(Typed { line, text: text.into(), shows: Vec::new() }),
                        (None, Some(last)) => last.shows.push(text.into()),
                        (None, None) => shows.push(text.into()),
                    }
                }
                (None, Some(Step { act: Act::Run(_, due), .. })) if asked => {
                    *due = text.parse().with_context(|| format!("line {line}: no status"))?;
                }
                (None, Some(step)) => step.shows.push(text.into()),
            }
        }
        examples.push(Example { line: block.lines[0].0, steps });
    }
    Ok(examples)
}

fn act(typed: &str) -> Result<Act> {
    if is_for_the_host(typed) {
        return Ok(Act::Compile(commands::words(typed)?.split_off(1)));
    }
    let Command::Run(run) = commands::parse(typed)?.command else { bail!("`{typed}`: expected `run`") };
    if run.user.gdbserver.is_some() {
        return Ok(Act::Debug(Box::new(run), Vec::new()));
    }
    ensure!(run.user.exec.is_some(), "`{typed}` runs no program");
    Ok(Act::Run(Box::new(run), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "```c\n/* a.c */\nint main(void) { return 3; }\n```\n\
        ```console\n$ aarch64-linux-gnu-gcc -O2 -o a a.c\n$ cargo xtask run --exec ./a x\nsays x\n$ echo $?\n3\n```\n\
        ```console\nstepwell> rules\n```\n";

    #[test]
    fn files_have_their_names() {
        let text = "/* a.c */\nint main(void) { return 3; }\n";
        assert_eq!(sources(TEXT).unwrap(), [Source { name: "a.c".into(), text: text.into() }]);
        for wrong in ["```c\nint a;\n```\n", "```c\n/* ../a.c */\n```\n", "```c\n```\n"] {
            assert!(sources(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_program_is_compiled_and_run_and_shows_something() {
        let [example] = &examples(TEXT).unwrap()[..] else { panic!() };
        let [compile, run] = &example.steps[..] else { panic!("{example:?}") };
        let Act::Compile(words) = &compile.act else { panic!("{compile:?}") };
        assert_eq!(words, &["-O2", "-o", "a", "a.c"]);
        let Act::Run(how, status) = &run.act else { panic!("{run:?}") };
        assert_eq!((how.user.arguments.as_slice(), *status), (&["x".to_owned()][..], 3));
        assert_eq!((run.line, run.shows.as_slice()), (7, &["says x".to_owned()][..]));
    }

    #[test]
    fn a_debugged_program_has_what_is_typed_at_gdb() {
        let text = "```console\n$ cargo xtask run --gdbserver ./a x\nattached\n(gdb) break f\nset\n(gdb) continue\n```\n";
        let [example] = &examples(text).unwrap()[..] else { panic!() };
        let [Step { act: Act::Debug(run, typed), shows, .. }] = &example.steps[..] else {
            panic!("{example:?}")
        };
        assert_eq!(
            (run.user.arguments.as_slice(), shows.as_slice()),
            (&["x".to_owned()][..], &["attached".to_owned()][..])
        );
        let typed: Vec<_> = typed.iter().map(|typed| (typed.text.as_str(), typed.shows.len())).collect();
        assert_eq!(typed, [("break f", 1), ("continue", 0)]);
    }

    #[test]
    fn what_cannot_be_executed_is_refused() {
        let compile = "aarch64-linux-gnu-gcc -o a a.c";
        for wrong in [
            "$ echo $?".to_owned(),
            format!("$ {compile}\n$ echo $?\n0"),
            format!("$ {compile}\n$ make"),
            format!("nothing typed\n$ {compile}"),
            "$ cargo xtask run --exec ./a\n$ echo $?\nx".into(),
        ] {
            assert!(examples(&format!("```console\n{wrong}\n```\n")).is_err(), "{wrong}");
        }
    }
}
