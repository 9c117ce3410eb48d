//! The examples in the documents. The kernel is booted, and the monitor executes what a document types at its prompt. Tests and
//! scenarios that a document's commands name must be in the kernel's list. Tests that need no kernel are in `docs`, on the host.

use super::Kernel;
use super::outcome::{Case, Outcome};
use crate::capture::typed;
use crate::docs::sessions::{Session, sessions};
use crate::docs::{Document, commands};
use crate::inventory::Inventory;
use crate::ktap::Verdict;
use crate::qemu::{Machine, Start};
use anyhow::Result;
use std::time::Instant;

/// The names of all documents begin with this.
pub const PREFIX: &str = "docs.";

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
    let machine = crate::run::machine(&session.common);
    let machine = Machine { append: format!("echo=0 {}", machine.append), ..machine };
    let boot = typed(&machine, &Start::Kernel(&kernel.image), kernel.limit, session.input())?;
    let wrong = session.complaints(&boot.console);
    if !wrong.is_empty() {
        *tail += &format!("{}\n{}\n", wrong.join("\n"), boot.tail(&kernel.elf));
    }
    Ok(wrong)
}
