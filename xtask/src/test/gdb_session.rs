//! The scripted gdb session over QEMU's stub.
//!
//! `scripts/gdb-session.gdb` runs with the kernel stopped at its first instruction. The session passes when gdb ends
//! with 0, its output holds, in this order, every `# expect: TEXT` of the script and no `# never: TEXT`, and the kernel,
//! which gdb leaves running, passes its own tests. A line `# append: ARGS` gives the boot arguments.

use super::boots::Kernel;
use super::judge;
use super::outcome::{Case, Outcome};
use crate::gdbstub::{Stub, gdb};
use crate::ktap::Verdict;
use crate::paths::root;
use crate::qemu::{Machine, Start};
use crate::session::{End, Process};
use anyhow::{Context, Result};
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);
/// The session's name for filters.
pub const NAME: &str = "gdb.session";
const TITLE: &str = "gdb session";

/// The path of the script.
pub fn script() -> PathBuf {
    root().join("scripts/gdb-session.gdb")
}

/// Boots the kernel, runs the script in gdb, and judges both.
pub fn run(kernel: &Kernel, base: &Machine) -> Outcome {
    try_run(kernel, base).unwrap_or_else(|error| Outcome::not_run(TITLE, "gdb", &error))
}

fn try_run(kernel: &Kernel, base: &Machine) -> Result<Outcome> {
    let begin = Instant::now();
    let text = std::fs::read_to_string(script()).context("scripts/gdb-session.gdb")?;
    let append = marked(&text, "# append:").collect::<Vec<_>>().join(" ");
    let stub = Stub::new()?;
    // The script expects four CPUs.
    let machine = Machine { append, smp: 4, gdb: Some(stub.option()), ..base.clone() };
    let mut qemu = machine.command(&Start::Kernel(&kernel.image));
    let mut console = tempfile::tempfile()?;
    qemu.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console.try_clone()?);
    let mut qemu = Process::start(&mut qemu)?;
    stub.wait(&mut qemu)?;

    let mut output = tempfile::tempfile()?;
    let mut command = gdb()?;
    command.args([
        "-nx",
        "-batch",
        "-iex",
        "set confirm off",
        "-iex",
        "set pagination off",
        "-iex",
        "set width 0",
    ]);
    command.arg(&kernel.elf).arg("-ex").arg(format!("target remote {}", stub.socket().display()));
    command.arg("-x").arg(script()).current_dir(root());
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut debugger = Process::start(&mut command)?;
    let limit = kernel.limit.map_or(PATIENCE, |limit| limit.min(PATIENCE));
    let deadline = begin + limit;
    let status = debugger.wait_until(deadline)?;
    drop(debugger);
    // After a failure gdb may leave the kernel stopped, and there is no reason to wait for it.
    let left = if status.is_some_and(|status| status.success()) { deadline } else { Instant::now() };
    let end = qemu.wait_until(left)?;
    drop(qemu);

    let (said, console) = (read(&mut output)?, read(&mut console)?);
    let expected: Vec<_> = marked(&text, "# expect:").collect();
    let never: Vec<_> = marked(&text, "# never:").collect();
    let verdict = match status {
        None => Verdict::Unknown(format!("gdb did not end within {} s", limit.as_secs())),
        Some(status) => match judge_gdb(&said, &expected, &never, status.success(), &status.to_string()) {
            Verdict::Passed => judge_kernel(end, &console),
            other => other,
        },
    };
    let tail = format!("gdb:\n{}\nconsole:\n{}", said.trim_end(), console.trim_end());
    Ok(Outcome {
        name: TITLE.into(),
        cases: vec![Case::new("gdb", "session", verdict)],
        tail,
        replay: "cargo xtask gdb".into(),
        wall: begin.elapsed(),
    })
}

pub(super) fn read(file: &mut std::fs::File) -> Result<String> {
    let mut text = Vec::new();
    file.rewind().context("a temporary file")?;
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The rest of each line that begins with `mark`.
pub(super) fn marked<'a>(script: &'a str, mark: &'static str) -> impl Iterator<Item = &'a str> {
    script.lines().filter_map(move |line| line.trim().strip_prefix(mark)).map(str::trim)
}

pub(super) fn judge_gdb(
    said: &str,
    expected: &[&str],
    never: &[&str],
    success: bool,
    status: &str,
) -> Verdict {
    if expected.is_empty() {
        return Verdict::Failed("the script expects nothing, so that it could not fail".into());
    }
    if let Some(text) = never.iter().find(|text| said.contains(*text)) {
        return Verdict::Failed(format!("gdb said `{text}`"));
    }
    let mut rest = said;
    for text in expected {
        match rest.split_once(text) {
            Some((_, after)) => rest = after,
            None => return Verdict::Failed(format!("gdb did not say `{text}` where it was due")),
        }
    }
    if success { Verdict::Passed } else { Verdict::Failed(format!("gdb ended with {status}")) }
}

/// Judges the kernel's own tests, which run on after gdb has detached.
fn judge_kernel(end: Option<ExitStatus>, console: &str) -> Verdict {
    let end = match end {
        None => End::Timeout,
        Some(status) => status.code().map_or(End::Signal(0), End::Status),
    };
    let cases = judge::tests(end, "after gdb's `detach`", console);
    let bad = cases.into_iter().map(|case| case.verdict).find(|verdict| *verdict != Verdict::Passed);
    bad.unwrap_or(Verdict::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn the_kernel_must_pass_too() {
        let pass =
            "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..1\n    ok 1 a\nok 1 s\n";
        let judge = |status: Option<i32>, console| {
            judge_kernel(status.map(|status| ExitStatus::from_raw(status << 8)), console)
        };
        assert_eq!(judge(Some(0), pass), Verdict::Passed);
        for (status, console) in [(Some(1), pass), (Some(101), pass), (None, pass), (Some(0), "")] {
            assert_ne!(judge(status, console), Verdict::Passed);
        }
    }

    #[test]
    fn a_session_passes_only_on_everything_in_order() {
        let good =
            |said, success| judge_gdb(said, &["one", "two"], &["bad"], success, "1") == Verdict::Passed;
        assert!(good("one\nnoise\ntwo", true));
        assert!(!good("one\ntwo", false));
        assert!(!good("two\none", true));
        assert!(!good("one", true));
        assert!(!good("one\nbad\ntwo", true));
        assert_ne!(judge_gdb("x", &[], &[], true, "0"), Verdict::Passed);
    }

    #[test]
    fn marks_are_read_from_comments() {
        let script = "# append: mode=run hz=10\n# expect: Breakpoint 1\ncontinue\n  # expect: kernel_main\n";
        assert_eq!(marked(script, "# expect:").collect::<Vec<_>>(), ["Breakpoint 1", "kernel_main"]);
        assert_eq!(marked(script, "# append:").collect::<Vec<_>>(), ["mode=run hz=10"]);
    }
}
