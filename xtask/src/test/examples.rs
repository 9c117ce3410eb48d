//! The examples in the documents. The kernel is booted, and the monitor executes what a document types at its prompt. The C programs that a
//! document shows are compiled and run as the document says. Tests and scenarios that a document's commands name must be in the kernel's list. Tests that need no kernel are in `docs`, on the host.

use super::Kernel;
use super::gdb_session::read;
use super::outcome::{Case, Outcome};
use super::programs::boot_contents;
use crate::args::Run;
use crate::capture::typed;
use crate::docs::programs::{self, Act, Example, Typed};
use crate::docs::sessions::{Session, absent, sessions};
use crate::docs::{Document, commands};
use crate::gdbserver::{self, Boot};
use crate::inventory::Inventory;
use crate::ktap::Verdict;
use crate::qemu::{Machine, Start};
use crate::session::{End, Process};
use crate::setup::{self, decide::Need};
use crate::user;
use anyhow::{Context, Result};
use std::io::{Seek, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The names of all documents begin with this.
pub const PREFIX: &str = "docs.";

/// How long a session with gdb may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A document's name for filters.
pub fn name(document: &Document) -> String {
    format!("{PREFIX}{}", document.name)
}

/// Tries a document's commands and sessions.
pub fn run(kernel: &Kernel, inventory: &Inventory, document: &Document) -> Outcome {
    let begin = Instant::now();
    let mut tail = String::new();
    let mut cases = Vec::new();
    let mut case = |name: &str, wrong: Result<Vec<String>>| {
        let verdict = match wrong {
            Ok(wrong) => wrong.into_iter().next().map_or(Verdict::Passed, Verdict::Failed),
            Err(error) => Verdict::Unknown(format!("{error:#}")),
        };
        cases.push(Case::new(&format!("{PREFIX}{}", document.name), name, verdict));
    };
    case("commands", unknown_names(document, inventory));
    match sessions(&document.text) {
        Ok(sessions) => {
            for session in sessions {
                let name = session.line.map_or("session".into(), |line| format!("session at line {line}"));
                case(&name, hold(kernel, &session, &mut tail));
            }
        }
        Err(error) => case("sessions", Err(error)),
    }
    match programs::examples(&document.text) {
        Ok(examples) => {
            for example in examples {
                let name = format!("program at line {}", example.line);
                case(&name, execute(kernel, document, &example, &mut tail));
            }
        }
        Err(error) => case("programs", Err(error)),
    }
    Outcome {
        name: name(document),
        cases,
        tail,
        replay: format!("cargo xtask qemu-test {}", name(document)),
        wall: begin.elapsed(),
    }
}

/// Complaints about commands that name a test, scenario or cell which the kernel does not have.
fn unknown_names(document: &Document, inventory: &Inventory) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (line, text) in commands::commands(&document.text)? {
        if let Err(error) = commands::parse(text).and_then(|cli| commands::check_names(&cli, Some(inventory)))
        {
            wrong.push(format!("{}, line {line}: {error:#}", document.path.display()));
        }
    }
    Ok(wrong)
}

/// Boots the kernel, types the session's lines, and compares the answers. If something is wrong the end of the console is added to
/// `tail`.
fn hold(kernel: &Kernel, session: &Session, tail: &mut String) -> Result<Vec<String>> {
    let mut machine = crate::run::machine(&session.common);
    if crate::run::has_main_job(&machine) {
        machine.initrd = Some(user::demo::ramdisk()?);
    }
    let machine = Machine { append: format!("echo=0 {}", machine.append), ..machine };
    let boot = typed(&machine, &Start::Kernel(&kernel.image), kernel.limit, session.input())?;
    let wrong = session.complaints(&boot.console);
    if !wrong.is_empty() {
        *tail += &format!("{}\n{}\n", wrong.join("\n"), boot.tail(&kernel.elf));
    }
    Ok(wrong)
}

/// Runs a program under gdbserver, and types at gdb what the document types. Returns what is wrong, and adds to `tail` what was said then.
fn debug(
    kernel: &Kernel,
    directory: &Path,
    run: &Run,
    (line, banner): (usize, &[String]),
    typed: &[Typed],
    tail: &mut String,
) -> Result<Vec<String>> {
    let program = directory.join(run.user.gdbserver.as_deref().context("no program")?);
    let contents = gdbserver::contents(&program, &run.user.arguments)?;
    let append = user::boot::USER_MODE.into();
    let machine = run.common.machine(Machine { append, ..Machine::default() });
    let mut boot = Boot::start(&machine, &kernel.image, &contents, |_| {})?;
    boot.wait_for_server(PATIENCE)?;
    let (mut input, mut output) = (tempfile::tempfile()?, tempfile::tempfile()?);
    typed.iter().try_for_each(|typed| writeln!(input, "{}", typed.text))?;
    input.rewind()?;
    let mut command =
        boot.gdb(&program, &["-nx", "-q", "-iex", "set pagination off", "-iex", "set width 0"])?;
    command.current_dir(directory).stdin(input).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut debugger = Process::start(&mut command)?;
    let status = debugger.wait_until(Instant::now() + PATIENCE)?.context("gdb does not end")?;
    drop(debugger);
    let said = read(&mut output)?;
    let console = boot.console();
    let console: Vec<_> = console.lines().collect();
    let mut answers = said.split(programs::GDB);
    let mut wrong = Vec::new();
    let due = typed.iter().map(|typed| (typed.line, typed.text.as_str(), typed.shows.as_slice()));
    for (line, what, shows) in std::iter::once((line, "the start of gdb", banner)).chain(due) {
        let answer: Vec<_> = answers.next().unwrap_or_default().lines().collect();
        let is_in = |said: &[&str], line: &String| absent(std::slice::from_ref(line), said).next().is_none();
        // What the program prints is on the console.
        let (ours, _): (Vec<_>, Vec<_>) =
            shows.iter().cloned().partition(|line| is_in(&answer, line) || !is_in(&console, line));
        let missing = absent(&ours, &answer);
        wrong.extend(missing.map(|shown| format!("line {line}: `{what}` does not show `{shown}`")));
    }
    if !status.success() {
        wrong.push(format!("line {line}: gdb ended with {status}"));
    }
    if !wrong.is_empty() {
        *tail += &format!("{}\ngdb:\n{said}\nconsole:\n{}\n", wrong.join("\n"), console.join("\n"));
    }
    Ok(wrong)
}

/// Compiles and runs what a console block of a document says, in a directory with the document's sources.
fn execute(
    kernel: &Kernel,
    document: &Document,
    example: &Example,
    tail: &mut String,
) -> Result<Vec<String>> {
    setup::prepare(Need { cross: true, user: true, tracers: true, ..Need::default() })?;
    let directory = tempfile::tempdir()?;
    for source in programs::sources(&document.text)? {
        std::fs::write(directory.path().join(source.name), source.text)?;
    }
    let mut wrong = Vec::new();
    for step in &example.steps {
        let line = step.line;
        match &step.act {
            Act::Compile(words) => {
                let mut compiler = Command::new(programs::COMPILER);
                let output = compiler.args(words).current_dir(&directory).output()?;
                let said = String::from_utf8_lossy(&output.stderr);
                // A reader would see warnings, too.
                if !output.status.success() || !said.is_empty() || !step.shows.is_empty() {
                    wrong.push(format!("line {line}: the compiler says `{}`", said.trim()));
                    break;
                }
            }
            Act::Debug(run, typed) => {
                let found = debug(kernel, directory.path(), run, (line, &step.shows), typed, tail)?;
                wrong.extend(found);
            }
            Act::Run(run, status) => {
                let mut contents = user::boot::contents(&run.user);
                contents.exec = contents.exec.map(|program| directory.path().join(program));
                for (file, _) in &mut contents.others {
                    *file = directory.path().join(&file);
                }
                let base = run.common.machine(Machine { append: "mode=user".into(), ..Machine::default() });
                let (boot, _) = boot_contents(kernel, &contents, &base).context("the program's boot")?;
                let before = wrong.len();
                let said: Vec<_> = boot.console.lines().collect();
                let missing = absent(&step.shows, &said);
                wrong
                    .extend(missing.map(|shown| format!("line {line}: the console does not show `{shown}`")));
                if boot.end != End::Status(*status) {
                    wrong.push(format!("line {line}: {} instead of {status}", boot.ending()));
                }
                if wrong.len() > before {
                    *tail += &format!("{}\n{}\n", wrong.join("\n"), boot.tail(&kernel.elf));
                }
            }
        }
    }
    Ok(wrong)
}
