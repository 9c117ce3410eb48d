//! The programs of `tests/user`, each in every linking, with a boot of its own; and the shell scripts there, run by Debian's busybox. `runs`
//! has the list.
//!
//! A program reports its checks as lines `ok NAME` and `not ok NAME: WHY`, and ends with status 0 if all went well. Any other end of the
//! boot fails the case `ends`, whatever the program has printed.

use super::outcome::{Case, Outcome};
use super::runs::{RUNS, Run};
use super::{Extent, Kernel, matrix};
use crate::args::QemuTest;
use crate::capture::{Captured, capture, to_the_end};
use crate::ktap::Verdict;
use crate::line;
use crate::machines::PROGRAMS;
use crate::paths::root;
use crate::qemu::{Line, Machine, Start};
use crate::ramdisk::{self, Contents, Packed};
use crate::session::End;
use crate::setup::{self, arm64, decide::Need};
use crate::user;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// The beginnings of the names of these tests: programs, and programs that have few system calls.
pub const PREFIX: &str = "user.";
pub const LIMITED_PREFIX: &str = "calls.";

/// The applets of busybox that the script finds by PATH. Each is a link to the shell.
const APPLETS: [&str; 10] = ["cat", "env", "grep", "head", "ps", "sed", "seq", "sleep", "tr", "wc"];

/// One boot on one machine: a program in one linking, or the script, which has none.
pub struct Task {
    run: &'static Run,
    linking: Option<user::Linking>,
    machine: Machine,
}

impl Task {
    fn suite(&self) -> &'static str {
        self.run.suite
    }
}

/// The names of the tests.
pub fn names() -> impl Iterator<Item = String> {
    RUNS.iter().map(|run| run.suite.to_owned())
}

/// The boots that the filter leaves. In the quick matrix each program runs in each linking on one machine; the machines take turns.
pub fn tasks(arguments: &QemuTest) -> Vec<Task> {
    let wanted = |run: &&'static Run| {
        arguments.filter.as_ref().is_none_or(|filter| run.suite.contains(filter.as_str()))
    };
    let all = PROGRAMS.map(|config| arguments.common.machine(config.machine("mode=user")));
    let mut tasks = Vec::new();
    for (number, run) in RUNS.iter().filter(wanted).enumerate() {
        // A script has one linking: that of busybox.
        let linkings = match run.linkings {
            [] => vec![None],
            linkings => linkings.iter().copied().map(Some).collect(),
        };
        let is_tried = |linking: &Option<user::Linking>| {
            arguments.matrix == Extent::Full || linking.is_none_or(|linking| run.quick.contains(&linking))
        };
        for (turn, linking) in linkings.into_iter().enumerate().filter(|(_, linking)| is_tried(linking)) {
            let mut machines = all.to_vec();
            machines.dedup();
            if arguments.matrix == Extent::Quick {
                machines = vec![machines[(number + turn) % machines.len()].clone()];
            }
            if let Some(cpus) = run.cpus {
                machines.iter_mut().for_each(|machine| machine.smp = cpus);
                machines.dedup();
            }
            tasks.extend(machines.into_iter().map(|machine| Task { run, linking, machine }));
        }
    }
    tasks
}

/// Compiles the programs. Called before the first boot.
///
/// # Errors
/// When the set-up fails, or a program does not compile.
pub fn prepare() -> Result<Vec<user::Program>> {
    setup::prepare(Need { user: true, tracers: true, ..Need::default() })?;
    user::compile()
}

/// Boots a program.
pub fn run(kernel: &Kernel, programs: &[user::Program], task: &Task) -> Outcome {
    let linking = task.linking.map_or("busybox", user::Linking::name);
    let name = format!("{}, {linking}, {}", task.suite(), matrix::name(&task.machine));
    match boot(kernel, programs, task) {
        Ok((boot, machine)) => Outcome {
            cases: cases(task, &boot),
            tail: boot.tail(&kernel.elf),
            replay: machine.shell_line(&Start::Kernel(&kernel.image)),
            wall: boot.wall,
            name,
        },
        Err(error) => Outcome::not_run(&name, task.suite(), &error),
    }
}

fn boot(kernel: &Kernel, programs: &[user::Program], task: &Task) -> Result<(Captured, Machine)> {
    let directory = tempfile::tempdir()?;
    let (exec, initrd) = match task.linking {
        Some(linking) => {
            let program = programs.iter().find(|one| one.name == task.run.name && one.linking == linking);
            let program = program.with_context(|| format!("tests/user/{}.c is missing", task.run.name))?;
            (program.path.clone(), None)
        }
        None => {
            let bin = directory.path().join("bin");
            std::fs::create_dir(&bin)?;
            for applet in APPLETS {
                std::os::unix::fs::symlink("sh", bin.join(applet))?;
            }
            (
                root().join("tests/user").join(task.run.name).with_extension("sh"),
                Some(directory.path().to_owned()),
            )
        }
    };
    let others = task.run.with.iter().map(|name| find(programs, name));
    let contents = Contents {
        exec: Some(exec),
        initrd,
        others: others.collect::<Result<_>>()?,
        arguments: task.run.arguments.iter().map(|&word| word.to_owned()).collect(),
        ..Contents::default()
    };
    let mut machine = task.machine.clone();
    if !task.run.boot.is_empty() {
        machine.append += &format!(" {}", task.run.boot);
    }
    if !task.run.calls.is_empty() {
        machine.append += &format!(" calls={}", task.run.calls);
    }
    if !task.run.line {
        return boot_contents(kernel, &contents, &machine);
    }
    // Under icount time flies while all CPUs sleep, and the other end would answer too late.
    machine.icount = false;
    let socket = directory.path().join("line");
    machine.line = Some(Line { socket: socket.clone(), wait: true });
    // Ends with QEMU, or when the directory goes because QEMU did not start.
    let echo = std::thread::spawn(move || line::echo(&socket));
    let booted = boot_contents(kernel, &contents, &machine);
    drop(directory);
    let echoed = echo.join().expect("the echo does not panic");
    let booted = booted?;
    echoed.context("the other end of the second line")?;
    Ok(booted)
}

/// A file that a test uses beside its own program, and its path in the ramdisk.
fn find(programs: &[user::Program], name: &str) -> Result<(PathBuf, String)> {
    if let Some(path) = name.strip_prefix('/') {
        return Ok((arm64::TRACERS.files().join(path), name.to_owned()));
    }
    let place = format!("/bin/{name}");
    if arm64::TRACER_PROGRAMS.contains(&name) {
        return Ok((arm64::tracer(name), place));
    }
    let is_it = |one: &&user::Program| one.name == name && one.linking == user::Linking::GlibcDynamic;
    let program = programs.iter().find(is_it);
    let program = program.with_context(|| format!("tests/user/{name}.c is missing"))?;
    Ok((program.path.clone(), place))
}

/// Boots a program with its ramdisk. Also returns the machine as it was booted.
///
/// # Errors
/// When the ramdisk cannot be made, or QEMU does not start.
pub fn boot_contents(kernel: &Kernel, contents: &Contents, base: &Machine) -> Result<(Captured, Machine)> {
    let ramdisk = ramdisk::pack(contents)?;
    let machine = with_ramdisk(base, &ramdisk);
    let boot = capture(&machine, &Start::Kernel(&kernel.image), kernel.limit, to_the_end)?;
    Ok((boot, machine))
}

/// The machine with a ramdisk.
pub fn with_ramdisk(base: &Machine, ramdisk: &Packed) -> Machine {
    let append = format!("{} init={}", base.append, ramdisk.init.as_deref().unwrap_or("/init"));
    Machine { append, initrd: Some(ramdisk.path().to_owned()), ..base.clone() }
}

/// One case for each check that the program has reported, for each line that it must print, and for its end.
fn cases(task: &Task, boot: &Captured) -> Vec<Case> {
    let suite = task.suite();
    let mut cases: Vec<_> = boot.console.lines().filter_map(|line| reported(suite, line)).collect();
    for line in task.run.prints {
        let verdict = if boot.console.lines().any(|printed| is_like(printed, line)) {
            Verdict::Passed
        } else {
            Verdict::Failed(format!("the line `{line}` is missing"))
        };
        cases.push(Case::new(suite, "prints", verdict));
    }
    let end = match boot.end {
        End::Status(0) if !cases.is_empty() => Verdict::Passed,
        End::Status(0) => Verdict::Failed("the program has reported nothing".into()),
        End::Status(_) => Verdict::Failed(boot.ending()),
        _ => Verdict::Unknown(boot.ending()),
    };
    cases.push(Case::new(suite, "ends", end));
    cases
}

/// Whether a line is like a pattern, in which `*` stands for any text.
fn is_like(line: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => line == pattern,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            line.char_indices().any(|(at, _)| is_like(&line[at..], rest)) || rest.is_empty()
        }),
    }
}

fn reported(suite: &str, line: &str) -> Option<Case> {
    if let Some(name) = line.strip_prefix("ok ") {
        return Some(Case::new(suite, name.trim(), Verdict::Passed));
    }
    let rest = line.strip_prefix("not ok ")?;
    let (name, why) = rest.split_once(": ").unwrap_or((rest, "no reason given"));
    Some(Case::new(suite, name.trim(), Verdict::Failed(why.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        assert!(is_like("a[12]: at 0x4 (b+0x4)", "a[*]: at 0x* (b+0x*)"));
        assert!(
            is_like("abc", "abc") && is_like("abc", "a*") && is_like("a", "a*") && is_like("abab", "*ab")
        );
        assert!(
            !is_like("abc", "ab")
                && !is_like("abc", "b*")
                && !is_like("a[1]: x", "a[*]: y")
                && !is_like("", "a*")
        );
    }

    #[test]
    fn a_programs_lines_become_cases() {
        assert_eq!(reported("s", "ok a b"), Some(Case::new("s", "a b", Verdict::Passed)));
        let failed = Verdict::Failed("3 is not 4".into());
        assert_eq!(reported("s", "not ok a: 3 is not 4"), Some(Case::new("s", "a", failed)));
        assert_eq!(reported("s", "okay"), None);
    }
}
