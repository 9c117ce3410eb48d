//! `lint`: checks formatting, circles between modules, the libraries' packages, clippy for the host and for the kernel's target,
//! and documentation. Warnings are errors.

mod alone;
mod circles;
mod modules;

use crate::build;
use crate::paths::{root, sysroot};
use crate::process::run;
use crate::say::say;
use crate::setup::decide::Route;
use crate::setup::{self, decide::Need, facts};
use anyhow::{Context, Result};
use std::process::Command;

/// Runs all lints.
///
/// # Errors
/// With the first check that fails.
pub fn lint() -> Result<()> {
    let route = setup::prepare(Need { clippy: true, ..Need::default() })?;
    say!("formatting");
    run(Command::new("cargo").current_dir(root()).args(["fmt", "--all", "--check"]))?;
    say!("who knows whom");
    circles::check(&root())?;
    say!("the crates that stand alone: compilers they declare, packages");
    alone::versions(&root())?;
    alone::packages(&root())?;
    say!("clippy for the host");
    let mut host = Command::new("cargo");
    run(host.current_dir(root()).args(["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"]))?;
    say!("documentation of the crates that stand alone");
    // Twice: a link from a public item to a private one is an error without the private items, and a link that a private module of
    // the same name makes ambiguous is an error with them.
    for private in [None, Some("--document-private-items")] {
        let mut doc = Command::new("cargo");
        doc.current_dir(root()).args(["doc", "--quiet", "--no-deps"]).args(private);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    say!("clippy for the target");
    let mut target = build::cargo();
    // clippy also checks the workspace's crates that the kernel depends on.
    let packages = ["kernel", "harness", "tests", "image"].map(|name| format!("--package=stepwell-{name}"));
    match &route {
        Route::Distro(rustc) => {
            // The driver must belong to the compiler that has built the sysroot. `cargo clippy` would take the pinned toolchain's.
            let driver = facts::clippy_of(rustc).context("the distribution's clippy is missing")?;
            target.args(["check", "--quiet", "--all-targets"]).args(&packages);
            target.env("RUSTC_WORKSPACE_WRAPPER", driver).env("SYSROOT", sysroot());
            target.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
        }
        _ => {
            target
                .args(["clippy", "--quiet", "--all-targets"])
                .args(&packages)
                .args(["--", "-D", "warnings"]);
            // Without this the driver looks for `core` in its own toolchain, not in the sysroot of the wrapped compiler.
            let own = facts::active().map(|active| active.sysroot);
            target.env("SYSROOT", if route == Route::Source { sysroot() } else { own.unwrap_or_default() });
        }
    }
    run(&mut target)?;
    Ok(())
}
