//! `run`: the kernel on the user's terminal.

use crate::args::{Common, Run, Runner};
use crate::qemu::{Machine, Start};
use crate::ramdisk::{self, Packed};
use crate::say::say;
use crate::session::{self, End, Flow, Input, PromptFinder};
use crate::setup::{self, decide::Need};
use crate::symbolise::Symboliser;
use crate::user;
use crate::{build, gdbserver, ktap, pack};
use anyhow::Result;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a session without a terminal may take.
const UNATTENDED: Duration = Duration::from_secs(300);
/// The tick of the main job, in Hz.
const TICK: &str = "hz=1000";
/// The exit status after a time limit was reached, the same as that of timeout(1).
pub const STATUS_TIMEOUT: u8 = 124;

/// Builds and boots. Returns the exit status.
///
/// # Errors
/// When the command line is wrong, the host lacks something, the program cannot be packed, the kernel does not build, or QEMU does
/// not start.
pub fn run(arguments: &Run) -> Result<u8> {
    let (common, flags) = (&arguments.common, &arguments.user);
    flags.check().unwrap_or_else(|error| error.exit());
    if flags.exec.as_deref().is_some_and(is_script) {
        // Its interpreter may be the shell, which comes with what the tests' programs are made of.
        setup::prepare(Need { user: true, ..Need::default() })?;
    }
    if let Some(program) = &flags.gdbserver {
        return gdbserver::run(common, flags, program);
    }
    if flags.under.is_some() {
        setup::prepare(Need { user: true, tracers: true, ..Need::default() })?;
    }
    // Packed first: a mistake in the program's name shows at once, not after the kernel has been built.
    let ramdisk = if flags.is_wanted() { Some(ramdisk::pack(&user::boot::contents(flags))?) } else { None };
    let mut machine = match &ramdisk {
        Some(ramdisk) => user::boot::machine(common, flags, ramdisk)?,
        None => machine(common),
    };
    if common.dry_run {
        if has_main_job(&machine) {
            machine.initrd = Some(user::demo::place());
        }
        println!("{}", machine.shell_line(&Start::Kernel(&planned_image(common))));
        ramdisk.map_or(Ok(()), Packed::keep)?;
        return Ok(0);
    }
    let elf = kernel(common, Need { qemu: true, ..Need::default() })?;
    boot(&elf, &with_program(machine), common.limit(unattended()))
}

/// Whether a file begins like a script. False also if the file cannot be read, which is told of when it is packed.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    let read =
        std::fs::File::open(path).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && start == *b"#!"
}

/// Boots an ELF that cargo built, for `cargo run` and `cargo test` in `image/`.
///
/// # Errors
/// When the host lacks something, the ELF cannot be packed, or QEMU does not start.
pub fn runner(arguments: &Runner) -> Result<u8> {
    setup::prepare(Need { qemu: true, ..Need::default() })?;
    let mut common = Common::default();
    let test = is_test(&arguments.elf);
    if test && !holds_suites(&arguments.elf) {
        return Ok(0);
    }
    if test {
        common.append.push("mode=test".into());
        // Options for Rust's test harness, such as `--nocapture`, have no meaning here.
        let filter = arguments.arguments.iter().find(|argument| !argument.starts_with('-'));
        common.append.extend(filter.map(|filter| format!("test={filter}")));
    } else {
        common.append.clone_from(&arguments.arguments);
    }
    boot(&arguments.elf, &with_program(machine(&common)), common.limit(unattended()))
}

/// Whether the ELF is a test target. Cargo puts test targets into the folder `deps`, and programs beside that folder.
fn is_test(elf: &Path) -> bool {
    elf.parent().is_some_and(|directory| directory.ends_with("deps"))
}

/// Whether a test target is the one with the suites. `cargo test FILTER` also builds the library and the program as tests.
fn holds_suites(elf: &Path) -> bool {
    elf.file_name().is_some_and(|name| name.to_string_lossy().starts_with("suites-"))
}

/// The machine of the main job, with the flags of the user on top.
pub fn machine(common: &Common) -> Machine {
    common.machine(Machine { append: TICK.into(), ..Machine::default() })
}

/// Whether the machine runs the main job, and has no initial ramdisk that the user gave.
pub fn has_main_job(machine: &Machine) -> bool {
    machine.initrd.is_none() && mode(&machine.append) == "run"
}

/// The machine with the program of the main job, if it runs the main job. Where no compiler for the program can be had, the kernel half is
/// shown all the same.
fn with_program(mut machine: Machine) -> Machine {
    if has_main_job(&machine) {
        match user::demo::ramdisk() {
            Ok(ramdisk) => machine.initrd = Some(ramdisk),
            Err(error) => say!("the main job goes without the program of its user half: {error:#}"),
        }
    }
    machine
}

fn unattended() -> Option<Duration> {
    (!std::io::stdin().is_terminal()).then_some(UNATTENDED)
}

/// Prepares the host and builds the kernel, or takes the ELF that the user gave.
///
/// # Errors
/// When something is missing or the kernel does not build.
pub fn kernel(common: &Common, need: Need) -> Result<PathBuf> {
    setup::prepare(need)?;
    match &common.elf {
        Some(elf) => Ok(elf.clone()),
        None => build::kernel(common.release, common.policy()),
    }
}

/// Where the image will be once it is built.
pub fn planned_image(common: &Common) -> PathBuf {
    common.elf.clone().unwrap_or_else(|| build::place(common.release, common.policy())).with_extension("img")
}

/// Boots on the tool's own terminal or pipes.
fn boot(elf: &Path, machine: &Machine, limit: Option<Duration>) -> Result<u8> {
    let image = pack::pack(elf)?;
    let user = mode(&machine.append) == "user";
    let input = match (std::io::stdin().is_terminal(), user) {
        (true, _) => Input::Terminal,
        (false, true) => Input::ForwardAtOnce,
        (false, false) => Input::Forward,
    };
    let mut lines = Symboliser::new(elf);
    let mut seen = Seen::of(mode(&machine.append));
    let machine = match input {
        Input::Terminal => {
            say!("^A x ends QEMU, ^A h lists its other keys");
            Machine { interactive: true, ..machine.clone() }
        }
        _ => Machine { append: format!("echo=0 {}", machine.append), ..machine.clone() },
    };
    let mut command = machine.command(&Start::Kernel(&image));
    let end = session::run(&mut command, input, limit, |piece| {
        seen.look(piece);
        session::show(&lines.feed(piece));
        Flow::Continue
    })?;
    session::show(&lines.finish());
    if user && let End::Status(status) = end {
        return Ok(status_of_program(status));
    }
    Ok(report(end, limit, &seen.missing()))
}

/// The kernel's mode: the last one that is given counts.
fn mode(append: &str) -> &str {
    append.split_whitespace().filter_map(|word| word.strip_prefix("mode=")).next_back().unwrap_or("run")
}

/// What a session must have shown before its status 0 counts: a machine that is reset ends with 0 too.
enum Seen {
    /// The monitor's prompt.
    Prompt(PromptFinder, bool),
    /// The results of all suites.
    Suites(Vec<u8>),
    /// The mode shows nothing that this tool knows.
    Nothing,
}

impl Seen {
    fn of(mode: &str) -> Self {
        match mode {
            "run" | "monitor" => Self::Prompt(PromptFinder::default(), false),
            "test" => Self::Suites(Vec::new()),
            _ => Self::Nothing,
        }
    }

    fn look(&mut self, piece: &[u8]) {
        match self {
            Self::Prompt(finder, seen) => *seen |= finder.seen(piece),
            Self::Suites(console) => console.extend(piece),
            Self::Nothing => {}
        }
    }

    /// Why the session is not complete; empty if it is.
    fn missing(&self) -> String {
        match self {
            Self::Prompt(_, true) | Self::Nothing => String::new(),
            Self::Prompt(_, false) => "the monitor's prompt did not come".into(),
            Self::Suites(console) => ktap::parse(&String::from_utf8_lossy(console)).problems.join("; "),
        }
    }
}

/// The tool's status after the first process has ended: the one of the process.
fn status_of_program(status: i32) -> u8 {
    if status == 101 {
        say!(
            "status 101: the kernel panicked, unless the console shows no panic; then it is the program's status"
        );
    }
    u8::try_from(status).unwrap_or(1)
}

/// Says how the session ended, and maps it to the tool's status.
fn report(end: End, limit: Option<Duration>, missing: &str) -> u8 {
    match end {
        End::Status(0) if missing.is_empty() => 0,
        End::Status(0) => {
            say!("failed: the machine was switched off or reset early: {missing}");
            1
        }
        End::Status(1) => {
            say!(
                "failed: the kernel ended with status 1 (a command or a test failed), or QEMU did not start"
            );
            1
        }
        End::Status(101) => {
            say!("failed: the kernel panicked (status 101)");
            101
        }
        End::Status(status) => {
            say!("failed: QEMU ended with status {status}");
            u8::try_from(status).unwrap_or(1)
        }
        End::Signal(signal) => {
            say!("failed: QEMU was ended by signal {signal}");
            u8::try_from(128 + signal).unwrap_or(1)
        }
        End::Timeout | End::Stopped => {
            say!("failed: the kernel did not end within {} s", limit.map_or(0, |limit| limit.as_secs()));
            STATUS_TIMEOUT
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_passed_on_and_silence_is_no_success() {
        assert_eq!(report(End::Status(0), None, ""), 0);
        assert_eq!(report(End::Status(0), None, "x"), 1);
        assert_eq!(report(End::Status(1), None, ""), 1);
        assert_eq!(report(End::Status(101), None, ""), 101);
        assert_eq!(report(End::Status(300), None, ""), 1);
        assert_eq!(report(End::Timeout, None, ""), STATUS_TIMEOUT);
        assert_eq!(report(End::Signal(9), None, ""), 137);
    }

    #[test]
    fn only_a_complete_session_counts() {
        let missing = |append: &str, console: &[u8]| {
            let mut seen = Seen::of(mode(append));
            seen.look(console);
            seen.missing()
        };
        assert_eq!(missing("hz=1", b"stepwell> "), "");
        assert!(missing("hz=1", b"demo: ok").contains("prompt"));
        assert!(missing("mode=run mode=test", b"KTAP version 1\n1..1\n").contains("1 suites planned"));
        assert_eq!(missing("mode=test", b"KTAP version 1\n1..0\n"), "");
        assert_eq!(missing("mode=list", b""), "");
    }

    #[test]
    fn the_main_job_ticks_at_1_khz_unless_told_otherwise() {
        assert_eq!(machine(&Common::default()).append, "hz=1000");
        assert_eq!(
            machine(&Common { append: vec!["hz=50 x".into()], ..Common::default() }).append,
            "hz=50 x"
        );
    }

    #[test]
    fn a_programs_status_is_passed_on() {
        for status in [0, 1, 101, 139, 255] {
            assert_eq!(i32::from(status_of_program(status)), status);
        }
    }

    #[test]
    fn test_targets_are_told_from_programs() {
        assert!(is_test(Path::new("/t/debug/deps/boot-0123456789abcdef")));
        assert!(!is_test(Path::new("/t/debug/stepwell")));
    }
}
