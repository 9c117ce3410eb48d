//! The flags of `run` for programs at EL0.

use super::under::Under;
use crate::args::Cli;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use std::path::PathBuf;

/// Flags for programs at EL0.
#[derive(Args, Clone, Debug, Default)]
pub struct User {
    /// Run this program or script of the host, with the libraries that it needs
    ///
    /// Words behind PROGRAM are its arguments, from the first one on that is no flag of this command. All words behind `--` are.
    #[arg(long, value_name = "PROGRAM")]
    pub exec: Option<PathBuf>,
    /// Run this program of the host under gdbserver, and attach gdb to it, which gets the terminal
    ///
    /// The kernel runs Debian's gdbserver, which speaks with gdb over the second line, /dev/ttyS1. The console is shown between gdb's output.
    /// The boot ends when gdb ends, and the exit status is gdb's. Words behind PROGRAM are its arguments, as with --exec.
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["exec", "init"])]
    pub gdbserver: Option<PathBuf>,
    /// Run PROGRAM under Debian's strace or gdb: their command line, with their options
    #[arg(long, value_name = "TRACER", requires = "exec")]
    pub under: Option<Under>,
    /// The arguments of PROGRAM
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
    /// Add another file to the ramdisk; a program comes with its libraries (may be repeated) [default PATH: /bin/FILE]
    #[arg(long, value_name = "FILE[=PATH]")]
    pub with: Vec<String>,
    /// Set a variable in the first process's environment (may be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    pub env: Vec<String>,
    /// The initial ramdisk: a directory, which is packed, or a file (newc cpio, plain or gzip), which is passed on as it is
    #[arg(long, value_name = "DIR|FILE")]
    pub initrd: Option<PathBuf>,
    /// The program of the ramdisk that becomes the first process [default: /init, /sbin/init or /bin/sh]
    #[arg(long, value_name = "PATH", requires = "initrd", conflicts_with = "exec")]
    pub init: Option<String>,
    /// Look for libraries and interpreters below this directory [default: where cross compilers have them]
    #[arg(long, value_name = "DIR")]
    pub sysroot: Option<PathBuf>,
}

impl User {
    /// Whether the kernel is to run a program.
    pub fn is_wanted(&self) -> bool {
        self.exec.is_some() || self.gdbserver.is_some() || self.initrd.is_some()
    }

    /// What clap cannot check: without a program, words that are no flags are a mistake, most likely a mistyped flag.
    ///
    /// # Errors
    /// What is wrong, as clap would say it.
    pub fn check(&self) -> Result<(), clap::Error> {
        let wrong = |kind, text: String| Err(Cli::command().error(kind, text));
        let addition = if self.with.is_empty() { "--env" } else { "--with" };
        let program = self.exec.as_ref().or(self.gdbserver.as_ref());
        if program.is_none() && self.sysroot.is_some() {
            return wrong(ErrorKind::MissingRequiredArgument, "--sysroot needs --exec or --gdbserver".into());
        }
        match (program, self.arguments.first(), self.env.first().or(self.with.first())) {
            (None, Some(word), _) => wrong(
                ErrorKind::UnknownArgument,
                format!(
                    "unexpected argument '{word}' found: only a program that --exec or --gdbserver names takes arguments"
                ),
            ),
            (None, None, Some(_)) if self.initrd.is_none() => wrong(
                ErrorKind::MissingRequiredArgument,
                format!("{addition} needs --exec, --gdbserver or --initrd"),
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Command;
    use clap::Parser;

    fn user(line: &[&str]) -> User {
        let line = ["x", "run"].iter().chain(line);
        let Command::Run(run) = Cli::parse_from(line).command else { panic!() };
        run.user
    }

    #[test]
    fn a_programs_arguments_begin_at_the_first_word_that_is_no_flag_of_the_tool() {
        let all = user(&["--exec", "p", "-l", "--smp", "x y", "--exec", "q", "--", "-z"]);
        assert_eq!(all.exec.as_deref(), Some(std::path::Path::new("p")));
        assert_eq!(all.arguments, ["-l", "--smp", "x y", "--exec", "q", "--", "-z"]);
        let flags = user(&["--exec", "p", "--smp", "1", "a", "--smp", "2"]);
        assert_eq!(flags.arguments, ["a", "--smp", "2"]);
        let dashes = user(&["--exec", "p", "--smp", "1", "--", "--smp", "2", "--", "", "--help"]);
        assert_eq!(dashes.arguments, ["--smp", "2", "--", "", "--help"]);
        assert!(all.check().is_ok() && flags.check().is_ok());
    }

    #[test]
    fn a_mistyped_flag_is_no_argument() {
        let error = user(&["--smpp", "2"]).check().unwrap_err().to_string();
        assert!(error.contains("unexpected argument '--smpp'"), "{error}");
        assert!(user(&["--env", "A=b"]).check().is_err());
        assert!(user(&["--with", "p"]).check().is_err());
        assert!(user(&["--env", "A=b", "--with", "p", "--initrd", "d"]).check().is_ok());
        assert!(user(&["--sysroot", "/"]).check().is_err());
        assert!(user(&["--sysroot", "/", "--gdbserver", "p", "-l"]).check().is_ok());
        for wrong in [
            &["--init", "/x"][..],
            &["--exec", "p", "--gdbserver", "p"],
            &["--exec", "p", "--initrd", "d", "--init", "/x"],
        ] {
            assert!(Cli::try_parse_from(["x", "run"].iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }
}
