//! Finds the dynamic linker and the libraries of a program, and the interpreter of a script, on the host.

use super::elf::{Elf, Refusal};
use super::tree::{Node, Tree};
use crate::setup::arm64;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The directories in which dynamic linkers look by themselves, and that a sysroot therefore has libraries in. glibc's and musl's
/// are apart, since a library of one is useless to the other.
const GNU: [&str; 2] = ["/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
const MUSL: [&str; 2] = ["/lib/aarch64-linux-musl", "/usr/lib/aarch64-linux-musl"];
const BOTH: [&str; 4] = ["/lib", "/usr/lib", "/lib64", "/usr/lib64"];
/// glibc opens this library when a thread ends by pthread_exit or is cancelled; no file names it as needed.
const UNWINDER: &str = "libgcc_s.so.1";

/// Directories of the host that stand for the root directory of an AArch64 system.
#[derive(Debug)]
pub struct Roots(Vec<PathBuf>);

/// A file found on the host.
struct Found {
    /// Where it is on the host.
    host: PathBuf,
    /// The directory that it belongs to in the ramdisk.
    dir: String,
    data: Vec<u8>,
    elf: Elf,
}

impl Roots {
    /// The tree that the program is added to comes first. Then comes `sysroot`, or the places where hosts keep the libraries of
    /// AArch64: the cross compiler's, what set-up has unpacked, and the host itself, which has them if it is an AArch64 or a
    /// multi-architecture one.
    pub fn new(tree: Option<&Path>, sysroot: Option<&Path>) -> Self {
        let usual = || {
            let cross = ["/usr/aarch64-linux-gnu", "/usr/aarch64-linux-gnu/sys-root"].map(PathBuf::from);
            let unpacked = [arm64::PROGRAMS.files(), arm64::TRACERS.files(), PathBuf::from("/")];
            cross.into_iter().chain(unpacked).collect()
        };
        let others = sysroot.map_or_else(usual, |dir| vec![dir.to_owned()]);
        Self(tree.map(Path::to_owned).into_iter().chain(others).collect())
    }

    /// The file that an absolute path of the ramdisk means. Absolute links stay inside of the root. Programs for other machines are
    /// passed over, such as the host's own shell.
    pub fn find(&self, path: &str) -> Option<PathBuf> {
        let foreign = |file: &Path| {
            fs::read(file).is_ok_and(|data| matches!(Elf::parse(&data), Err(Refusal::Machine(_))))
        };
        let candidates = self.0.iter().filter_map(|root| inside(root, path));
        candidates.into_iter().find(|file| file.is_file() && !foreign(file))
    }

    /// The places, for messages.
    pub fn list(&self) -> String {
        self.0.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// Adds what the program at `path` of the ramdisk needs to run: its dynamic linker, and the libraries that it and its libraries
/// need. `host` is the program's place on the host, which `$ORIGIN` in its DT_RUNPATH means.
///
/// # Errors
/// When one of them is not found, is for another machine, or is damaged.
pub fn add(tree: &mut Tree, roots: &Roots, path: &str, host: &Path, elf: Elf) -> Result<()> {
    let Some(interpreter) = elf.interpreter.clone() else { return Ok(()) };
    let linker = roots.find(&interpreter).with_context(|| {
        format!(
            "{} needs the dynamic linker {interpreter}, which is not in {}{}",
            host.display(),
            roots.list(),
            advice(&interpreter)
        )
    })?;
    let data = read(&linker)?;
    parse(&linker, &data)?;
    tree.put(&interpreter, Node::File(0o755, data))?;
    let musl = interpreter.contains("ld-musl");
    let search = Search { roots, musl, interpreter: &interpreter };
    let mut seen: BTreeSet<String> = search.of_linker().map(str::to_owned).collect();
    let mut left = vec![(host.to_owned(), parent(path), elf)];
    while let Some((host, dir, elf)) = left.pop() {
        for name in &elf.needed {
            if !seen.insert(name.clone()) {
                continue;
            }
            let found = search.library(name, &host, &dir, &elf)?;
            left.push(put(tree, name, found)?);
        }
    }
    if !musl
        && seen.insert(UNWINDER.into())
        && let Ok(found) = search.library(UNWINDER, host, &parent(path), &Elf::default())
    {
        put(tree, UNWINDER, found)?;
    }
    Ok(())
}

/// Puts a library into the tree by the name of its file, and as a link by the name that it is needed by: dynamic linkers know by
/// device and inode number that both are one library.
fn put(tree: &mut Tree, name: &str, found: Found) -> Result<(PathBuf, String, Elf)> {
    let base = name.rsplit('/').next().unwrap_or(name);
    let file = found.host.file_name().and_then(|file| file.to_str()).unwrap_or(base).to_owned();
    if file != base {
        tree.put(&format!("{}/{base}", found.dir), Node::Link(file.clone()))?;
    }
    tree.put(&format!("{}/{file}", found.dir), Node::File(0o755, found.data))?;
    Ok((found.host, found.dir, found.elf))
}

struct Search<'a> {
    roots: &'a Roots,
    musl: bool,
    interpreter: &'a str,
}

impl<'a> Search<'a> {
    /// The names of libraries that are the dynamic linker itself. musl's is also the C library, by each of its names.
    fn of_linker(&self) -> impl Iterator<Item = &'a str> {
        const LIBC: [&str; 2] = ["libc.so", "libc.musl-aarch64.so.1"];
        let own = self.interpreter.rsplit('/').next();
        own.into_iter().chain(LIBC.into_iter().filter(|_| self.musl))
    }

    /// Finds a library that the file at `host`, in the directory `dir` of the ramdisk, needs.
    fn library(&self, name: &str, host: &Path, dir: &str, elf: &Elf) -> Result<Found> {
        let mut tried = Vec::new();
        let mut refused = None;
        for (host, dir) in self.candidates(name, host, dir, elf) {
            match host.canonicalize() {
                Ok(file) if file.is_file() => {
                    let data = read(&file)?;
                    match Elf::parse(&data) {
                        Ok(elf) => return Ok(Found { host: file, dir, data, elf }),
                        // The host's own library of this name, say. Another directory may have the right one.
                        Err(why) => refused = Some(format!("{} {why}", host.display())),
                    }
                }
                _ => tried.push(host.parent().unwrap_or(&host).display().to_string()),
            }
        }
        tried.dedup();
        let refused = refused.map_or(String::new(), |refused| format!("; {refused}"));
        bail!(
            "{} needs the library {name}, which is in none of {}{refused}{}",
            host.display(),
            tried.join(", "),
            advice(name)
        )
    }

    /// The places of a library, in the order in which the dynamic linker would look: on the host, and the directory in the ramdisk.
    fn candidates(&self, name: &str, host: &Path, dir: &str, elf: &Elf) -> Vec<(PathBuf, String)> {
        let mut places = Vec::new();
        if name.contains('/') {
            let path = absolute(dir, name);
            places.extend(self.roots.0.iter().filter_map(|root| Some((inside(root, &path)?, parent(&path)))));
            return places;
        }
        for entry in &elf.search {
            let Some(rest) = entry.strip_prefix("$ORIGIN").or_else(|| entry.strip_prefix("${ORIGIN}")) else {
                places.extend(self.roots.0.iter().filter_map(|root| self.in_root(root, entry, name)));
                continue;
            };
            let beside =
                host.parent().unwrap_or(Path::new(".")).join(rest.trim_start_matches('/')).join(name);
            places.push((beside, absolute(dir, rest.trim_start_matches('/'))));
        }
        // One root after the other: a dynamic linker and a C library of two versions do not fit together, and each root has them in
        // another directory.
        let own = if self.musl { MUSL } else { GNU };
        for root in &self.roots.0 {
            places
                .extend(own.iter().chain(&BOTH).filter_map(|directory| self.in_root(root, directory, name)));
        }
        places
    }

    /// A library in a directory of a root. From `/lib` of a cross compiler it goes where Debian's own glibc has it.
    fn in_root(&self, root: &Path, directory: &str, name: &str) -> Option<(PathBuf, String)> {
        let cross = directory == "/lib" && root.ends_with("aarch64-linux-gnu") && !self.musl;
        let dir = if cross { GNU[0] } else { directory };
        Some((inside(root, &format!("{directory}/{name}"))?, dir.to_owned()))
    }
}

/// A path below a root of the host, where links with absolute targets mean files below the same root. None if a link goes in a
/// circle.
fn inside(root: &Path, path: &str) -> Option<PathBuf> {
    let mut left: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(component) = left.pop() {
        match component.as_str() {
            "" | "." => {}
            ".." => _ = done.pop(),
            _ => {
                done.push(&component);
                if let Ok(target) = fs::read_link(root.join(&done)) {
                    links += 1;
                    if links > 40 {
                        return None;
                    }
                    done.pop();
                    if target.is_absolute() {
                        done = PathBuf::new();
                    }
                    left.extend(target.to_str()?.split('/').rev().map(str::to_owned));
                }
            }
        }
    }
    Some(root.join(done))
}

/// A path of the ramdisk, seen from one of its directories; without `..`.
fn absolute(dir: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let start = if path.starts_with('/') { "" } else { dir };
    for part in start.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The directory that a path of the ramdisk is in.
fn parent(path: &str) -> String {
    path.rsplit_once('/').map_or(String::new(), |(dir, _)| dir.to_owned())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Reads an ELF file, and says which file it was that is wrong.
fn parse(file: &Path, data: &[u8]) -> Result<Elf> {
    Elf::parse(data).map_err(|why: Refusal| anyhow::anyhow!("{} {why}", file.display()))
}

/// What the user can do about a missing library.
fn advice(name: &str) -> &'static str {
    if ["ld-linux-", "libc.so.6", "libm.so.6", "ld-musl-"].iter().any(|own| name.contains(own)) {
        "; `cargo xtask setup` installs it, or name the directory of an AArch64 system by --sysroot"
    } else {
        "; name the directory of an AArch64 system that has it by --sysroot"
    }
}
