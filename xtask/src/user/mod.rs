//! Programs at EL0: what `run` boots (`args.rs`, `boot.rs`; `demo.rs` for the main job), and the tests' own, which are compiled here.
//!
//! The C programs of `tests/user` are compiled for AArch64, in every way in which programs are linked, into `target/user/`.
//!
//! A program is compiled again only if its source, a header beside it, or the compiler's command line has changed: the command
//! line and the sources' bytes are kept beside the program, in a file with the ending `.made`.

pub mod args;
pub mod boot;
pub mod demo;
mod linking;
#[cfg(test)]
mod tests;
mod under;

use crate::paths::{root, target_dir};
use crate::process::run;
use crate::setup::{self, arm64, decide::Need};
use anyhow::{Context, Result};
pub use linking::Linking;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// A compiled program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The name of its source, without `.c`.
    pub name: String,
    /// How it is linked.
    pub linking: Linking,
    /// Where it is.
    pub path: PathBuf,
}

/// Prepares the host, compiles all programs, and prints their paths; those of busybox and of the tracers come last.
///
/// # Errors
/// When the set-up fails, or a program does not compile.
pub fn show() -> Result<()> {
    setup::prepare(Need { user: true, tracers: true, ..Need::default() })?;
    for program in compile()? {
        println!("{:<10} {:<15} {}", program.name, program.linking.name(), program.path.display());
    }
    println!("{:<10} {:<15} {}", "busybox", "glibc-static", arm64::busybox().display());
    for name in arm64::TRACER_PROGRAMS {
        println!("{name:<10} {:<15} {}", "glibc-dynamic", arm64::tracer(name).display());
    }
    Ok(())
}

/// Compiles what has changed, and returns all programs: sorted by name, and for each name in the order of [`Linking::ALL`]. The
/// host must be prepared with `Need::user`.
///
/// # Errors
/// When a program does not compile. The compiler has printed the reason.
pub fn compile() -> Result<Vec<Program>> {
    compile_into(&root().join("tests/user"), &target_dir().join("user"))
}

/// Compiles the programs of `tests/bench`, which measure: static with musl, so that the C library does least, and with the entry point
/// that `bench.h` defines. Returns their paths, sorted by name.
///
/// # Errors
/// When a program does not compile. The compiler has printed the reason.
pub fn compile_bench() -> Result<Vec<PathBuf>> {
    // Two measurements at once would compile into the same files.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    let (sources, output) = (root().join("tests/bench"), target_dir().join("user/bench"));
    let files = list(&sources)?;
    let mut programs = Vec::new();
    for name in &files.names {
        let (source, path) = (sources.join(name).with_extension("c"), output.join(name));
        let stamp = [fs::read(&source)?, files.headers.clone()].concat();
        let mut command = Linking::MuslStatic.compiler(&output)?;
        command.args(["-s", "-Wl,-e,first", "-o"]).arg(&path).arg(&source);
        provide(&mut command, &path, &stamp)
            .with_context(|| format!("{} does not compile", source.display()))?;
        programs.push(path);
    }
    Ok(programs)
}

/// The C programs of a directory.
struct Listed {
    /// Sorted, without `.c`.
    names: Vec<String>,
    /// The bytes of all headers.
    headers: Vec<u8>,
}

fn list(sources: &Path) -> Result<Listed> {
    let (mut names, mut headers) = (Vec::new(), Vec::new());
    let listed = sources.read_dir().with_context(|| format!("cannot read {}", sources.display()))?;
    let mut files = listed.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    for file in files {
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("c") => names.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned())),
            Some("h") => headers.extend(fs::read(&file)?),
            _ => {}
        }
    }
    Ok(Listed { names, headers })
}

fn compile_into(sources: &Path, output: &Path) -> Result<Vec<Program>> {
    let Listed { names, headers } = list(sources)?;
    let mut programs = Vec::new();
    for name in names {
        let source = sources.join(&name).with_extension("c");
        let stamp = [fs::read(&source)?, headers.clone()].concat();
        for linking in Linking::ALL {
            let path = output.join(linking.name()).join(&name);
            let mut command = linking.compiler(path.parent().unwrap_or(output))?;
            command.arg("-o").arg(&path).arg(&source);
            provide(&mut command, &path, &stamp)
                .with_context(|| format!("{} does not compile as {}", source.display(), linking.name()))?;
            programs.push(Program { name: name.clone(), linking, path });
        }
    }
    Ok(programs)
}

/// Runs the command that makes a program, unless the program was made by the same command from the same bytes.
fn provide(command: &mut Command, path: &Path, sources: &[u8]) -> Result<()> {
    let stamp = [format!("{command:?}\n").as_bytes(), sources].concat();
    let made = path.with_extension("made");
    if path.exists() && fs::read(&made).is_ok_and(|old| old == stamp) {
        return Ok(());
    }
    let _ = fs::remove_file(&made);
    run(command)?;
    fs::write(made, stamp)?;
    Ok(())
}

/// The compiler, with the flags of every program.
fn compiler() -> Command {
    let mut command = Command::new("aarch64-linux-gnu-gcc");
    command.args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]);
    command
}
