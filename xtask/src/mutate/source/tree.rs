//! A copy of the tree that mutants are put into.

use crate::paths::{TARGET, root, sysroot, target_dir};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The copy. Its builds are kept, so that each mutant builds only what it changes.
pub struct Tree {
    root: PathBuf,
}

/// How a command ended.
pub enum Ran {
    Good,
    /// The command has failed, with this output.
    Bad(String),
    /// The command was stopped when its time limit was reached.
    Endless,
}

/// How a build of the kernel ended.
pub enum Built {
    Elf(PathBuf),
    /// The kernel does not build.
    Not,
    /// The build was stopped when its time limit was reached.
    Endless,
}

impl Tree {
    /// Copies all files that git tracks, and new files that git does not ignore. Removes from the copy what the tree no longer has:
    /// cargo would find a test file by its place.
    ///
    /// # Errors
    /// When something cannot be copied or removed.
    pub fn new() -> Result<Self> {
        let tree = Self { root: target_dir().join("mutants") };
        std::fs::create_dir_all(tree.root.join("target"))?;
        let files = files(&root())?;
        remove_others(&tree.root, "", &files.iter().map(String::as_str).collect())?;
        for file in files {
            let (from, to) = (root().join(&file), tree.root.join(&file));
            std::fs::create_dir_all(to.parent().context("a file without a folder")?)?;
            if from.is_symlink() {
                // Among these are the links to the folder with cargo's configuration for the kernel's target.
                let target = std::fs::read_link(&from)?;
                if std::fs::read_link(&to).ok().as_ref() != Some(&target) {
                    let _ = std::fs::remove_file(&to);
                    std::os::unix::fs::symlink(target, &to).with_context(|| format!("cannot copy {file}"))?;
                }
                continue;
            }
            // A file that has not changed keeps its time stamp, so that cargo does not build it again.
            let text = std::fs::read(&from).with_context(|| format!("cannot read {file}"))?;
            if std::fs::read(&to).ok().as_ref() != Some(&text) {
                std::fs::copy(&from, &to).with_context(|| format!("cannot copy {file}"))?;
            }
        }
        let link = tree.root.join("target/sysroot");
        if sysroot().exists() && !link.exists() {
            std::os::unix::fs::symlink(sysroot(), link)?;
        }
        Ok(tree)
    }

    /// Whether the copy has a file.
    pub fn has(&self, file: &str) -> bool {
        self.root.join(file).is_file()
    }

    /// A file of the copy.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, file: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(file)).with_context(|| format!("cannot read {file}"))
    }

    /// Writes a file of the copy.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        std::fs::write(self.root.join(file), text).with_context(|| format!("cannot write {file}"))
    }

    /// Cargo in a folder of the copy.
    pub fn cargo(&self, folder: &str) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(self.root.join(folder)).env("CARGO_TERM_COLOR", "never");
        for name in ["RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "CARGO_MANIFEST_DIR", "RUSTC"] {
            cargo.env_remove(name);
        }
        cargo
    }

    /// Builds the kernel of the copy.
    ///
    /// # Errors
    /// When cargo cannot be started.
    pub fn build_kernel(&self, limit: Duration) -> Result<Built> {
        let mut cargo = self.cargo("image");
        cargo.args(["build", "--quiet", "--package", "stepwell-image", "--bin", "stepwell"]);
        Ok(match run(cargo, limit)? {
            Ran::Good => Built::Elf(self.root.join("target").join(TARGET).join("debug/stepwell")),
            Ran::Bad(_) => Built::Not,
            Ran::Endless => Built::Endless,
        })
    }
}

/// Runs a command to its end. When its time limit is reached, ends it and all processes that it has started.
///
/// # Errors
/// When it cannot be started.
pub fn run(mut command: Command, limit: Duration) -> Result<Ran> {
    let mut output = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?).process_group(0);
    let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begin.elapsed() > limit {
            let group = i32::try_from(child.id())?;
            // SAFETY: a system call without pointers; the group is the child's own, which has not been waited for.
            unsafe { libc::kill(-group, libc::SIGKILL) };
            child.wait()?;
            return Ok(Ran::Endless);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if status.success() {
        return Ok(Ran::Good);
    }
    let mut text = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut text)?;
    Ok(Ran::Bad(String::from_utf8_lossy(&text).into_owned()))
}

/// Removes the files of a folder of the copy that are not among `wanted`, but for those in `target`.
fn remove_others(root: &Path, folder: &str, wanted: &BTreeSet<&str>) -> Result<()> {
    for entry in std::fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{folder}{}", name.to_string_lossy());
        match entry.file_type()?.is_dir() {
            true if path == "target" => {}
            true => remove_others(root, &format!("{path}/"), wanted)?,
            false if wanted.contains(path.as_str()) => {}
            false => std::fs::remove_file(entry.path()).with_context(|| format!("cannot remove {path}"))?,
        }
    }
    Ok(())
}

/// The sources of the tree, from its root.
///
/// # Errors
/// When git cannot list the files.
pub fn sources(root: &Path) -> Result<Vec<String>> {
    Ok(files(root)?.into_iter().filter(|file| file.ends_with(".rs")).collect())
}

fn files(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().context("cannot start git")?;
    if !output.status.success() {
        bail!("git ls-files failed");
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .lines()
        .filter(|file| root.join(file).is_file() || root.join(file).is_symlink())
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tree_no_longer_has_is_removed() {
        let root = tempfile::tempdir().unwrap();
        for file in ["target/kept", "a/kept.rs", "a/b/gone.rs", "gone"] {
            std::fs::create_dir_all(root.path().join(file).parent().unwrap()).unwrap();
            std::fs::write(root.path().join(file), "").unwrap();
        }
        remove_others(root.path(), "", &["a/kept.rs"].into()).unwrap();
        let left = |file: &str| root.path().join(file).exists();
        assert_eq!(["target/kept", "a/kept.rs", "a/b/gone.rs", "gone"].map(left), [true, true, false, false]);
    }

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn commands_end_well_or_badly_or_are_ended() {
        let limit = Duration::from_secs(20);
        assert!(matches!(run(sh("true"), limit).unwrap(), Ran::Good));
        assert!(matches!(run(sh("echo x; exit 3"), limit).unwrap(), Ran::Bad(text) if text == "x\n"));
        let begin = Instant::now();
        assert!(matches!(run(sh("sleep 60 & wait"), Duration::from_millis(100)).unwrap(), Ran::Endless));
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
}
