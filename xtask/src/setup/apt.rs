//! Installs packages, or says how.

use super::Unprepared;
use super::decide::Install;
use crate::process::{output, run};
use crate::say::say;
use anyhow::Result;
use std::process::{Command, Stdio};

/// The command that a user types to install these packages.
pub fn command_line(packages: &[String]) -> String {
    format!("apt-get update && apt-get install --no-install-recommends {}", packages.join(" "))
}

/// Installs packages where that is allowed.
///
/// # Errors
/// `Unprepared`, with the command to type, where it is not allowed; otherwise what apt-get failed with.
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
    if !packages.iter().all(|package| has_candidate(package)) {
        update(how)?;
    }
    say!("installing {list} (apt-get)");
    if apt(how, &install_arguments(packages)).is_err() {
        // Stale lists name files that the archive no longer has.
        update(how)?;
        apt(how, &install_arguments(packages))?;
    }
    Ok(())
}

/// Fetches the lists of packages.
///
/// # Errors
/// When apt-get fails.
pub fn update(how: Install) -> Result<()> {
    say!("fetching the lists of packages (apt-get update)");
    apt(how, &["update".into()])
}

fn install_arguments(packages: &[String]) -> Vec<String> {
    // Nothing of the user's is removed to make room.
    let fixed = ["install", "-y", "--no-install-recommends", "--no-remove"];
    fixed.iter().map(ToString::to_string).chain(packages.iter().cloned()).collect()
}

fn apt(how: Install, arguments: &[String]) -> Result<()> {
    let mut command = Command::new(if how == Install::Sudo { "sudo" } else { "env" });
    if how == Install::Sudo {
        command.args(["-n", "env"]);
    }
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]).args(arguments);
    // Every package's unpacking is no news; what goes wrong comes on standard error.
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
