//! The tests that run on the host: `cargo test`, whose output is read and counted.

use super::outcome::{Case, Outcome};
use crate::ktap::Verdict;
use crate::paths::{root, target_dir};
use anyhow::{Context, Result};
use std::io::{Read, Seek};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const COMMAND: [&str; 2] = ["test", "--no-fail-fast"];

/// Runs the tests whose name contains `filter`.
pub fn run(filter: Option<&str>) -> Outcome {
    try_run(filter).unwrap_or_else(|error| Outcome::not_run("host", "host", &error))
}

/// The arguments with which cargo runs the lock-free protocols under the model checker `loom`.
const MODELS: [&str; 9] = [
    "test",
    "--no-fail-fast",
    "--profile",
    "models",
    "--test",
    "models",
    "--package",
    "stepwell-slots",
    "--package=stepwell-protocols",
];
const MODELS_NAME: &str = "models";
const MODELS_FLAGS: &str = "--cfg loom";

/// Runs the models of protocols whose name contains `filter`.
pub fn run_models(filter: Option<&str>) -> Outcome {
    let begin = Instant::now();
    let mut cargo = Command::new("cargo");
    // The models have a target directory of their own. In a shared directory the different flags would make cargo build everything
    // again, here and in the next ordinary build.
    cargo
        .args(MODELS)
        .args(filter)
        .env("RUSTFLAGS", MODELS_FLAGS)
        .env("CARGO_TARGET_DIR", target_dir().join("loom"));
    match output(cargo) {
        Ok((success, text)) => {
            let replay =
                format!("RUSTFLAGS='{MODELS_FLAGS}' cargo {} --target-dir target/loom", MODELS.join(" "));
            judged(MODELS_NAME, success, &text, replay, begin)
        }
        Err(error) => Outcome::not_run(MODELS_NAME, "host", &error),
    }
}

/// Package and test target of the tests that take minutes. They are marked as ignored, and run in release only.
const LONG: (&str, &str) = ("stepwell-probe", "oracle");

/// Runs the long tests whose name contains `filter`. `doing` is called with their progress.
pub fn run_long(filter: Option<&str>, doing: impl FnMut(&str)) -> Outcome {
    try_run_long(filter, doing).unwrap_or_else(|error| Outcome::not_run(LONG_NAME, "host", &error))
}

const LONG_NAME: &str = "host, long tests";

fn try_run_long(filter: Option<&str>, mut doing: impl FnMut(&str)) -> Result<Outcome> {
    let begin = Instant::now();
    let (package, target) = LONG;
    let arguments = ["test", "--release", "--package", package, "--test", target, "--", "--ignored"];
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(arguments).args(filter).env("CARGO_TERM_COLOR", "never");
    // libtest writes verdicts to the standard output. The tests write their progress to the standard error, which libtest does not
    // capture when they write there directly.
    let mut verdicts = tempfile::tempfile()?;
    cargo.stdin(Stdio::null()).stdout(verdicts.try_clone()?).stderr(Stdio::piped());
    let mut child = cargo.spawn().context("cannot start cargo")?;
    let mut text = progress(&mut child, |percent| doing(&format!("{target}: {percent}")))?;
    let success = child.wait()?.success();
    verdicts.rewind()?;
    verdicts.read_to_string(&mut text)?;
    let mut cases = parse(&text);
    if !success && !cases.iter().any(|case| matches!(case.verdict, Verdict::Failed(_))) {
        cases.push(Case::unknown("host", LONG_NAME, "cargo failed, but no test did".into()));
    }
    let lines: Vec<_> = text.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(60)..].join("\n");
    let replay = format!("cargo {} {}", arguments.join(" "), filter.unwrap_or_default());
    Ok(Outcome { name: LONG_NAME.into(), cases, tail, replay, wall: begin.elapsed() })
}

/// Reads the child's standard error to its end. Pieces that end in a carriage return are progress and go to `tell`; the rest is
/// returned.
fn progress(child: &mut Child, mut tell: impl FnMut(&str)) -> Result<String> {
    let mut text = String::new();
    let mut piece = Vec::new();
    for byte in std::io::BufReader::new(child.stderr.take().context("no pipe")?).bytes() {
        let byte = byte?;
        match byte {
            b'\r' => tell(String::from_utf8_lossy(&std::mem::take(&mut piece)).trim()),
            b'\n' => {
                text += &String::from_utf8_lossy(&std::mem::take(&mut piece));
                text.push('\n');
            }
            _ => piece.push(byte),
        }
    }
    Ok(text + &String::from_utf8_lossy(&piece))
}

/// The names of all tests, each behind the name of its crate.
///
/// # Errors
/// When the tests do not build.
pub fn list() -> Result<Vec<String>> {
    let (_, text) = cargo(&["--", "--list"])?;
    let names = labelled(&text).filter_map(|(label, line)| {
        let name = line.strip_suffix(": test")?;
        Some(format!("{label} {name}"))
    });
    Ok(names.collect())
}

fn try_run(filter: Option<&str>) -> Result<Outcome> {
    let begin = Instant::now();
    let (success, text) = cargo(filter.as_slice())?;
    let replay = format!("cargo {} {}", COMMAND.join(" "), filter.unwrap_or_default());
    Ok(judged("host", success, &text, replay, begin))
}

/// The outcome of a run of `cargo test`, from its output.
fn judged(name: &str, success: bool, text: &str, replay: String, begin: Instant) -> Outcome {
    let mut cases = parse(text);
    let failed = cases.iter().any(|case| matches!(case.verdict, Verdict::Failed(_)));
    if !success && !failed {
        cases.push(Case::unknown("host", "cargo test", "cargo failed, but no test did".into()));
    }
    let lines: Vec<_> = text.trim_end().lines().collect();
    let tail = lines[lines.len().saturating_sub(60)..].join("\n");
    Outcome { name: name.into(), cases, tail, replay, wall: begin.elapsed() }
}

/// Runs `cargo test`. Returns whether it succeeded, and its two outputs in the order in which they were written.
fn cargo(arguments: &[&str]) -> Result<(bool, String)> {
    let mut cargo = Command::new("cargo");
    cargo.args(COMMAND).args(arguments);
    output(cargo)
}

fn output(mut cargo: Command) -> Result<(bool, String)> {
    let mut file = tempfile::tempfile()?;
    cargo.current_dir(root()).stdin(Stdio::null());
    cargo.env("CARGO_TERM_COLOR", "never").stdout(file.try_clone()?).stderr(file.try_clone()?);
    let status = cargo.status().context("cannot start cargo")?;
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok((status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// Every line of the output, with the crate whose tests were running at that line.
fn labelled(text: &str) -> impl Iterator<Item = (String, &str)> {
    let mut label = String::new();
    text.lines().map(move |line| {
        let words = line.trim_start();
        if let Some(rest) = words.strip_prefix("Running ") {
            let program = rest.rsplit(['/', '(']).next().unwrap_or_default().trim_end_matches(')');
            label = program.rsplit_once('-').map_or(program, |(name, _hash)| name).to_owned();
        } else if let Some(name) = words.strip_prefix("Doc-tests ") {
            label = format!("{name} documentation");
        }
        (label.clone(), line)
    })
}

fn parse(text: &str) -> Vec<Case> {
    let cases = labelled(text).filter_map(|(label, line)| {
        let (name, result) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
        let verdict = match result {
            "ok" => Verdict::Passed,
            "FAILED" => Verdict::Failed("see the output".into()),
            _ => Verdict::Skipped(
                result.strip_prefix("ignored").map(|why| why.trim_start_matches([',', ' ']))?.into(),
            ),
        };
        Some(Case::new(&label, name, verdict))
    });
    cases.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_output_is_read() {
        let text = "     Running unittests src/lib.rs (target/debug/deps/stepwell_rules-0123abcd)\n\
            test table::tests::every_row ... ok\n\
            test table::tests::slow ... ignored, takes an hour\n\
            test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured\n   Doc-tests rules\n\
            test rules/src/lib.rs - decide (line 12) ... FAILED\n";
        let cases = parse(text);
        assert_eq!(
            cases,
            [
                Case::new("stepwell_rules", "table::tests::every_row", Verdict::Passed),
                Case::new("stepwell_rules", "table::tests::slow", Verdict::Skipped("takes an hour".into())),
                Case::new(
                    "rules documentation",
                    "rules/src/lib.rs - decide (line 12)",
                    Verdict::Failed("see the output".into())
                ),
            ]
        );
    }
}
