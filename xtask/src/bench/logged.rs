//! A boot in which QEMU logs instructions one by one. The log is read while it is written, because it is long. The guest is stopped
//! where logging is switched, and its clock does not advance while it is stopped.

use super::log::{Reader, Run};
use crate::gdbstub::Stub;
use crate::ktap::is_panic;
use crate::qemu::{LOG_INSTRUCTIONS, Machine, Start, one_at_a_time};
use crate::remote::Remote;
use crate::session::{self, End, Flow, Input};
use crate::setup::facts;
use anyhow::{Context, Result, anyhow, bail};
use std::io::{BufRead, BufReader, PipeReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// A connection to the guest's gdbstub.
pub type Guest = Remote<UnixStream>;

/// A boot that came to its end.
pub struct Boot<T> {
    pub console: String,
    pub log: Reader,
    /// What the boot's control has returned; None if QEMU ended before it could be controlled.
    pub controlled: Option<T>,
}

/// QEMU's command line, for `--dry-run`.
pub fn shell_line(machine: &Machine, image: &Path) -> String {
    let version = facts::qemu_version().unwrap_or_default();
    let line = machine.shell_line(&Start::Kernel(image));
    format!("{line} {} -d {LOG_INSTRUCTIONS}", one_at_a_time(version).join(" "))
}

/// Switches the log on.
///
/// # Errors
/// When QEMU does not answer.
pub fn begin(guest: &mut Guest) -> Result<()> {
    guest.monitor(&format!("log {LOG_INSTRUCTIONS}"))
}

/// Switches the log off.
///
/// # Errors
/// When QEMU does not answer.
pub fn stop(guest: &mut Guest) -> Result<()> {
    guest.monitor("log none")
}

/// Boots without a log, and has `control` switch it on. `control` gets each run between two of the `marks` as soon as the run is in
/// the log.
///
/// # Errors
/// When `control` fails, or when the kernel does not come to its end.
pub fn boot<T: Send>(
    machine: &Machine,
    image: &Path,
    limit: Option<Duration>,
    marks: [u64; 2],
    control: impl FnOnce(Guest, Receiver<Run>) -> Result<T> + Send,
) -> Result<Boot<T>> {
    let stub = Stub::new()?;
    let machine = Machine { gdb: Some(stub.option()), ..machine.clone() };
    let mut command = machine.command(&Start::Kernel(image));
    command.args(one_at_a_time(facts::qemu_version().context("no QEMU")?));
    let (log, writer) = std::io::pipe()?;
    command.stderr(writer);
    let over = AtomicBool::new(false);
    let (sender, runs) = channel();
    let mut console = Vec::new();
    thread::scope(|scope| {
        let log = scope.spawn(move || read(log, marks, &sender));
        let controlled = scope.spawn(|| -> Result<Option<T>> {
            let guest = Remote::connect(&stub.socket(), || over.load(SeqCst))?;
            guest.map(|guest| control(guest, runs)).transpose()
        });
        let end = session::run(&mut command, Input::None, limit, |piece| {
            console.extend(piece);
            Flow::Continue
        });
        over.store(true, SeqCst);
        // The log ends when no process can write to it any more.
        drop(command);
        let gone = |_| anyhow!("a thread panicked");
        let (log, complaints) = log.join().map_err(gone)??;
        let controlled = controlled.join().map_err(gone)?;
        let (end, console) = (end?, String::from_utf8_lossy(&console).replace('\r', ""));
        // If the connection is gone, the end of QEMU or of the kernel gives the better reason.
        if end != End::Status(0) || console.lines().any(is_panic) {
            let told = [console.as_str(), &complaints].join("\n");
            bail!("the kernel did not come to its end ({end:?}):\n{}", told.trim());
        }
        Ok(Boot { console, log, controlled: controlled? })
    })
}

/// Also returns the other lines that QEMU has written among its log.
fn read(log: PipeReader, marks: [u64; 2], runs: &Sender<Run>) -> Result<(Reader, String)> {
    let mut reader = Reader::new(marks);
    let mut complaints = String::new();
    let mut log = BufReader::with_capacity(1 << 16, log);
    let mut line = Vec::new();
    while log.read_until(b'\n', &mut line)? != 0 {
        let text = String::from_utf8_lossy(&line);
        if !reader.line(text.trim_end()) {
            complaints += &text;
        }
        // Nobody may be interested in the runs any more.
        reader.take_runs().into_iter().for_each(|run| _ = runs.send(run));
        line.clear();
    }
    Ok((reader, complaints))
}
