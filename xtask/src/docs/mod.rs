//! The documents in Markdown: what is generated, and whether their examples work.
//!
//! - `blocks`: a document's fenced blocks.
//! - `sessions`: the lines that a document types at the monitor, and the answers that it shows. `qemu-test` boots the kernel and
//!   compares the answers.
//! - `programs`: the C programs that a document shows. `qemu-test` compiles and runs them, and compares what they print.
//! - `commands`: the command lines in a document, in blocks and in prose.
//! - `rules`: `docs/rules.md`, from the crate `rules`; `course`: its pictures; `evidence`: what fails without each rule.
//!
//! Whatever needs no boot (command lines, Rust code, links, the generated page) is tested here, on the host.

mod blocks;
pub mod commands;
mod course;
mod evidence;
pub mod programs;
mod rules;
pub mod sessions;
#[cfg(test)]
mod tests;

use crate::paths::root;
use crate::say::say;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// A document in Markdown.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file's name without folder and ending, such as `monitor`.
    pub name: String,
    pub path: PathBuf,
    pub text: String,
}

/// All documents: README, ARCHITECTURE, and what is in `docs/`, in the order of their names.
///
/// # Errors
/// When one cannot be read.
pub fn documents() -> Result<Vec<Document>> {
    let mut paths = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    let folder = root().join("docs");
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths[2..].sort();
    let read = |path: PathBuf| {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Document { name, path, text })
    };
    paths.into_iter().map(read).collect()
}

/// Writes `docs/rules.md`.
///
/// # Errors
/// When a source cannot be read, or the file cannot be written.
pub fn write() -> Result<()> {
    let path = root().join(rules::PAGE);
    std::fs::write(&path, rules::page()?).with_context(|| format!("cannot write {}", path.display()))?;
    say!("{} written", rules::PAGE);
    Ok(())
}
