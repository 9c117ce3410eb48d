//! Unpacks Debian's packages for AArch64 under `target/arm64`, whatever the host's architecture is: musl, and a static busybox.
//! They are not installed, and the architectures that the host's dpkg knows stay as they are. apt is given lists of packages, a
//! cache and a status of its own, in which no package is installed and the only architecture is arm64.

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

/// What is unpacked.
pub const PACKAGES: [&str; 3] = ["musl", "musl-dev", "busybox-static"];
/// Ubuntu keeps AArch64 on servers that an x86-64 host's list of sources does not name.
const UBUNTU_PORTS: &str = "http://ports.ubuntu.com/ubuntu-ports";

fn place() -> PathBuf {
    root().join("target/arm64")
}

/// The root directory of the unpacked files.
pub fn files() -> PathBuf {
    place().join("files")
}

/// Whether all packages are unpacked.
pub fn is_unpacked() -> bool {
    fs::read_to_string(place().join("packages")).is_ok_and(|names| names == PACKAGES.join("\n"))
}

/// The static busybox.
pub fn busybox() -> PathBuf {
    files().join("bin/busybox")
}

/// Downloads and unpacks the packages.
///
/// # Errors
/// `Unprepared` where there is no apt-get; otherwise the step that has failed.
pub fn provide(how: Install) -> Result<()> {
    let names = PACKAGES.join(" ");
    if how == Install::NoManager {
        return Err(Unprepared {
            missing: format!(
                "missing here: {names} for arm64 (Debian's names), and there is no apt-get to fetch them"
            ),
            command: format!(
                "for each of their .deb files: dpkg-deb -x FILE {}\nprintf '{}' > {}",
                files().display(),
                PACKAGES.join("\\n"),
                place().join("packages").display()
            ),
        }
        .into());
    }
    say!("unpacking {names} for arm64 under target/arm64 (nothing is installed)");
    let fresh = place().with_extension("new");
    let _ = fs::remove_dir_all(&fresh);
    let apt =
        PrivateApt::new(&fresh.join("apt"), &fs::read_to_string("/etc/os-release").unwrap_or_default())?;
    apt.run(&["update"], &fresh)?;
    apt.run(&[&["download"], &PACKAGES[..]].concat(), &fresh)?;
    let unpacked = fresh.join("files");
    fs::create_dir_all(&unpacked)?;
    for archive in fresh.read_dir()? {
        let archive = archive?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
            fs::remove_file(archive)?;
        }
    }
    // Newer packages have everything below /usr, and rely on the links of the root directory.
    for dir in ["bin", "lib"] {
        if !unpacked.join(dir).exists() {
            symlink(format!("usr/{dir}"), unpacked.join(dir))?;
        }
    }
    fs::remove_dir_all(fresh.join("apt"))?;
    fs::write(fresh.join("packages"), PACKAGES.join("\n"))?;
    let _ = fs::remove_dir_all(place());
    fs::rename(&fresh, place()).context("cannot put target/arm64 in place")
}

/// apt-get with a state of its own.
struct PrivateApt {
    options: Vec<String>,
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
        Ok(Self { options })
    }

    fn run(&self, arguments: &[&str], dir: &Path) -> Result<()> {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(self.options.iter().map(|option| format!("-o={option}"))).args(arguments);
        run(command.current_dir(dir).stdout(Stdio::null()))
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
