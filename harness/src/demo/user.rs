//! A program that traps, watches and steps itself by system calls of Linux: `tests/demo/debugs_itself.c`.
//!
//! Each item is a process of its own. It says how many debug exceptions the kernel must have taken for it; here these are counted.

use super::{Failure, Finding, Outcome, Show};
use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use kernel::debug::stats;
use kernel::exception::DebugFrame;
use kernel::fs::OpenFiles;
use kernel::kprobe::{self, Kprobe, Then};
use kernel::{task, userspace};
use programs::start::Strings;

/// Where the initial ramdisk has the program.
const PROGRAM: &[u8] = b"/bin/debugs_itself";
/// More than the words of the program's command line need.
const ROOM: u64 = 4096;

pub const ITEMS: [(&str, Show); 4] = [
    ("user BRK", || show("brk")),
    ("user break", || show("breakpoint")),
    ("user watch", || show("watchpoint")),
    ("user step", || show("step")),
];

/// Whether the machine has an initial ramdisk, which is then unpacked.
pub fn is_there() -> Result<bool, String> {
    userspace::prepare_from_ramdisk()
}

/// The BRKs of programs.
static BRKS: AtomicU64 = AtomicU64::new(0);

fn show(item: &str) -> Outcome {
    let delivery = task::brk as *const () as u64;
    let of_slots = || stats::BREAKPOINTS.sum() + stats::WATCHPOINTS.sum();
    BRKS.store(0, Relaxed);
    let before = of_slots();
    kprobe::register(delivery, Some(count_brk), None)?;
    let ended = run(item);
    let (_, missed) = kprobe::unregister(delivery)?;
    let (status, line) = ended?;
    let taken = of_slots() - before + BRKS.load(Relaxed);
    let (due, counts) = line.split_once(' ').ok_or_else(|| Failure(format!("no counts; status {status}")))?;
    Ok(Finding {
        counts: format!("{counts}; {taken} exceptions"),
        agree: status == 0 && due.parse() == Ok(taken) && missed == 0,
    })
}

/// Runs the program. Returns its status and the line that it has written, if it has.
fn run(item: &str) -> Result<(u8, String), Failure> {
    let mut arguments = Strings::new(ROOM);
    let line = format!("/tmp/debugs_itself.{item}");
    for word in [PROGRAM, item.as_bytes(), line.as_bytes()] {
        arguments.push(word).map_err(|error| Failure(format!("{error:?}")))?;
    }
    let failed = |error| Failure(format!("{}: {error:?}", String::from_utf8_lossy(PROGRAM)));
    let environment = Strings::new(ROOM);
    // The program has no terminal: the monitor is going to take the console's input.
    let files = |_| Ok(OpenFiles::default());
    let process = task::spawn(PROGRAM, &arguments, &environment, files).map_err(failed)?.process.clone();
    let status = process.wait_for_end().as_shells_show_it();
    let line = userspace::content(line.as_bytes()).map_err(failed)?.unwrap_or_default();
    Ok((status, String::from_utf8_lossy(&line).into_owned()))
}

fn count_brk(_: &Kprobe, _: &mut DebugFrame) -> Then {
    BRKS.fetch_add(1, Relaxed);
    Then::Run
}
