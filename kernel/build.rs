//! For the bare-metal target, builds the vDSO of `vdso/`: a program of its own, compiled and linked by the compiler and the linker that
//! make the kernel. `src/task/vdso.rs` includes the file.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The code for programs: at any address, and with unwind tables, which the kernel itself has not.
const CODE: [&str; 6] = [
    "panic=abort",
    "opt-level=3",
    "relocation-model=pic",
    "force-unwind-tables=yes",
    "codegen-units=1",
    "strip=debuginfo",
];

/// A shared object. musl finds symbols by the older hash table, glibc by either.
const LINK: [&str; 6] = [
    "-shared",
    "-soname=linux-vdso.so.1",
    "--hash-style=both",
    "--build-id=sha1",
    "-Bsymbolic",
    "-zmax-page-size=4096",
];

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    for source in ["vdso", "src/clock/data.rs"] {
        println!("cargo:rerun-if-changed={}", root.join(source).display());
    }
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let output = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("vdso.so");
        build(&root.join("vdso"), &output);
    }
}

fn build(sources: &Path, output: &Path) {
    let mut rustc = Command::new(env::var("RUSTC").expect("cargo sets it"));
    rustc.args(["--edition=2024", "--crate-name=vdso", "--crate-type=bin"]);
    rustc.args(["--target", &env::var("TARGET").expect("cargo sets it")]);
    rustc.args(CODE.map(|option| format!("-C{option}")));
    rustc.args(LINK.map(|option| format!("-Clink-arg={option}")));
    rustc.arg(format!("-Clink-arg=-T{}", sources.join("vdso.ld").display()));
    rustc.arg("-o").arg(output).arg(sources.join("vdso.rs"));
    match rustc.output() {
        Ok(done) if done.status.success() => {}
        Ok(done) => {
            let reason = String::from_utf8_lossy(&done.stderr);
            reason.lines().for_each(|line| println!("cargo::error={line}"));
        }
        Err(error) => println!("cargo::error=cannot start the compiler for the vDSO: {error}"),
    }
}
