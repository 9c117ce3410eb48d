//! The set-up: makes the host able to build and boot the kernel, or says what the user has to install.

pub mod apt;
pub mod arm64;
pub mod decide;
pub mod facts;
pub mod sysroot;
pub mod unpacked;

use crate::paths::{TARGET, root};
use crate::process::run;
use crate::say::say;
use anyhow::{Result, bail};
use decide::{Downloads, Facts, Need, Plan, Route, decide};
use std::path::PathBuf;
use std::process::Command;

/// The host lacks something that this tool may not install. The command ends with status 2.
#[derive(Debug)]
pub struct Unprepared {
    /// What is missing, and why it was not installed.
    pub missing: String,
    /// The commands that the user can type.
    pub command: String,
}

impl std::fmt::Display for Unprepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\ninstall it with:\n    {}", self.missing, self.command)
    }
}

impl std::error::Error for Unprepared {}

/// Installs and builds what is missing of `need`.
///
/// # Errors
/// `Unprepared` if the tool may not install what is missing; otherwise the step that has failed.
pub fn prepare(need: Need) -> Result<Route> {
    let mut facts = facts::look();
    let mut plan = decide_with_offer(&mut facts, need)?;
    if plan.route == Route::Fetch {
        match fetch() {
            Ok(()) => facts.target = true,
            Err(error) => {
                say!("{error:#}; looking for another way");
                facts.rustup = Some(Downloads::Off("`rustup target add` failed".into()));
            }
        }
        plan = decide_with_offer(&mut facts, need)?;
    }
    if plan.route == Route::None {
        return Err(no_compiler(&facts, &plan.packages).into());
    }
    if !plan.packages.is_empty() {
        provide(facts.install, &plan.packages)?;
        facts = facts::look();
        let left = decide(&facts, need);
        if let Some(package) = left.packages.first() {
            bail!("{package} was installed but is still not usable: see `cargo xtask doctor`");
        }
        plan = left;
    }
    for set in &plan.unpack {
        set.provide(facts.install)?;
    }
    match compiler(&plan.route) {
        Some(rustc) => sysroot::provide(&rustc)?,
        None if plan.route == Route::Target => sysroot::remove()?,
        None => bail!("no compiler after set-up: see `cargo xtask doctor`"),
    }
    Ok(plan.route)
}

/// Installs packages. QEMU's packages are unpacked instead if their installation would remove other packages.
fn provide(how: decide::Install, packages: &[String]) -> Result<()> {
    apt::update_for(how, packages)?;
    let mut others = packages.to_vec();
    if packages.iter().any(|package| package == decide::QEMU_PACKAGE)
        && let Some(simulated) = apt::simulated(decide::QEMU_PACKAGE)
        && !simulated.removed.is_empty()
    {
        if unpacked::provide(decide::QEMU_PACKAGE, &simulated.removed).is_err() {
            // The lists may be old, as in `apt::install`.
            apt::update(how)?;
            unpacked::provide(decide::QEMU_PACKAGE, &simulated.removed)?;
        }
        others.retain(|package| package != decide::QEMU_PACKAGE);
    }
    if others.is_empty() { Ok(()) } else { apt::install(how, &others) }
}

/// The compiler with which a route builds `core`; None if `core` is there already.
pub fn compiler(route: &Route) -> Option<PathBuf> {
    match route {
        // The compiler's own path, not that of the toolchain manager's proxy: the sysroot is for this compiler only.
        Route::Source => Some(facts::active()?.sysroot.join("bin/rustc")),
        Route::Distro(rustc) => Some(rustc.clone()),
        Route::Target | Route::Fetch | Route::InstallDistro | Route::None => None,
    }
}

/// Decides what the set-up does. Asks the package manager only if its answer matters.
fn decide_with_offer(facts: &mut Facts, need: Need) -> Result<Plan> {
    let plan = decide(facts, need);
    let distro = matches!(plan.route, Route::Distro(_));
    if plan.route != Route::None && !(distro && need.clippy && !facts.distro_clippy) {
        return Ok(plan);
    }
    facts::complete(facts);
    if facts.offer.is_none() && matches!(facts.install, decide::Install::Root | decide::Install::Sudo) {
        // A fresh host has no lists of packages yet.
        apt::update(facts.install)?;
        facts::complete(facts);
    }
    Ok(decide(facts, need))
}

fn fetch() -> Result<()> {
    say!("fetching {TARGET} with rustup");
    run(Command::new("rustup").current_dir(root()).args(["target", "add", TARGET]).stdout(std::io::stderr()))
}

/// The commands to type where there is no way to compile: with apt as root, or with the toolchain manager.
fn no_compiler(facts: &Facts, others: &[String]) -> Unprepared {
    let version = decide::OLDEST_RUSTC;
    let downloads = match &facts.rustup {
        Some(Downloads::Off(why)) => format!(" (rustup may not fetch it: {why})"),
        _ => String::new(),
    };
    let missing = format!(
        "the active Rust toolchain has no core for {TARGET}{downloads} and no library source, and no package known here \
         offers rustc {}.{} or newer with its source",
        version.0, version.1
    );
    let fetch = format!("rustup target add {TARGET}");
    let command = match facts.install {
        decide::Install::NoRight => {
            let debian = ["rustc-web", "rust-web-src"].map(String::from);
            let packages: Vec<_> = debian.into_iter().chain(others.iter().cloned()).collect();
            format!("sudo sh -c '{}'", apt::command_line(&packages))
        }
        _ if others.is_empty() => fetch,
        _ => format!("{fetch}\nand, by Debian's names, the packages {}", others.join(" ")),
    };
    Unprepared { missing, command }
}
