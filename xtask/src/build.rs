//! Builds the kernel, the way plain `cargo build` in `image/` does.

use crate::paths::{TARGET, root, target_dir};
use anyhow::{Context, Result, bail};
use rules::policies::Policy;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Cargo, started in `image/`, where cargo finds the configuration for the kernel's target.
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root().join("image"));
    // These variables would replace the flags that the image needs.
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_RUSTFLAGS",
        "RUSTC",
        RULES,
    ] {
        cargo.env_remove(name);
    }
    cargo
}

/// The variable by which the kernel's build is told its policy (`kernel/src/policy.rs`).
const RULES: &str = "STEPWELL_RULES";

/// Where cargo puts a kernel that is built with this policy. Each policy has a folder of its own, so that the kernels of others need not be
/// built again.
fn target_dir_of(policy: &Policy) -> PathBuf {
    if policy.is_product() { target_dir() } else { target_dir().join("rules").join(policy.name) }
}

/// Where the ELF of a kernel with this policy is, once it is built.
pub fn place(release: bool, policy: &Policy) -> PathBuf {
    let profile = if release { "release" } else { "debug" };
    target_dir_of(policy).join(TARGET).join(profile).join("stepwell")
}

/// Builds the kernel with the rules of a policy, and returns its ELF.
///
/// # Errors
/// When cargo fails. Cargo has printed the reason.
pub fn kernel(release: bool, policy: &Policy) -> Result<PathBuf> {
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--package", "stepwell-image", "--bin", "stepwell"]);
    if release {
        cargo.arg("--release");
    }
    if !policy.is_product() {
        cargo.env(RULES, policy.name).env("CARGO_TARGET_DIR", target_dir_of(policy));
    }
    let status =
        cargo.stdin(Stdio::null()).stdout(std::io::stderr()).status().context("cannot start cargo")?;
    if !status.success() {
        bail!("the kernel does not build");
    }
    let elf = place(release, policy);
    if !elf.exists() {
        bail!("the build has not made {}", elf.display());
    }
    Ok(elf)
}
