//! Installs Debian packages with apt, or says which command installs them.

use super::Unprepared;
use super::decide::Install;
use crate::process::{output, run};
use crate::say::say;
use anyhow::Result;
use std::path::Path;
use std::process::{Command, Stdio};

/// The command that a user types to install these packages.
pub fn command_line(packages: &[String]) -> String {
    format!("apt-get update && apt-get install --no-install-recommends {}", packages.join(" "))
}

/// Installs packages, if that is allowed here.
///
/// # Errors
/// `Unprepared` with the command to type, if it is not allowed; otherwise the failure of apt-get.
pub fn install(how: Install, packages: &[String]) -> Result<()> {
    let list = packages.join(" ");
    match how {
        Install::Root | Install::Sudo => {}
        Install::NoRight => {
            return Err(Unprepared {
                missing: format!("missing here: {list}; this user may not install packages"),
                command: format!("sudo sh -c '{}'", command_line(packages)),
            }
            .into());
        }
        Install::NoManager => {
            return Err(Unprepared {
                missing: format!(
                    "missing here: {list} (Debian's names), and there is no apt-get to install them"
                ),
                command: format!(
                    "{}   # on Debian or Ubuntu; elsewhere the same by other names",
                    command_line(packages)
                ),
            }
            .into());
        }
    }
    say!("installing {list} (apt-get)");
    if apt(how, &install_arguments(packages)).is_err() {
        // If the lists are old, they may name files that the archive no longer has.
        update(how)?;
        apt(how, &install_arguments(packages))?;
    }
    Ok(())
}

/// Updates the lists of packages.
///
/// # Errors
/// When apt-get fails.
pub fn update(how: Install) -> Result<()> {
    say!("fetching the lists of packages (apt-get update)");
    apt(how, &["update".into()])
}

/// Updates the lists of packages if one of these packages is not in them.
///
/// # Errors
/// When [`update`] fails.
pub fn update_for(how: Install, packages: &[String]) -> Result<()> {
    let allowed = matches!(how, Install::Root | Install::Sudo);
    if allowed && !packages.iter().all(|package| has_candidate(package)) { update(how) } else { Ok(()) }
}

/// What the installation of a package would change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Simulated {
    /// Packages that would be installed, as `name=version`.
    pub new: Vec<String>,
    /// Packages that would be removed.
    pub removed: Vec<String>,
}

/// Asks apt what the installation of a package would change; None if the package cannot be installed.
pub fn simulated(package: &str) -> Option<Simulated> {
    let mut command = Command::new("apt-get");
    command.env("LC_ALL", "C").args(["-s", "install", "--no-install-recommends", package]);
    Some(read_simulated(&output(&mut command)?))
}

fn read_simulated(text: &str) -> Simulated {
    let mut simulated = Simulated::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("Inst"), Some(name)) => {
                // `Inst NAME (VERSION ARCHIVE)`; if another version is installed, `[VERSION]` of that one comes before the
                // parenthesis.
                let version = words.find_map(|word| word.strip_prefix('('));
                simulated.new.extend(version.map(|version| format!("{name}={version}")));
            }
            (Some("Remv"), Some(name)) => simulated.removed.push(name.to_owned()),
            _ => {}
        }
    }
    simulated
}

/// Downloads packages (each as `name=version`) into a directory, and installs nothing.
///
/// # Errors
/// When apt-get fails.
pub fn download(packages: &[String], into: &Path) -> Result<()> {
    let mut command = Command::new("apt-get");
    // apt-get downloads as an unprivileged user, which could not write there.
    command.args(["-qq", "-o=APT::Sandbox::User=root", "download"]).args(packages);
    run(command.current_dir(into).stdout(Stdio::null()))
}

fn install_arguments(packages: &[String]) -> Vec<String> {
    // Never install what would remove another package of the user's.
    let fixed = ["install", "-y", "--no-install-recommends", "--no-remove"];
    fixed.iter().map(ToString::to_string).chain(packages.iter().cloned()).collect()
}

fn apt(how: Install, arguments: &[String]) -> Result<()> {
    let mut command = Command::new(if how == Install::Sudo { "sudo" } else { "env" });
    if how == Install::Sudo {
        command.args(["-n", "env"]);
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]).args(arguments);
    // The lines about each package are not shown. Errors come on the standard error.
    command.stdout(Stdio::null());
    run(&mut command)
}

fn has_candidate(package: &str) -> bool {
    let policy = output(Command::new("apt-cache").env("LC_ALL", "C").args(["policy", package]));
    policy.is_some_and(|text| {
        text.lines().any(|line| {
            line.trim().strip_prefix("Candidate:").is_some_and(|version| version.trim() != "(none)")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{Simulated, read_simulated};

    #[test]
    fn a_simulation_tells_what_comes_and_what_goes() {
        let text = "Reading package lists...\nRemv qemu-utils [1:10.0]\nInst libfdt1 (1.6.1-4+b1 Debian:12 [amd64])\n\
                    Inst libc6 [2.36-1] (2.36-9 Debian:12 [amd64]) []\nConf libfdt1 (1.6.1-4+b1 Debian:12 [amd64])\n";
        assert_eq!(
            read_simulated(text),
            Simulated {
                new: vec!["libfdt1=1.6.1-4+b1".into(), "libc6=2.36-9".into()],
                removed: vec!["qemu-utils".into()],
            }
        );
        assert_eq!(read_simulated(""), Simulated::default());
    }
}
