//! Unpacks QEMU's packages under `target/qemu`, and changes nothing else on the host. This is done where an installation would
//! remove another package, such as a `qemu-utils` from a backport that is newer than the archive's QEMU.

use super::apt;
use crate::paths::root;
use crate::process::run;
use crate::say::say;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn place() -> PathBuf {
    root().join("target/qemu")
}

/// The path of the script that runs the unpacked QEMU. The script may not be there.
pub fn program() -> PathBuf {
    place().join("qemu-system-aarch64")
}

/// Unpacks a package of QEMU's, and all packages that it depends on and that are not installed.
///
/// # Errors
/// When the packages cannot be fetched or unpacked.
pub fn provide(package: &str, removed: &[String]) -> Result<()> {
    let removed = removed.join(" ");
    say!("unpacking {package} under target/qemu (to install it would remove {removed})");
    let fresh = place().with_extension("new");
    let _ = fs::remove_dir_all(&fresh);
    let files = fresh.join("files");
    fs::create_dir_all(&files)?;
    let versions = apt::simulated(package).with_context(|| format!("{package} cannot be installed"))?.new;
    apt::download(&versions, &fresh)?;
    for archive in fresh.read_dir()? {
        let archive = archive?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&files))?;
            fs::remove_file(archive)?;
        }
    }
    let script = fresh.join("qemu-system-aarch64");
    fs::write(&script, wrapper(&libraries(&files)?))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let _ = fs::remove_dir_all(place());
    fs::rename(&fresh, place()).context("cannot put target/qemu in place")
}

/// The directories with libraries, as paths below `files`: in `lib` and in `usr/lib` the directories of the architecture.
fn libraries(files: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for lib in ["lib", "usr/lib"] {
        let Ok(inside) = files.join(lib).read_dir() else { continue };
        for dir in inside {
            let dir = dir?.file_name().to_string_lossy().into_owned();
            if dir.contains("-linux-") {
                found.push(format!("{lib}/{dir}"));
            }
        }
    }
    ensure!(!found.is_empty(), "the packages of QEMU have no libraries where Debian keeps them");
    Ok(found)
}

/// A script that runs the program with its own libraries, wherever the directory is moved.
fn wrapper(libraries: &[String]) -> String {
    let paths: Vec<_> = libraries.iter().map(|path| format!("$files/{path}")).collect();
    format!(
        "#!/bin/sh\nfiles=$(dirname \"$(readlink -f \"$0\")\")/files\n\
         LD_LIBRARY_PATH=\"{}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\" exec \"$files/usr/bin/qemu-system-aarch64\" \"$@\"\n",
        paths.join(":")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::output;

    #[test]
    fn the_wrapper_passes_arguments_and_libraries_on() {
        let dir = std::env::temp_dir().join(format!("stepwell unpacked {}", std::process::id()));
        let bin = dir.join("files/usr/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(dir.join("files/lib/a-linux-b")).unwrap();
        let libraries = libraries(&dir.join("files")).unwrap();
        assert_eq!(libraries, ["lib/a-linux-b"]);
        for (path, text) in [
            (dir.join("run"), wrapper(&libraries)),
            (
                bin.join("qemu-system-aarch64"),
                "#!/bin/sh\nprintf '%s|' \"$LD_LIBRARY_PATH\" \"$@\"\n".to_owned(),
            ),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new(dir.join("run"));
        let told = output(command.env("LD_LIBRARY_PATH", "/x").args(["-append", "a 'b' c"])).unwrap();
        assert_eq!(told, format!("{}/files/lib/a-linux-b:/x|-append|a 'b' c|", dir.display()));
        fs::remove_dir_all(dir).unwrap();
    }
}
