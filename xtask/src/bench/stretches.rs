//! How long each path keeps D, and I, masked: a boot with `mode=stretches` whose every instruction QEMU logs.

use super::log::{Longest, Reader, Stretch};
use crate::gdbstub::Stub;
use crate::ktap::is_panic;
use crate::qemu::{LOG_INSTRUCTIONS, Machine, Start, one_at_a_time};
use crate::remote::Remote;
use crate::session::{self, End, Flow, Input};
use crate::setup::facts;
use crate::symbols::{self, Kind, Symbol};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, PipeReader};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// What the kernel calls where a path begins and ends.
const MARK: &str = "bench_mark";
/// Where exceptions begin.
const VECTORS: &str = "vectors";

/// How long a path keeps exceptions masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    pub name: String,
    pub longest: Longest,
    /// Where the stretch with D masked begins, in words; empty if there is none.
    pub d_from: String,
    /// And the one with I masked.
    pub i_from: String,
}

/// The machine that the paths run on: `machine` with another mode.
pub fn machine(machine: &Machine) -> Machine {
    Machine { append: machine.append.replace("mode=bench", "mode=stretches"), ..machine.clone() }
}

/// QEMU's command line for a user to read.
pub fn shell_line(machine: &Machine, image: &Path) -> String {
    let version = facts::qemu_version().unwrap_or_default();
    format!("{} {}", machine.shell_line(&Start::Kernel(image)), one_at_a_time(version).join(" "))
}

/// Boots and counts.
///
/// # Errors
/// When the kernel does not come to its end, or the log and the counter contradict each other.
pub fn measure(machine: &Machine, elf: &Path, image: &Path, limit: Option<Duration>) -> Result<Vec<Masked>> {
    let bytes = std::fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let parsed = symbols::parse(&bytes)?;
    let mark = symbols::value(&parsed, MARK)?;
    let version = facts::qemu_version().context("no QEMU")?;
    let stub = Stub::new()?;
    let machine = Machine { gdb: Some(stub.option()), ..machine.clone() };
    let mut command = machine.command(&Start::Kernel(image));
    command.args(one_at_a_time(version));
    let boot = boot(command, &stub, mark, limit)?;
    if boot.end != End::Status(0) || boot.console.lines().any(is_panic) {
        let told = [boot.console.as_str(), &boot.complaints].join("\n");
        bail!("the kernel did not come to its end ({:?}):\n{}", boot.end, told.trim());
    }
    let names = names(&boot.console)?;
    let functions =
        Functions { start: symbols::value(&parsed, "__image_start")?, all: symbols::read(&parsed)? };
    combine(names, boot.log.finish()?, |pc| functions.name(pc))
}

/// A boot that is over.
struct Boot {
    end: End,
    console: String,
    /// What QEMU said besides its log.
    complaints: String,
    log: Reader,
}

/// Runs QEMU with its log, which is long, read as it comes. The log begins at the first mark, where the guest is stopped for
/// that: its time stands still meanwhile.
fn boot(mut command: Command, stub: &Stub, mark: u64, limit: Option<Duration>) -> Result<Boot> {
    let (log, writer) = std::io::pipe()?;
    command.stderr(writer);
    let over = AtomicBool::new(false);
    let mut console = Vec::new();
    thread::scope(|scope| {
        let log = scope.spawn(|| read(log, mark));
        let switch = scope.spawn(|| log_from(stub, mark, || over.load(SeqCst)));
        let end = session::run(&mut command, Input::None, limit, |piece| {
            console.extend(piece);
            Flow::Continue
        });
        over.store(true, SeqCst);
        // The log ends when nobody can write to it any more.
        drop(command);
        let gone = |_| anyhow!("a thread panicked");
        let (log, complaints) = log.join().map_err(gone)??;
        let switched = switch.join().map_err(gone)?;
        let (end, console) = (end?, String::from_utf8_lossy(&console).replace('\r', ""));
        // What QEMU or the kernel says of its end says more than a connection that is gone.
        if end == End::Status(0) {
            switched?;
        }
        Ok(Boot { end, console, complaints, log })
    })
}

fn log_from(stub: &Stub, mark: u64, over: impl Fn() -> bool) -> Result<()> {
    let Some(mut remote) = Remote::connect(&stub.socket(), over)? else { return Ok(()) };
    remote.run_to(mark)?;
    remote.monitor(LOG_INSTRUCTIONS)?;
    remote.detach()
}

fn read(log: PipeReader, mark: u64) -> Result<(Reader, String)> {
    let mut reader = Reader::new(mark);
    let mut complaints = String::new();
    let mut log = BufReader::with_capacity(1 << 16, log);
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? != 0 {
        let text = String::from_utf8_lossy(&line);
        if !reader.line(text.trim_end()) {
            complaints += &text;
        }
        line.clear();
    }
    Ok((reader, complaints))
}

/// Reads the lines `stretch: NUMBER NAME`.
fn names(console: &str) -> Result<BTreeMap<u64, String>> {
    let mut names = BTreeMap::new();
    for line in console.lines().filter_map(|line| line.strip_prefix("stretch: ")) {
        let (number, name) = line.trim().split_once(' ').with_context(|| format!("half a path: {line}"))?;
        let number = number.parse().with_context(|| format!("no number: {line}"))?;
        if names.values().any(|other| other == name) || names.insert(number, name.to_owned()).is_some() {
            bail!("the kernel gives the path {name} twice");
        }
    }
    Ok(names)
}

/// Each name with its count, in the order of the numbers.
fn combine(
    names: BTreeMap<u64, String>,
    mut counts: BTreeMap<u64, Longest>,
    place: impl Fn(u64) -> String,
) -> Result<Vec<Masked>> {
    let mut paths = Vec::new();
    for (number, name) in names {
        let longest = counts.remove(&number).with_context(|| format!("{name} is not in QEMU's log"))?;
        let from = |stretch: Stretch| {
            if stretch.insns == 0 { String::new() } else { place(stretch.from) }
        };
        paths.push(Masked { name, longest, d_from: from(longest.d), i_from: from(longest.i) });
    }
    if let Some(number) = counts.keys().next() {
        bail!("path {number} of QEMU's log has no name");
    }
    if paths.is_empty() {
        bail!("the kernel ran no path");
    }
    Ok(paths)
}

/// The kernel's functions.
struct Functions {
    /// Where the image is linked.
    start: u64,
    all: Vec<Symbol>,
}

impl Functions {
    /// The function that an instruction is of; for a vector which one.
    fn name(&self, pc: u64) -> String {
        let offset = pc.wrapping_sub(self.start);
        let holds = |symbol: &&Symbol| {
            let start = u64::from(symbol.offset);
            symbol.kind == Kind::Text && (start..start + u64::from(symbol.size)).contains(&offset)
        };
        let Some(symbol) = self.all.iter().rfind(holds) else { return format!("{pc:#x}") };
        if symbol.name == VECTORS {
            let kinds = ["sync", "IRQ", "FIQ", "SError"];
            let vector = (offset - u64::from(symbol.offset)) / 0x80;
            return format!("{} vector", kinds[(vector % 4) as usize]);
        }
        symbol.name.clone()
    }
}
