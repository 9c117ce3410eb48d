//! Builds the kernel, the way plain `cargo build` in `image/` does.

use crate::paths::{TARGET, root, target_dir};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Cargo, started in `image/`, where cargo finds the configuration for the kernel's target.
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root().join("image"));
    // These variables would replace the flags that the image needs.
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUSTFLAGS", "RUSTC"]
    {
        cargo.env_remove(name);
    }
    cargo
}

/// Builds the kernel and returns its ELF.
///
/// # Errors
/// When cargo fails. Cargo has printed the reason.
pub fn kernel(release: bool) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--package", "stepwell-image", "--bin", "stepwell"]);
    if release {
        cargo.arg("--release");
    }
    let status =
        cargo.stdin(Stdio::null()).stdout(std::io::stderr()).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the kernel does not build");
    }
    let elf = target_dir().join(TARGET).join(if release { "release" } else { "debug" }).join("stepwell");
    if !elf.exists() {
        bail!("the build has not made {}", elf.display());
    }
    Ok(elf)
}
