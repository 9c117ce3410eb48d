//! A boot whose console is kept instead of shown.

use crate::qemu::{Machine, Start};
use crate::session::{self, End, Flow, Input};
use crate::symbolise::Symboliser;
use crate::trace::conform;
use anyhow::Result;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many of the console's last lines are shown when a boot went wrong.
const TAIL: usize = 40;

/// The result of a boot.
#[derive(Debug)]
pub struct Captured {
    /// How the boot ended.
    pub end: End,
    /// Its console, without carriage returns.
    pub console: String,
    /// How long the boot took, on the host's clock.
    pub wall: Duration,
}

/// Boots, and keeps the console until the end or until `enough` of it is there.
///
/// # Errors
/// When QEMU cannot be started.
pub fn capture(
    machine: &Machine,
    start: &Start<'_>,
    limit: Option<Duration>,
    enough: impl Fn(&str) -> bool,
) -> Result<Captured> {
    keep(machine, start, limit, Input::None, enough)
}

/// Boots, types `text` at the monitor's first prompt, and keeps the console until the end.
///
/// # Errors
/// When QEMU cannot be started.
pub fn typed(
    machine: &Machine,
    start: &Start<'_>,
    limit: Option<Duration>,
    text: String,
) -> Result<Captured> {
    keep(machine, start, limit, Input::Text(text), to_the_end)
}

fn keep(
    machine: &Machine,
    start: &Start<'_>,
    limit: Option<Duration>,
    input: Input,
    enough: impl Fn(&str) -> bool,
) -> Result<Captured> {
    let begin = Instant::now();
    let mut bytes = Vec::new();
    let traced = conform::traced(machine)?;
    let machine = traced.as_ref().map_or(machine, |(machine, _)| machine);
    let mut command = machine.command(start);
    // QEMU's own complaints are added to this boot's console: printed at once, they would come between the lines of other boots.
    let complaints = tempfile::tempfile()?;
    command.stderr(complaints.try_clone()?);
    let end = session::run(&mut command, input, limit, |piece| {
        bytes.extend(piece);
        if enough(&String::from_utf8_lossy(&bytes)) { Flow::Stop } else { Flow::Continue }
    })?;
    let mut console = String::from_utf8_lossy(&bytes).replace('\r', "");
    let complaints = read_back(complaints)?;
    if !complaints.is_empty() {
        console.push('\n');
        console.push_str(&complaints);
    }
    let wall = begin.elapsed();
    if let Some((machine, memory)) = &traced {
        conform::replay(machine, memory);
    }
    Ok(Captured { end, console, wall })
}

fn read_back(mut file: std::fs::File) -> Result<String> {
    use std::io::{Read, Seek};
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// For boots that end by themselves: the console never holds enough.
pub fn to_the_end(_: &str) -> bool {
    false
}

impl Captured {
    /// The console's last lines, with file and line in backtraces.
    pub fn tail(&self, elf: &Path) -> String {
        let mut lines = Symboliser::new(elf);
        let mut shown = lines.feed(self.console.as_bytes());
        shown.extend(lines.finish());
        let text = String::from_utf8_lossy(&shown);
        let all: Vec<_> = text.trim_end().lines().collect();
        all[all.len().saturating_sub(TAIL)..].join("\n")
    }

    /// How the boot ended, in words.
    pub fn ending(&self) -> String {
        match self.end {
            End::Status(status) => format!("status {status}"),
            End::Signal(signal) => format!("QEMU ended by signal {signal}"),
            End::Timeout => format!("hang: ended after {:.0} s", self.wall.as_secs_f64()),
            End::Stopped => "stopped".into(),
        }
    }
}
