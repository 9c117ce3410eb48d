//! The sysroot for compilers whose own sysroot has no `core` for the target: built once, under `target/sysroot`.
//!
//! From then on `kernel/.cargo/rustc` uses the sysroot. So plain `cargo build` in `image/`, rust-analyzer and this tool all compile
//! in the same way, and a rebuild does not build the library again.

use super::facts;
use crate::paths::{TARGET, sysroot, target_dir};
use crate::process::{output, run};
use crate::say::say;
use anyhow::{Context, Result, anyhow};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of the sysroot's layout and flags. A change of either needs a new number.
const FORMAT: u32 = 1;

/// Removes the sysroot, because the active toolchain has the target itself.
///
/// # Errors
/// When files cannot be removed.
pub fn remove() -> Result<()> {
    if sysroot().exists() {
        forget_old_builds()?;
        fs::remove_dir_all(sysroot()).context("cannot remove target/sysroot")?;
    }
    Ok(())
}

/// Builds the sysroot with `rustc`, unless it was built by the same compiler before.
///
/// # Errors
/// When the compiler cannot build its library or the files cannot be written.
pub fn provide(rustc: &Path) -> Result<()> {
    let stamp = stamp(rustc)?;
    if fs::read_to_string(sysroot().join("stamp")).is_ok_and(|old| old == stamp) {
        return Ok(());
    }
    say!("building core and alloc for {TARGET} with {} (once, about half a minute)", rustc.display());
    let fresh = sysroot().with_extension("new");
    let _ = fs::remove_dir_all(&fresh);
    let built = compile(rustc)?;
    assemble(rustc, &built, &fresh)?;
    fs::write(fresh.join("stamp"), stamp)?;
    remove()?;
    forget_old_builds()?;
    fs::rename(&fresh, sysroot()).context("cannot put target/sysroot in place")?;
    // Only the library's rlibs are needed; the empty crate is not.
    let _ = fs::remove_dir_all(scratch());
    Ok(())
}

/// A text that changes with everything that the sysroot depends on: compiler, library source, linker.
fn stamp(rustc: &Path) -> Result<String> {
    let version =
        output(Command::new(rustc).arg("-vV")).with_context(|| format!("cannot run {}", rustc.display()))?;
    let linker = facts::linker().context("no linker")?;
    Ok(format!("format {FORMAT}\n{}\n{}\n{version}", rustc.display(), linker.display()))
}

fn scratch() -> PathBuf {
    sysroot().with_extension("build")
}

/// Compiles an empty crate with the library's source, and returns the directory with the library's rlibs.
fn compile(rustc: &Path) -> Result<PathBuf> {
    let scratch = scratch();
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(scratch.join("src")).context("cannot write under target/")?;
    let manifest = "[package]\nname = \"sysroot\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n\
        [profile.release]\npanic = \"abort\"\ndebug = \"line-tables-only\"\n";
    fs::write(scratch.join("Cargo.toml"), manifest)?;
    fs::write(scratch.join("src/lib.rs"), "#![no_std]\n")?;
    // Bitcode, so that the kernel's release build can optimise across the library as with the official one.
    let flags = ["-Cforce-frame-pointers=yes", "-Crelocation-model=static", "-Cembed-bitcode=yes"];
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&scratch).args(["build", "--quiet", "--release", "--target", TARGET]);
    cargo.args(["-Zbuild-std=core,alloc,compiler_builtins", "-Zbuild-std-features=compiler-builtins-mem"]);
    // RUSTC_BOOTSTRAP is set only here: the kernel itself is built as stable code.
    cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
    cargo.env("CARGO_TARGET_DIR", scratch.join("out")).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    for name in ["RUSTFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(name);
    }
    run(cargo.stdout(std::io::stderr())).context("the library cannot be built from its source")?;
    Ok(scratch.join("out").join(TARGET).join("release/deps"))
}

/// Lays the sysroot out as rustc expects it.
fn assemble(rustc: &Path, built: &Path, fresh: &Path) -> Result<()> {
    let own = facts::sysroot_of(rustc).ok_or_else(|| anyhow!("{} names no sysroot", rustc.display()))?;
    let host = facts::host_of(rustc).ok_or_else(|| anyhow!("{} names no host", rustc.display()))?;
    let libraries = fresh.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&libraries)?;
    for file in built.read_dir().context("the library's build left nothing")? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        let wanted = ["libcore-", "liballoc-", "libcompiler_builtins-"];
        if name.ends_with(".rlib") && wanted.iter().any(|start| name.starts_with(start)) {
            fs::copy(file.path(), libraries.join(name))?;
        }
    }
    // Build scripts are compiled with the same compiler, for the host.
    let hosts = fresh.join("lib/rustlib").join(&host);
    fs::create_dir_all(hosts.join("bin"))?;
    symlink(own.join("lib/rustlib").join(&host).join("lib"), hosts.join("lib"))?;
    symlink(facts::linker().context("no linker")?, hosts.join("bin/rust-lld"))?;
    // rust-analyzer looks for the library's source in the sysroot.
    let source = own.join("lib/rustlib/src");
    if source.exists() {
        symlink(source, fresh.join("lib/rustlib/src"))?;
    }
    symlink(rustc, fresh.join("compiler"))?;
    Ok(())
}

/// Removes what was built with the old library, because cargo does not notice a change of the library. The compiler's cached
/// version goes too: cargo looks it up by the wrapper's date, which has not changed.
fn forget_old_builds() -> Result<()> {
    let old = target_dir();
    let _ = fs::remove_file(old.join(".rustc_info.json"));
    match fs::remove_dir_all(old.join(TARGET)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("cannot remove what was built with another library")
        }
        _ => Ok(()),
    }
}
