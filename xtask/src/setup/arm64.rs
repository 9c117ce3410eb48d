//! Unpacks Debian's packages for AArch64 under `target/`, whatever the host's architecture is: what programs are made of
//! ([`PROGRAMS`]), and the tracers with all that they depend on ([`TRACERS`]). They are not installed, and the architectures that the
//! host's dpkg knows stay as they are. apt is given lists of packages, a cache and a status of its own, in which no package is
//! installed and the only architecture is arm64.

use super::Unprepared;
use super::decide::Install;
use crate::paths::root;
use crate::process::run;
use crate::say::say;
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Packages that are unpacked together.
#[derive(Debug, PartialEq, Eq)]
pub struct Set {
    /// The directory below `target/`.
    directory: &'static str,
    /// The packages.
    pub packages: &'static [&'static str],
    /// Whether the packages that these depend on are unpacked, too.
    closure: bool,
}

/// What the tests' programs are made of and run with. Static programs and musl, which need no other package.
pub static PROGRAMS: Set =
    Set { directory: "arm64", packages: &["musl", "musl-dev", "busybox-static"], closure: false };
/// Programs that trace other programs, with their libraries.
pub static TRACERS: Set =
    Set { directory: "arm64-tracers", packages: &["strace", "gdbserver", "gdb-minimal"], closure: true };

/// The programs of [`TRACERS`].
pub const TRACER_PROGRAMS: [&str; 3] = ["strace", "gdbserver", "gdb"];
/// Ubuntu keeps AArch64 on servers that an x86-64 host's list of sources does not name.
const UBUNTU_PORTS: &str = "http://ports.ubuntu.com/ubuntu-ports";

/// The static busybox.
pub fn busybox() -> PathBuf {
    PROGRAMS.files().join("bin/busybox")
}

/// A program of [`TRACERS`], such as `strace`.
pub fn tracer(name: &str) -> PathBuf {
    TRACERS.files().join("usr/bin").join(name)
}

impl Set {
    fn place(&self) -> PathBuf {
        root().join("target").join(self.directory)
    }

    /// The root directory of the unpacked files.
    pub fn files(&self) -> PathBuf {
        self.place().join("files")
    }

    /// Whether all packages are unpacked.
    pub fn is_unpacked(&self) -> bool {
        fs::read_to_string(self.place().join("packages")).is_ok_and(|names| names == self.packages.join("\n"))
    }

    /// The names, for messages.
    fn names(&self) -> String {
        let others = if self.closure { " and what they depend on" } else { "" };
        format!("{}{others}", self.packages.join(" "))
    }

    /// Downloads and unpacks the packages.
    ///
    /// # Errors
    /// `Unprepared` where there is no apt-get; otherwise the step that has failed.
    pub fn provide(&self, how: Install) -> Result<()> {
        let names = self.names();
        let place = self.place();
        if how == Install::NoManager {
            return Err(Unprepared {
                missing: format!(
                    "missing here: {names} for arm64 (Debian's names), and there is no apt-get to fetch them"
                ),
                command: format!(
                    "for each of their .deb files: dpkg-deb -x FILE {}\nprintf '{}' > {}",
                    self.files().display(),
                    self.packages.join("\\n"),
                    place.join("packages").display()
                ),
            }
            .into());
        }
        say!("unpacking {names} for arm64 under target/{} (nothing is installed)", self.directory);
        let fresh = place.with_extension("new");
        let _ = fs::remove_dir_all(&fresh);
        let apt =
            PrivateApt::new(&fresh.join("apt"), &fs::read_to_string("/etc/os-release").unwrap_or_default())?;
        apt.run(&["update"])?;
        let unpacked = fresh.join("files");
        fs::create_dir_all(&unpacked)?;
        for archive in apt.download(self)? {
            run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
        }
        // Newer packages have everything below /usr, and rely on the links of the root directory.
        for dir in ["bin", "lib"] {
            if !unpacked.join(dir).exists() {
                symlink(format!("usr/{dir}"), unpacked.join(dir))?;
            }
        }
        fs::remove_dir_all(fresh.join("apt"))?;
        fs::write(fresh.join("packages"), self.packages.join("\n"))?;
        let _ = fs::remove_dir_all(&place);
        fs::rename(&fresh, &place).with_context(|| format!("cannot put target/{} in place", self.directory))
    }
}

/// apt-get with a state of its own.
struct PrivateApt {
    options: Vec<String>,
    archives: PathBuf,
}

impl PrivateApt {
    /// Keeps its state in `dir`. `os_release` is the text of /etc/os-release.
    fn new(dir: &Path, os_release: &str) -> Result<Self> {
        for inside in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(inside))?;
        }
        let status = dir.join("status");
        fs::write(&status, "")?;
        let mut options = vec![
            "APT::Architecture=arm64".to_owned(),
            "APT::Architectures=arm64".to_owned(),
            format!("Dir::State={}", dir.join("state").display()),
            format!("Dir::State::status={}", status.display()),
            format!("Dir::Cache={}", dir.join("cache").display()),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            // As another user, apt-get could not write into these directories.
            "APT::Sandbox::User=root".to_owned(),
        ];
        if let Some(sources) = ports(os_release) {
            let list = dir.join("sources.list");
            fs::write(&list, sources)?;
            options.push(format!("Dir::Etc::sourcelist={}", list.display()));
            options.push("Dir::Etc::sourceparts=/dev/null".to_owned());
        }
        Ok(Self { options, archives: dir.join("cache/archives") })
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(self.options.iter().map(|option| format!("-o={option}"))).args(arguments);
        run(command.current_dir(&self.archives).stdout(Stdio::null()))
    }

    /// Downloads packages, and returns their files.
    fn download(&self, set: &Set) -> Result<Vec<PathBuf>> {
        // Where nothing is installed, all that a package depends on would be.
        let how: &[&str] = if set.closure {
            &["install", "--yes", "--no-install-recommends", "--download-only"]
        } else {
            &["download"]
        };
        self.run(&[how, set.packages].concat())?;
        let files = self.archives.read_dir()?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
        let is_package = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "deb");
        Ok(files.into_iter().filter(is_package).collect())
    }
}

/// The list of sources for AArch64 on Ubuntu for x86-64; None where the host's own sources have AArch64, too.
fn ports(os_release: &str) -> Option<String> {
    let value = |name: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let codename = value("VERSION_CODENAME").filter(|_| value("ID").as_deref() == Some("ubuntu"))?;
    let trusted = "[signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg]";
    let line = |suite: String| format!("deb {trusted} {UBUNTU_PORTS} {suite} main universe\n");
    (!cfg!(target_arch = "aarch64")).then(|| line(codename.clone()) + &line(format!("{codename}-updates")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ubuntu_has_aarch64_on_other_servers() {
        assert_eq!(ports("ID=debian\nVERSION_CODENAME=bookworm\n"), None);
        assert_eq!(ports(""), None);
        if cfg!(not(target_arch = "aarch64")) {
            let sources = ports("NAME=\"Ubuntu\"\nID=ubuntu\nVERSION_CODENAME=noble\n").unwrap();
            assert!(sources.contains(" http://ports.ubuntu.com/ubuntu-ports noble main universe\n"));
            assert!(sources.contains(" noble-updates "));
        }
    }
}
