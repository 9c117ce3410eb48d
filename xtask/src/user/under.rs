//! `run --under`: a program that one of Debian's tracers runs.

use crate::ramdisk::{Contents, path_of};
use crate::setup::arm64;
use std::str::FromStr;

/// What gdb opens by name: the library with which it finds threads, and how glibc converts names of functions to UTF-32, which gdb wants.
const FILES_OF_GDB: [&str; 3] = [
    "/lib/aarch64-linux-gnu/libthread_db.so.1",
    "/usr/lib/aarch64-linux-gnu/gconv/gconv-modules",
    "/usr/lib/aarch64-linux-gnu/gconv/UTF-32.so",
];

/// A tracer's command line, without the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Under {
    tracer: Tracer,
    options: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tracer {
    Strace,
    Gdb,
}

impl FromStr for Under {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = shlex::split(text).ok_or("a quote is not closed")?;
        let (tracer, options) = match words.split_first() {
            Some((name, options)) if name == "strace" => (Tracer::Strace, options),
            Some((name, options)) if name == "gdb" => (Tracer::Gdb, options),
            _ => return Err("expected strace or gdb, with their options".into()),
        };
        Ok(Self { tracer, options: options.to_vec() })
    }
}

impl Under {
    /// The tracer becomes the first process, and the program one of the other files.
    pub fn put(&self, mut contents: Contents) -> Contents {
        let Some(program) = contents.exec.take() else { return contents };
        let path = path_of(&program);
        let arguments = std::mem::take(&mut contents.arguments);
        contents.others.push((program, path.clone()));
        contents.arguments.clone_from(&self.options);
        let name = match self.tracer {
            Tracer::Strace => "strace",
            Tracer::Gdb => {
                // gdb starts programs by the shell.
                contents.others.push((arm64::busybox(), "/bin/sh".into()));
                let files = arm64::TRACERS.files();
                let of_gdb =
                    FILES_OF_GDB.map(|path| (files.join(path.trim_start_matches('/')), path.to_owned()));
                contents.others.extend(of_gdb);
                contents.arguments.push("--args".into());
                "gdb"
            }
        };
        contents.exec = Some(arm64::tracer(name));
        contents.arguments.push(path);
        contents.arguments.extend(arguments);
        contents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(under: &str) -> Contents {
        let contents = Contents {
            exec: Some("x/my prog".into()),
            arguments: vec!["a b".into(), "-c".into()],
            ..Contents::default()
        };
        under.parse::<Under>().unwrap().put(contents)
    }

    #[test]
    fn the_tracer_gets_the_program_and_its_arguments() {
        let contents = put("strace -e 'trace=write'");
        assert_eq!(contents.exec.unwrap(), arm64::tracer("strace"));
        assert_eq!(contents.arguments, ["-e", "trace=write", "/bin/my_prog", "a b", "-c"]);
        assert_eq!(contents.others, [("x/my prog".into(), "/bin/my_prog".into())]);
    }

    #[test]
    fn gdb_comes_with_a_shell() {
        let contents = put("gdb -ex 'break main'");
        assert_eq!(contents.arguments, ["-ex", "break main", "--args", "/bin/my_prog", "a b", "-c"]);
        assert!(contents.others.iter().any(|(_, path)| path == "/bin/sh"));
    }

    #[test]
    fn only_tracers_are_named() {
        for wrong in ["", "ls", "strace 'x", "'"] {
            assert!(wrong.parse::<Under>().is_err(), "{wrong}");
        }
    }
}
