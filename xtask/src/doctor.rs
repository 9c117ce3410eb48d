//! `doctor`: prints what the set-up has found and what it would do, and changes nothing.

use crate::paths::{TARGET, sysroot};
use crate::setup::decide::{Downloads, Facts, Install, Need, OLDEST_QEMU, Route, decide};
use crate::setup::{apt, arm64, compiler, facts};
use anyhow::Result;

/// Prints the findings. Returns whether `run` and `qemu-test` can start, perhaps after they installed something.
///
/// # Errors
/// None at present. The signature is that of the other commands.
pub fn doctor() -> Result<bool> {
    // A browser is needed by `timeline --check` only, so it is not missed here.
    let need =
        Need { qemu: true, gdb: true, clippy: true, cross: true, user: true, tracers: true, browser: false };
    let mut facts = facts::look();
    facts::complete(&mut facts);
    print_toolchain(&facts);
    print_programs(&facts);
    let plan = decide(&facts, need);
    println!("chosen");
    let unlisted = plan.route == Route::None && may_install(&facts);
    let way =
        if unlisted { "the distribution's packages, if its lists have them" } else { describe(&plan.route) };
    row("way to compile", way);
    if let Some(rustc) = compiler(&plan.route) {
        let state = if sysroot().join("stamp").exists() { "built" } else { "built on first use" };
        row("sysroot", &format!("{} with {} ({state})", sysroot().display(), rustc.display()));
    }
    let ready = may_install(&facts) || (plan.packages.is_empty() && plan.route != Route::None);
    if plan.packages.is_empty() {
        row("to install", "nothing");
    } else {
        let by = match facts.install {
            Install::Root | Install::Sudo => "the command that needs it does it",
            Install::NoRight | Install::NoManager => "not possible from here, type",
        };
        row(
            "to install",
            &format!("{}: {by}: {}", plan.packages.join(" "), apt::command_line(&plan.packages)),
        );
    }
    for set in &plan.unpack {
        let by = if facts.install == Install::NoManager {
            "not possible without apt-get"
        } else {
            "the command that needs them does it"
        };
        row("to unpack for AArch64", &format!("{}: {by}", set.packages.join(" ")));
    }
    Ok(ready)
}

fn print_toolchain(facts: &Facts) {
    println!("toolchain");
    match facts::active() {
        Some(active) => row("active", &format!("{}, {}", active.version, active.sysroot.display())),
        None => row("active", "no rustc in PATH"),
    }
    row(&format!("core for {TARGET}"), yes(facts.target));
    let rustup = match &facts.rustup {
        None => "none, or it does not manage the active toolchain".to_owned(),
        Some(Downloads::Allowed) => "may download".to_owned(),
        Some(Downloads::Off(why)) => format!("may not download: {why}"),
    };
    row("toolchain manager", &rustup);
    row("library source", yes(facts.rust_src));
    let distro = match &facts.distro {
        None => "none that is recent enough".to_owned(),
        Some(distro) => {
            let source = if distro.source { "with" } else { "without" };
            let clippy = if facts.distro_clippy { "with" } else { "without" };
            format!("{}, {source} its library's source, {clippy} clippy", distro.rustc.display())
        }
    };
    row("distribution's compiler", &distro);
    let offer = match &facts.offer {
        Some(offer) => format!("{}, {}, {}", offer.rustc, offer.source, offer.clippy),
        None if may_install(facts) => "not known: set-up fetches the lists of packages first".to_owned(),
        None => "nothing that is recent enough".to_owned(),
    };
    row("distribution offers", &offer);
    row("linker", &facts::linker().map_or("none".to_owned(), |path| path.display().to_string()));
}

fn print_programs(facts: &Facts) {
    println!("programs");
    let qemu = match facts.qemu {
        None => "none".to_owned(),
        Some((major, minor)) if (major, minor) < OLDEST_QEMU => format!("{major}.{minor}: too old"),
        Some((major, minor)) => format!("{major}.{minor}, {}", crate::qemu::program().display()),
    };
    row("qemu-system-aarch64", &qemu);
    row("gdb", &facts::gdb().map_or("none".to_owned(), |path| path.display().to_string()));
    let cross = facts::cross_compiler();
    row("C compiler for AArch64", &cross.map_or("none".to_owned(), |path| path.display().to_string()));
    let unpacked = |unpacked: bool, set: &arm64::Set| {
        if unpacked { set.files().display().to_string() } else { "not unpacked".to_owned() }
    };
    row("musl and busybox for AArch64", &unpacked(facts.arm64, &arm64::PROGRAMS));
    row("browser", yes(facts.browser));
    row("tracers for AArch64", &unpacked(facts.tracers, &arm64::TRACERS));
    let install = match facts.install {
        Install::Root => "apt-get, as root",
        Install::Sudo => "apt-get, by sudo",
        Install::NoRight => "apt-get, but no right to use it",
        Install::NoManager => "no package manager that is known here",
    };
    row("packages", install);
}

fn may_install(facts: &Facts) -> bool {
    matches!(facts.install, Install::Root | Install::Sudo)
}

fn describe(route: &Route) -> &'static str {
    match route {
        Route::Target => "the active toolchain has the target",
        Route::Fetch => "the toolchain manager fetches the target",
        Route::Source => "core is built from the active toolchain's source",
        Route::Distro(_) => "core is built with the distribution's compiler and source package",
        Route::InstallDistro => "the distribution's compiler and source package, to be installed",
        Route::None => "none: no target, no source, no recent compiler",
    }
}

fn yes(fact: bool) -> &'static str {
    if fact { "yes" } else { "no" }
}

fn row(name: &str, value: &str) {
    println!("  {name:<36} {value}");
}
