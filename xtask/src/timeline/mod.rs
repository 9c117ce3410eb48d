//! `timeline`: records a run of a sweep's scenario, and draws it as a page for a browser, as JSON for Perfetto, or as text.
//!
//! - `spans`: what the records say, as spans of exceptions and stretches of the same state;
//! - `boundary`: at which instruction the scenario is interrupted;
//! - `html` (with `page.html`, `page.css` and `page.js`), `perfetto`: what is written; `names`: what a PC is called;
//! - `browser`: has Chromium open the page, and reads what the page says of itself; `judge`: whether that is what the trace says.

mod boundary;
pub mod browser;
#[cfg(test)]
mod fixture;
mod html;
mod judge;
mod names;
mod perfetto;
mod spans;
#[cfg(test)]
mod spans_tests;

use crate::args::{self, Common};
use crate::capture::{Captured, capture, to_the_end};
use crate::machines;
use crate::paths::root;
use crate::qemu::{Machine, Start};
use crate::run::{kernel, planned_image};
use crate::say::say;
use crate::session::End;
use crate::setup::{self, decide::Need};
use crate::test::Kernel;
use crate::trace::{self, Memory, Trace};
use crate::{inventory, pack};
use anyhow::{Context, Result, bail, ensure};
use names::Names;
use spans::Timeline;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The scenario that is recorded if the user names none: a breakpoint whose step-over is interrupted.
const SCENARIO: &str = "breakpoint";
/// How long a boot may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Records and writes. Returns whether the run, and with `--check` the page, is as it has to be.
///
/// # Errors
/// When the kernel does not build or leaves no trace, no scenario has this name, or a file cannot be written.
pub fn timeline(arguments: &args::Timeline) -> Result<bool> {
    let common = &arguments.common;
    let name = arguments.scenario.as_deref().unwrap_or(SCENARIO);
    if common.dry_run {
        let machine = machine(common, name, arguments.k.unwrap_or(0));
        println!("{}", machine.shell_line(&Start::Kernel(&planned_image(common))));
        return Ok(true);
    }
    if arguments.check {
        setup::prepare(Need { browser: true, ..Need::default() })?;
    }
    let elf = kernel(common, Need { qemu: true, ..Need::default() })?;
    let image = pack::pack(&elf)?;
    let kernel = Kernel { elf, image, limit: common.limit(Some(LIMIT)) };
    let all = inventory::ask(&kernel.elf, &kernel.image, kernel.limit)?.sweeps;
    ensure!(all.iter().any(|one| one == name), "no scenario is named `{name}`; there are {}", all.join(", "));
    let recorded = record(&kernel, common, name, arguments.k)?;
    let drawn = Drawn::new(&kernel, &recorded, arguments.records as usize)?;
    let page = arguments.out.clone().unwrap_or_else(|| root().join("target/timeline.html"));
    drawn.write(&page, arguments.perfetto.as_deref())?;
    let (records, lost) = (recorded.trace.len(), recorded.trace.lost());
    say!("{}: {records} records, {lost} missing", recorded.title);
    say!("written: {} and {}", page.display(), beside(&page, arguments.perfetto.as_deref()).display());
    if arguments.text {
        drawn.print();
    }
    if !recorded.good {
        say!("the run is not as it has to be: {}", recorded.ending);
    }
    if !arguments.check {
        return Ok(recorded.good);
    }
    let opened = browser::open(&page, arguments.screenshot.as_deref())?;
    let wrong = judge::wrong(&drawn.timeline, &opened);
    wrong.iter().for_each(|what| say!("{}: {what}", page.display()));
    if wrong.is_empty() {
        say!("{} spans drawn and walked through in {}", opened.spans, browser::NAME);
    }
    Ok(recorded.good && wrong.is_empty())
}

/// The machine on which a scenario is recorded.
fn machine(common: &Common, name: &str, k: u64) -> Machine {
    let append = format!("mode=sweep trace=1 test={name} k={k}");
    common.machine(machines::TIMELINE.machine(&append))
}

/// A run that was recorded.
struct Recorded {
    /// What the page is called.
    title: String,
    trace: Trace,
    /// Whether one tick is one instruction.
    exact: bool,
    good: bool,
    /// How the boot has ended, with the console's last lines.
    ending: String,
}

/// Records the scenario with an interrupt at the boundary `k`, or at one that [`boundary`] finds.
fn record(kernel: &Kernel, common: &Common, name: &str, k: Option<u64>) -> Result<Recorded> {
    let first = k.unwrap_or(0);
    let (trace, boot) = boot(kernel, &machine(common, name, first))?;
    let better = if k.is_none() { boundary::in_a_debug_exception(&trace) } else { None };
    let (k, (trace, boot)) = match better {
        Some(k) => (k, self::boot(kernel, &machine(common, name, k))?),
        None => (first, (trace, boot)),
    };
    let ending = format!("{}\n{}", boot.ending(), boot.tail(&kernel.elf));
    let title = format!("Stepwell: {name}, interrupted at k={k}");
    Ok(Recorded {
        title,
        trace,
        exact: machine(common, name, k).icount,
        good: boot.end == End::Status(0),
        ending,
    })
}

fn boot(kernel: &Kernel, machine: &Machine) -> Result<(Trace, Captured)> {
    let memory = Memory::new()?;
    let machine = Machine { memory: Some(memory.path()), ..machine.clone() };
    let boot = capture(&machine, &Start::Kernel(&kernel.image), kernel.limit, to_the_end)?;
    let trace =
        trace::read(&memory).with_context(|| format!("{}:\n{}", boot.ending(), boot.tail(&kernel.elf)))?;
    if trace.len() == 0 {
        bail!("the trace has no records:\n{}", boot.tail(&kernel.elf));
    }
    Ok((trace, boot))
}

/// Where the JSON is written.
fn beside(page: &Path, perfetto: Option<&Path>) -> PathBuf {
    perfetto.map_or_else(|| page.with_extension("perfetto.json"), PathBuf::from)
}

/// A timeline with the names of its places.
struct Drawn<'a> {
    recorded: &'a Recorded,
    timeline: Timeline,
    names: Names,
}

impl<'a> Drawn<'a> {
    fn new(kernel: &Kernel, recorded: &'a Recorded, most: usize) -> Result<Self> {
        let (timeline, names) = (Timeline::of(&recorded.trace, most), Names::of(&kernel.elf)?);
        Ok(Self { recorded, timeline, names })
    }

    /// Writes the page, and the JSON beside it or where the user wants it.
    fn write(&self, page: &Path, perfetto: Option<&Path>) -> Result<()> {
        let Recorded { title, exact, .. } = self.recorded;
        let start = boundary::interrupt_to_show(&self.timeline);
        let text = html::page(&self.timeline, &self.names, title, *exact, start)?;
        let beside = beside(page, perfetto);
        for (path, text) in [(page, text), (&beside, perfetto::json(&self.timeline, &self.names, title))] {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Prints each CPU's records as text.
    fn print(&self) {
        for cpu in 0..self.timeline.cpus {
            let of_cpu = self.timeline.records.iter().filter(|record| usize::from(record.cpu) == cpu);
            for line in ::trace::text::lines(of_cpu) {
                let place = self.names.function(line.record.pc);
                println!("{line}  {}", place.unwrap_or_else(|| format!("{:#x}", line.record.pc)));
            }
        }
    }
}

/// For `qemu-test`: records the default scenario on its machine, and has the browser open the page. Returns what is wrong.
///
/// # Errors
/// When there is no trace, or no browser.
pub fn check(kernel: &Kernel, common: &Common) -> Result<Vec<String>> {
    setup::prepare(Need { browser: true, ..Need::default() })?;
    let recorded = record(kernel, common, SCENARIO, None)?;
    let drawn = Drawn::new(kernel, &recorded, usize::MAX)?;
    let place = tempfile::Builder::new().prefix("stepwell-timeline").tempdir()?;
    let page = place.path().join("timeline.html");
    drawn.write(&page, None)?;
    let mut wrong = judge::wrong(&drawn.timeline, &browser::open(&page, None)?);
    if !recorded.good {
        wrong.push(recorded.ending.clone());
    }
    let shown =
        boundary::interrupt_to_show(&drawn.timeline).and_then(|span| drawn.timeline.spans[span].entry);
    if shown.is_none_or(|entry| entry.stash == 0 || entry.before.owners.is_empty()) {
        wrong.push("the interrupt has not come in the middle of the step-over".into());
    }
    Ok(wrong)
}

/// The machine of [`check`].
pub fn machine_of_check(common: &Common) -> Machine {
    machine(common, SCENARIO, 0)
}
