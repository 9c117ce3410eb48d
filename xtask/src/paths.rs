//! Where things are in this repository.

use std::path::{Path, PathBuf};

/// The kernel's target.
pub const TARGET: &str = "aarch64-unknown-none-softfloat";

/// The repository's root.
pub fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.ends_with("xtask"))
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    xtask.parent().map(Path::to_path_buf).unwrap_or(xtask)
}

/// Cargo's output directory, as cargo itself chooses it.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Where set-up puts the sysroot that it builds; `kernel/.cargo/rustc` looks there.
pub fn sysroot() -> PathBuf {
    root().join("target/sysroot")
}
