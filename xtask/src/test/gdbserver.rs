//! gdb and gdbserver over the second line, in two boots: the sessions of `scripts/gdbserver`, and one short session many times.
//!
//! A script's comments say what happens around it:
//!
//! - `# guest: LINE`: what the shell in the boot executes; it starts gdbserver.
//! - `# stays`: gdbserver stays at the line when gdb has ended, as on Linux, and the tool ends it.
//! - `# interrupt: TEXT`: once the console shows the text, gdb gets SIGINT.
//! - `# expect: TEXT` and `# never: TEXT`: what gdb must say, in this order, and what it must not say.
//! - `# console: TEXT`: what the console must show, in this order, from the session's beginning on.

use super::Extent;
use super::boots::Kernel;
use super::gdb_session::{judge_gdb, marked, read};
use super::outcome::{Case, Outcome};
use crate::args::QemuTest;
use crate::gdbserver::{Boot, LINE};
use crate::ktap::Verdict;
use crate::paths::root;
use crate::qemu::Machine;
use crate::ramdisk::Contents;
use crate::session::Process;
use crate::setup::arm64;
use crate::user::{self, Linking};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The names of the tests, for filters.
pub const SESSIONS: &str = "gdbserver.sessions";
pub const REPEATED: &str = "gdbserver.repeated";
const SUITE: &str = "gdbserver";

/// How long one step of a session may take: a step that works takes a few seconds at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the short session is repeated.
const QUICK: u32 = 6;
const FULL: u32 = 1000;

/// A session with gdb.
struct Session {
    name: String,
    path: PathBuf,
    text: String,
}

impl Session {
    fn marked(&self, mark: &'static str) -> Vec<&str> {
        marked(&self.text, mark).collect()
    }

    fn stays(&self) -> bool {
        self.text.lines().any(|line| line.trim() == "# stays")
    }
}

/// The sessions, in the order of their names.
fn sessions() -> Result<Vec<Session>> {
    let folder = root().join("scripts/gdbserver");
    let mut sessions = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path)?;
        sessions.push(Session { name, path, text });
    }
    sessions.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(sessions)
}

/// The ramdisk in which a shell executes these lines.
fn contents(directory: &Path, script: &str, debuggee: &Path) -> Result<Contents> {
    let path = directory.join("sessions");
    std::fs::write(&path, format!("#!/bin/sh\n{script}"))?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(Contents {
        exec: Some(path),
        others: vec![
            (arm64::tracer("gdbserver"), "/bin/gdbserver".into()),
            (debuggee.to_owned(), "/bin/debuggee".into()),
        ],
        ..Contents::default()
    })
}

/// The program that is debugged.
fn debuggee(programs: &[user::Program]) -> Result<&Path> {
    let wanted = |one: &&user::Program| one.name == "debuggee" && one.linking == Linking::GlibcDynamic;
    Ok(&programs.iter().find(wanted).context("tests/user/debuggee.c is missing")?.path)
}

/// The machine for sessions.
pub fn machine(base: &Machine, more: &str) -> Machine {
    Machine { append: format!("mode=user loglevel=warn{more}"), smp: 4, icount: false, ..base.clone() }
}

/// Runs all sessions in one boot.
pub fn run_sessions(kernel: &Kernel, programs: &[user::Program], base: &Machine) -> Outcome {
    let begin = Instant::now();
    let mut cases = Vec::new();
    let mut tail = String::new();
    if let Err(error) = try_sessions(kernel, programs, base, &mut cases, &mut tail) {
        cases.push(Case::unknown(SUITE, "sessions", format!("{error:#}")));
    }
    Outcome {
        name: format!("{SESSIONS}, {}", super::machine_name(base)),
        cases,
        tail,
        replay: format!("cargo xtask qemu-test {SESSIONS}"),
        wall: begin.elapsed(),
    }
}

fn try_sessions(
    kernel: &Kernel,
    programs: &[user::Program],
    base: &Machine,
    cases: &mut Vec<Case>,
    tail: &mut String,
) -> Result<()> {
    let sessions = sessions()?;
    let directory = tempfile::tempdir()?;
    let lines = sessions.iter().flat_map(|session| {
        session
            .marked("# guest:")
            .into_iter()
            .map(str::to_owned)
            .chain([format!("echo {}", ended(&session.name))])
    });
    let script: String = lines.map(|line| line + "\n").collect();
    let debuggee = debuggee(programs)?;
    let contents = contents(directory.path(), &script, debuggee)?;
    let mut boot = Boot::start(base, &kernel.image, &contents, |_| {})?;
    for session in &sessions {
        let before = boot.console().len();
        let mut said = String::new();
        let verdict = one_session(&mut boot, session, debuggee, before, &mut said)
            .unwrap_or_else(|error| Verdict::Unknown(format!("{error:#}")));
        let good = verdict == Verdict::Passed;
        cases.push(Case::new(SUITE, &session.name, verdict));
        if !good {
            let console = boot.console();
            let shown = console[before..].trim_end();
            *tail = format!("{}, gdb:\n{}\nconsole:\n{shown}", session.path.display(), said.trim_end());
            // The next session would meet what this one has left.
            return Ok(());
        }
    }
    let status = boot.wait(PATIENCE)?.context("the boot does not end")?;
    let verdict = if status.success() {
        Verdict::Passed
    } else {
        *tail = boot.console();
        Verdict::Failed(status.to_string())
    };
    cases.push(Case::new(SUITE, "ends", verdict));
    Ok(())
}

/// What the shell prints behind a session.
fn ended(name: &str) -> String {
    format!("session {name} has ended")
}

fn one_session(
    boot: &mut Boot,
    session: &Session,
    debuggee: &Path,
    before: usize,
    said: &mut String,
) -> Result<Verdict> {
    ensure!(!session.marked("# guest:").is_empty(), "no line `# guest:` starts gdbserver");
    boot.wait_for_server(PATIENCE)?;
    let mut output = tempfile::tempfile()?;
    let mut command =
        boot.gdb(debuggee, &["-nx", "-batch", "-iex", "set pagination off", "-iex", "set width 0"])?;
    command.arg("-x").arg(&session.path);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut debugger = Process::start(&mut command)?;
    for text in session.marked("# interrupt:") {
        boot.wait_for(&format!("the console shows `{text}`"), PATIENCE, |console| {
            console.replace('\r', "")[before..].contains(text)
        })?;
        debugger.interrupt();
    }
    let status = debugger.wait_until(Instant::now() + PATIENCE)?;
    drop(debugger);
    *said = read(&mut output)?;
    let Some(status) = status else { bail!("gdb did not end within {} s", PATIENCE.as_secs()) };
    let (expected, never) = (session.marked("# expect:"), session.marked("# never:"));
    let verdict = judge_gdb(said, &expected, &never, status.success(), &status.to_string());
    if verdict != Verdict::Passed {
        return Ok(verdict);
    }
    if session.stays() {
        boot.end_server(PATIENCE)?;
    }
    let end = ended(&session.name);
    boot.wait_for(&format!("the shell goes on behind session {}", session.name), PATIENCE, |console| {
        console.contains(&end)
    })?;
    let console = boot.console();
    let mut rest = &console[before..];
    for text in session.marked("# console:") {
        match rest.split_once(text) {
            Some((_, after)) => rest = after,
            None => {
                return Ok(Verdict::Failed(format!("the console does not show `{text}` where it is due")));
            }
        }
    }
    Ok(Verdict::Passed)
}

/// How often the short session is repeated.
fn times(arguments: &QemuTest) -> u32 {
    if arguments.matrix == Extent::Full { FULL } else { QUICK }
}

/// Attaches gdb again and again: a breakpoint in the program is hit, and then gdb quits and so kills the program, or detaches. Whenever the
/// program's signals are delivered, a less important thread may have the lock that they need.
pub fn run_repeated(
    kernel: &Kernel,
    programs: &[user::Program],
    base: &Machine,
    arguments: &QemuTest,
) -> Outcome {
    let begin = Instant::now();
    let times = times(arguments);
    let mut tail = String::new();
    let verdict = repeated(kernel, programs, base, times, &mut tail)
        .unwrap_or_else(|error| Verdict::Unknown(format!("{error:#}")));
    Outcome {
        name: format!("{REPEATED}, {times} times"),
        cases: vec![Case::new(SUITE, "repeated", verdict)],
        tail,
        replay: format!("cargo xtask qemu-test {REPEATED} --matrix full"),
        wall: begin.elapsed(),
    }
}

fn repeated(
    kernel: &Kernel,
    programs: &[user::Program],
    base: &Machine,
    times: u32,
    tail: &mut String,
) -> Result<Verdict> {
    let directory = tempfile::tempdir()?;
    // A program that gdb has let go comes to its end; one that gdb has killed is gone.
    let script = format!(
        "turn=0\nwhile [ $turn -lt {times} ]; do\n  gdbserver {LINE} /bin/debuggee\n  \
         while grep -q debuggee /proc/[0-9]*/comm; do :; done\n  turn=$((turn + 1))\n  echo turn $turn\ndone\n"
    );
    let debuggee = debuggee(programs)?;
    let contents = contents(directory.path(), &script, debuggee)?;
    let mut boot =
        Boot::start(&machine(base, " hz=10000 contend=debuggee"), &kernel.image, &contents, |_| {})?;
    for turn in 1..=times {
        let detaches = turn % 2 == 0;
        let mut said = String::new();
        let verdict = one_turn(&mut boot, debuggee, turn, detaches, &mut said)
            .unwrap_or_else(|error| Verdict::Unknown(format!("turn {turn} of {times}: {error:#}")));
        if verdict != Verdict::Passed {
            let console = boot.console();
            let lines: Vec<_> = console.lines().collect();
            let last = lines[lines.len().saturating_sub(20)..].join("\n");
            *tail = format!("turn {turn} of {times}, gdb:\n{}\nconsole:\n{last}", said.trim_end());
            return Ok(verdict);
        }
    }
    let status = boot.wait(PATIENCE)?.context("the boot does not end")?;
    let console = boot.console();
    // Only those that gdb has let go have come to their ends.
    let ended = console.matches("debuggee: total 153, 1 signals").count();
    if !status.success() {
        *tail = boot.console();
        return Ok(Verdict::Failed(status.to_string()));
    }
    if ended != times as usize / 2 {
        return Ok(Verdict::Failed(format!(
            "{ended} programs have come to their end instead of {}",
            times / 2
        )));
    }
    let waits = console.lines().find_map(|line| line.strip_suffix(" waits for a lock of delivery"));
    let waits: u32 = waits.context("the kernel does not say who waited")?.trim().parse()?;
    // At the least the signal of the breakpoint in each turn.
    if waits < times {
        return Ok(Verdict::Failed(format!("only {waits} waits for the lock of delivery in {times} turns")));
    }
    Ok(Verdict::Passed)
}

fn one_turn(
    boot: &mut Boot,
    debuggee: &Path,
    turn: u32,
    detaches: bool,
    said: &mut String,
) -> Result<Verdict> {
    boot.wait_for_server(PATIENCE)?;
    let mut output = tempfile::tempfile()?;
    let mut command = boot.gdb(debuggee, &["-nx", "-batch"])?;
    command.args(["-ex", "break add", "-ex", "continue", "-ex", "print a + b"]);
    command.args(detaches.then_some(["-ex", "detach"]).into_iter().flatten());
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut debugger = Process::start(&mut command)?;
    let status = debugger.wait_until(Instant::now() + PATIENCE)?;
    drop(debugger);
    *said = read(&mut output)?;
    let Some(status) = status else { bail!("gdb did not end within {} s", PATIENCE.as_secs()) };
    let expected = ["Breakpoint 1, add (a=0, b=10)", "$1 = 10"];
    let verdict = judge_gdb(said, &expected, &["exited"], status.success(), &status.to_string());
    if verdict != Verdict::Passed {
        return Ok(verdict);
    }
    if !detaches {
        boot.end_server(PATIENCE)?;
    }
    let line = format!("turn {turn}\r\n");
    boot.wait_for("the shell goes on", PATIENCE, |console| console.contains(&line))?;
    Ok(Verdict::Passed)
}
