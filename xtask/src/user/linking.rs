//! The ways in which programs are linked.

use super::compiler;
use crate::setup::arm64;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A C library, and how a program is linked with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linking {
    /// glibc, static, at a fixed address.
    GlibcStatic,
    /// glibc, static, at any address.
    GlibcStaticPie,
    /// glibc, dynamic, at any address.
    GlibcDynamic,
    /// musl, static, at a fixed address.
    MuslStatic,
    /// musl, dynamic, at any address.
    MuslDynamic,
}

impl Linking {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::GlibcStatic, Self::GlibcStaticPie, Self::GlibcDynamic, Self::MuslStatic, Self::MuslDynamic];

    /// The name, which is also that of the directory below `target/user`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GlibcStatic => "glibc-static",
            Self::GlibcStaticPie => "glibc-static-pie",
            Self::GlibcDynamic => "glibc-dynamic",
            Self::MuslStatic => "musl-static",
            Self::MuslDynamic => "musl-dynamic",
        }
    }

    /// The compiler with the flags of this linking. `dir` is the directory that the program goes to; it is made.
    ///
    /// # Errors
    /// When musl's specification for the compiler cannot be read or written.
    pub(super) fn compiler(self, dir: &Path) -> Result<Command> {
        fs::create_dir_all(dir)?;
        let mut command = compiler();
        match self {
            Self::GlibcStatic => _ = command.args(["-static", "-no-pie", "-fno-pie"]),
            Self::GlibcStaticPie => _ = command.args(["-static-pie", "-fPIE"]),
            Self::GlibcDynamic => _ = command.args(["-pie", "-fPIE"]),
            Self::MuslStatic | Self::MuslDynamic => {
                let specs = dir.join("musl-gcc.specs");
                let text = musl_specs()?;
                if fs::read_to_string(&specs).ok().as_ref() != Some(&text) {
                    fs::write(&specs, text)?;
                }
                command.arg(format!("-specs={}", specs.display()));
                if self == Self::MuslStatic {
                    command.args(["-static", "-no-pie", "-fno-pie"]);
                } else {
                    command.args(["-pie", "-fPIE"]);
                }
            }
        }
        Ok(command)
    }
}

/// Debian's specification for compiling with musl, for the unpacked musl.
fn musl_specs() -> Result<String> {
    let files = arm64::PROGRAMS.files();
    let specs = files.join("usr/lib/aarch64-linux-musl/musl-gcc.specs");
    let text = fs::read_to_string(&specs).with_context(|| format!("cannot read {}", specs.display()))?;
    Ok(moved(&text, &files.to_string_lossy()))
}

/// A specification that names the places of an installed musl, with the places below `files` instead. The path of the dynamic
/// linker, which is one of the ramdisk, stays.
pub(super) fn moved(specs: &str, files: &str) -> String {
    ["/usr/include/aarch64-linux-musl", "/usr/lib/aarch64-linux-musl"]
        .iter()
        .fold(specs.to_owned(), |specs, dir| specs.replace(dir, &format!("{files}{dir}")))
}
