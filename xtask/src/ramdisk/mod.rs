//! Packs programs of the host into an initial ramdisk (cpio, newc), which QEMU hands to the kernel.
//!
//! `run --exec PROGRAM ARGS..` becomes:
//!
//! - `/bin/PROGRAM`: the program, and beside it what it needs: the dynamic linker of its PT_INTERP, the libraries of its DT_NEEDED
//!   entries and of theirs; for a script, its interpreter.
//! - for each `--with FILE=PATH`, the file FILE at PATH; if it is executable, with what it needs to run.
//! - `/init.args`: the words of the command line, the program's path first, each of them ended by a NUL. In the boot arguments,
//!   blanks and quotes in a word would be lost, and the device tree has no room for long ones.
//! - `/init.env`: the settings of `--env NAME=VALUE`, in the same form, to be added to the kernel's own environment of the first
//!   process. The file is missing if there are none.
//! - the boot arguments `mode=user` and `init=/bin/PROGRAM`.
//! - empty directories that programs expect: `/dev`, `/proc`, `/sys`, `/tmp` and `/root`.
//!
//! The kernel starts the file that `init=` names with the words of `/init.args`. Without that file, the path is the only word.

mod elf;
mod libraries;
#[cfg(test)]
mod tests;
mod tree;

use crate::paths::target_dir;
use crate::process::is_executable;
use anyhow::{Context, Result, bail, ensure};
use elf::Elf;
use libraries::Roots;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use tree::{Node, Tree};

/// The file with the words of the first process's command line.
pub const ARGUMENTS: &str = "/init.args";
/// The file with the additions to the first process's environment.
pub const ENVIRONMENT: &str = "/init.env";
/// How many interpreters of interpreters are followed, as on Linux.
const MOST_SCRIPTS: usize = 4;

/// What the user wants in the ramdisk.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// A program or script of the host, to be the first process.
    pub exec: Option<PathBuf>,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// Further files of the host, each with its path in the ramdisk. Programs and scripts come with what they need.
    pub others: Vec<(PathBuf, String)>,
    /// Additions to its environment, as `NAME=VALUE`.
    pub environment: Vec<String>,
    /// A directory that becomes the ramdisk's tree, or a ramdisk that is passed on as it is.
    pub initrd: Option<PathBuf>,
    /// Where the libraries are; by default where hosts keep them.
    pub sysroot: Option<PathBuf>,
}

/// A ramdisk that is ready for QEMU.
#[derive(Debug)]
pub struct Packed {
    file: Source,
    /// The path of the program that becomes the first process, if `Contents::exec` has one.
    pub init: Option<String>,
}

#[derive(Debug)]
enum Source {
    /// The user's own file.
    Given(PathBuf),
    /// A file of the tool's, which is removed when it is dropped.
    Made(NamedTempFile),
}

impl Packed {
    /// The file for `-initrd`.
    pub fn path(&self) -> &Path {
        match &self.file {
            Source::Given(path) => path,
            Source::Made(file) => file.path(),
        }
    }

    /// Moves a file of the tool's to another place of the same file system, at once: who opens that place meanwhile finds a whole file.
    ///
    /// # Errors
    /// When the file cannot be moved.
    pub fn move_to(self, place: &Path) -> Result<()> {
        if let Source::Made(file) = self.file {
            file.persist(place).with_context(|| format!("cannot write {}", place.display()))?;
        }
        Ok(())
    }

    /// Leaves the file where it is, for a command line that the user may start later.
    ///
    /// # Errors
    /// None on Linux.
    pub fn keep(self) -> Result<()> {
        if let Source::Made(file) = self.file {
            file.keep()?;
        }
        Ok(())
    }
}

/// Packs a ramdisk.
///
/// # Errors
/// When a file is missing, cannot be read, or cannot run on AArch64. The message says what the user can do.
pub fn pack(contents: &Contents) -> Result<Packed> {
    if let Some(file) = contents.initrd.as_ref().filter(|path| !path.is_dir()) {
        fs::File::open(file)
            .with_context(|| format!("cannot open the initial ramdisk {}", file.display()))?;
        ensure!(
            contents.exec.is_none() && contents.others.is_empty() && contents.environment.is_empty(),
            "{} is passed to the kernel as it is, so nothing can be added: unpack it into a directory, and name that by --initrd",
            file.display()
        );
        return Ok(Packed { file: Source::Given(file.clone()), init: None });
    }
    let (tree, init) = tree(contents)?;
    let dir = target_dir().join("ramdisk");
    fs::create_dir_all(&dir)?;
    let mut file = tempfile::Builder::new().prefix("ramdisk-").suffix(".cpio").tempfile_in(dir)?;
    let mut out = BufWriter::new(&mut file);
    tree.write(&mut out)?;
    out.flush()?;
    drop(out);
    Ok(Packed { file: Source::Made(file), init })
}

/// Copies the files that a ramdisk has, without devices and permissions, into a new directory of the host.
///
/// # Errors
/// As [`pack`], and when the directory cannot be written.
pub fn copy(contents: &Contents, dir: &Path) -> Result<()> {
    tree(contents)?.0.copy(dir).with_context(|| format!("cannot write {}", dir.display()))
}

/// The tree of a ramdisk, and the path of the first process.
fn tree(contents: &Contents) -> Result<(Tree, Option<String>)> {
    let mut tree = contents.initrd.as_deref().map_or_else(|| Ok(Tree::default()), Tree::read)?;
    for (dir, mode) in
        [("/dev", 0o755), ("/proc", 0o555), ("/sys", 0o555), ("/tmp", 0o1777), ("/root", 0o700)]
    {
        if tree.get(dir).is_none() {
            tree.put(dir, Node::Directory(mode))?;
        }
    }
    let roots = roots(contents)?;
    // Before the program, since a script's interpreter may be one of them.
    for (host, path) in &contents.others {
        if host.is_file() && !is_executable(host) {
            let data = fs::read(host).with_context(|| format!("cannot read {}", host.display()))?;
            tree.put(path, Node::File(0o644, data))?;
        } else {
            add_program(&mut tree, &roots, host, path)?;
        }
    }
    let mut init = None;
    if let Some(exec) = &contents.exec {
        let path = path_of(exec);
        add_program(&mut tree, &roots, exec, &path)?;
        let words = std::iter::once(&path).chain(&contents.arguments);
        tree.put(ARGUMENTS, Node::File(0o444, ended(words)?))?;
        init = Some(path);
    }
    if !contents.environment.is_empty() {
        if let Some(wrong) = contents.environment.iter().find(|word| word.find('=').is_none_or(|at| at == 0))
        {
            bail!("--env {wrong}: expected NAME=VALUE");
        }
        tree.put(ENVIRONMENT, Node::File(0o444, ended(&contents.environment)?))?;
    }
    Ok((tree, init))
}

fn roots(contents: &Contents) -> Result<Roots> {
    if let Some(sysroot) = &contents.sysroot {
        ensure!(sysroot.is_dir(), "--sysroot {}: there is no such directory", sysroot.display());
    }
    Ok(Roots::new(contents.initrd.as_deref(), contents.sysroot.as_deref()))
}

/// Adds a program or script of the host with all that it needs.
fn add_program(tree: &mut Tree, roots: &Roots, host: &Path, path: &str) -> Result<()> {
    let meta = fs::metadata(host).with_context(|| format!("cannot run {}", host.display()))?;
    ensure!(meta.is_file(), "cannot run {}: it is no regular file", host.display());
    ensure!(is_executable(host), "{} is not executable: chmod +x {0}", host.display());
    let (mut host, mut path) = (host.to_owned(), path.to_owned());
    for _ in 0..=MOST_SCRIPTS {
        let data = fs::read(&host).with_context(|| format!("cannot read {}", host.display()))?;
        let Some(interpreter) = interpreter(&data) else {
            let elf = Elf::parse(&data).map_err(|why| anyhow::anyhow!("{} {why}", host.display()))?;
            tree.put(&path, Node::File(0o755, data))?;
            return libraries::add(tree, roots, &path, &host, elf);
        };
        tree.put(&path, Node::File(0o755, data))?;
        // The user's tree has its own, with all that it needs.
        if tree.get(&interpreter).is_some() {
            return Ok(());
        }
        (host, path) = find_interpreter(tree, roots, &host, &interpreter)?;
    }
    bail!("{} is the interpreter of an interpreter of an interpreter of a script", host.display())
}

/// The interpreter in the first line of a script; None if the file is no script.
fn interpreter(data: &[u8]) -> Option<String> {
    let line = data.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    line.split_ascii_whitespace().next().map(str::to_owned)
}

/// Where a script's interpreter is: on the host, and in the ramdisk. The shell may be that of busybox.
fn find_interpreter(tree: &mut Tree, roots: &Roots, script: &Path, name: &str) -> Result<(PathBuf, String)> {
    if let Some(file) = roots.find(name) {
        return Ok((file, name.to_owned()));
    }
    let busybox = "/bin/busybox";
    if ["/bin/sh", "/bin/ash"].contains(&name)
        && let Some(file) = roots.find(busybox)
    {
        tree.put(name, Node::Link("busybox".into()))?;
        return Ok((file, busybox.into()));
    }
    bail!(
        "the script {} needs the interpreter {name}, which is not in {}; `cargo xtask setup` fetches busybox for /bin/sh, \
         or name the directory of an AArch64 system by --sysroot",
        script.display(),
        roots.list()
    )
}

/// Where a program of the host goes. Only letters, digits and `._+-` are kept of its name, since a boot argument names the path.
pub fn path_of(host: &Path) -> String {
    let name = host.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '_' };
    format!("/bin/{}", name.chars().map(plain).collect::<String>())
}

/// Words, each ended by a NUL.
fn ended<'a>(words: impl IntoIterator<Item = &'a String>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for word in words {
        ensure!(!word.contains('\0'), "an argument has a NUL in it");
        bytes.extend(word.as_bytes());
        bytes.push(0);
    }
    Ok(bytes)
}
