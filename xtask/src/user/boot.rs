//! From the flags of `run` to the ramdisk and the machine that boots with it.

use super::args::User;
use crate::args::Common;
use crate::qemu::Machine;
use crate::ramdisk::{self, Contents, Packed};
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};

/// The boot arguments with which the kernel runs a program of the ramdisk, and says nothing but what the user should know.
pub const USER_MODE: &str = "mode=user loglevel=warn";

/// What the ramdisk has in it.
pub fn contents(user: &User) -> Contents {
    let contents = Contents {
        exec: user.exec.clone(),
        arguments: user.arguments.clone(),
        environment: user.env.clone(),
        others: user.with.iter().map(|word| addition(word)).collect(),
        initrd: user.initrd.clone(),
        sysroot: user.sysroot.clone(),
    };
    match &user.under {
        Some(under) => under.put(contents),
        None => contents,
    }
}

/// The file on the host and its path in the ramdisk, from a word of `--with`.
fn addition(word: &str) -> (PathBuf, String) {
    match word.rsplit_once("=/") {
        Some((file, path)) => (file.into(), format!("/{path}")),
        None => (word.into(), ramdisk::path_of(Path::new(word))),
    }
}

/// The machine that runs a program of the ramdisk.
///
/// # Errors
/// When `--init` cannot be a boot argument.
pub fn machine(common: &Common, user: &User, ramdisk: &Packed) -> Result<Machine> {
    let mut append = USER_MODE.to_owned();
    if let Some(init) = ramdisk.init.as_ref().or(user.init.as_ref()) {
        // The kernel splits its boot arguments at blanks, and knows double quotes.
        ensure!(
            init.starts_with('/') && !init.contains(|c: char| c.is_whitespace() || c == '"'),
            "--init {init}: expected an absolute path of the ramdisk, without blanks and quotes"
        );
        append += &format!(" init={init}");
    }
    let default = Machine { append, initrd: Some(ramdisk.path().to_owned()), ..Machine::default() };
    Ok(common.machine(default))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::Start;

    #[test]
    fn additions_have_a_path() {
        assert_eq!(addition("a/b c"), ("a/b c".into(), "/bin/b_c".into()));
        assert_eq!(addition("a=b/c=/bin/sh"), ("a=b/c".into(), "/bin/sh".into()));
    }

    #[test]
    fn a_program_of_the_ramdisk_is_named_by_boot_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let packed = |init: &str| {
            let user = User { initrd: Some(dir.path().into()), init: Some(init.into()), ..User::default() };
            let ramdisk = ramdisk::pack(&contents(&user)).unwrap();
            machine(&Common { append: vec!["hz=50".into()], ..Common::default() }, &user, &ramdisk)
        };
        let machine = packed("/sbin/init").unwrap();
        assert_eq!(machine.append, "mode=user loglevel=warn init=/sbin/init hz=50");
        assert!(machine.shell_line(&Start::Kernel(Path::new("k.img"))).contains(" -initrd "));
        for wrong in ["sbin/init", "/a b", "/a\"b", ""] {
            assert!(packed(wrong).is_err(), "{wrong}");
        }
    }
}
