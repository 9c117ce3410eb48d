//! The initial ramdisk of the main job, with the program of its user half: `tests/demo/debugs_itself.c`.

use super::{Linking, provide};
use crate::paths::{root, target_dir};
use crate::ramdisk::{self, Contents};
use crate::setup::{self, decide::Need};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

/// The program's name. The kernel's harness knows the name, too.
const NAME: &str = "debugs_itself";

/// Where the ramdisk is once it is made.
pub fn place() -> PathBuf {
    target_dir().join("user/demo.cpio")
}

/// Makes the ramdisk. Returns its path.
///
/// # Errors
/// When the host has no compiler for AArch64 and may not install one, or when the program does not compile.
pub fn ramdisk() -> Result<PathBuf> {
    // Boots of several documents at once would compile into the same file.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    setup::prepare(Need { cross: true, ..Need::default() })?;
    let source = root().join("tests/demo").join(NAME).with_extension("c");
    let output = target_dir().join("user/demo");
    let path = output.join(NAME);
    let mut command = Linking::GlibcStatic.compiler(&output)?;
    command.arg("-o").arg(&path).arg(&source);
    provide(&mut command, &path, &fs::read(&source)?)
        .with_context(|| format!("{} does not compile", source.display()))?;
    let packed = ramdisk::pack(&Contents { exec: Some(path), ..Contents::default() })?;
    packed.move_to(&place())?;
    Ok(place())
}
