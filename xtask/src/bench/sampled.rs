//! Logs the marked samples of the rows: of the kernel's with `mode=samples`, and of the programs' in a boot of each.

use super::logged::{self, Guest};
use super::samples::{self, Counted, Sample};
use super::{log::Run, programs};
use crate::code::Text;
use crate::qemu::Machine;
use crate::symbols;
use crate::test::Kernel;
use anyhow::{Context, Result};
use object::{Object, ObjectSection, ObjectSegment};
use std::collections::BTreeMap;
use std::fs;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// How long a run may take from the guest's stop to the reader of the log.
const PATIENCE: Duration = Duration::from_secs(60);

/// The marks of samples (`harness/src/bench/samples.rs`, `tests/bench/bench.h`).
#[derive(Clone, Copy)]
struct Marks {
    begin: u64,
    end: u64,
}

impl Marks {
    /// The marks of a program are in front of its entry point: two instructions and four.
    fn of_program(entry: u64) -> Self {
        Self { begin: entry - 24, end: entry - 16 }
    }

    /// The last instruction of the end's mark, where the guest is stopped.
    fn stop(self) -> u64 {
        self.end + 12
    }
}

/// The machine for the kernel's samples: the machine of the rows, with `mode=samples`.
pub fn machine(machine: &Machine) -> Machine {
    Machine { append: machine.append.replace("mode=bench", "mode=samples"), ..machine.clone() }
}

/// Counts what the operation of each row executes. `measured` is the console of the boots that have measured the rows.
///
/// # Errors
/// When a boot does not come to its end, or when the log, the counter and the guest's console contradict each other.
pub fn measure(kernel: &Kernel, base: &Machine, measured: &str) -> Result<Vec<Counted>> {
    let elf = &kernel.elf;
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let parsed = symbols::parse(&bytes)?;
    let section = parsed.section_by_name(".text").context("the kernel's ELF has no .text")?;
    let text = Text { address: section.address(), bytes: section.data()? };
    let marks = Marks {
        begin: symbols::value(&parsed, "sample_begin")?,
        end: symbols::value(&parsed, "sample_end")?,
    };
    let (console, samples) = log_samples(kernel, &machine(base), marks, &[text])?;
    let mut counted = samples::read(&console, &samples, measured)?;
    for ready in programs::ready(base)? {
        let bytes = fs::read(&ready.program)?;
        let program = symbols::parse(&bytes)?;
        let mut texts = vec![Text { address: section.address(), bytes: section.data()? }];
        for segment in program.segments() {
            texts.push(Text { address: segment.address(), bytes: segment.data()? });
        }
        let marks = Marks::of_program(program.entry());
        let (console, samples) = log_samples(kernel, &ready.machine, marks, &texts)?;
        counted.extend(samples::read(&console, &samples, measured)?);
    }
    Ok(counted)
}

/// Boots, and returns the console and the samples.
fn log_samples(
    kernel: &Kernel,
    machine: &Machine,
    marks: Marks,
    texts: &[Text<'_>],
) -> Result<(String, Vec<Sample>)> {
    let control = |mut guest: Guest, runs: Receiver<Run>| {
        let samples = log_each(&mut guest, marks, &runs, texts);
        if samples.is_err() {
            // Otherwise the guest would stay stopped until the time limit.
            guest.kill();
        }
        samples
    };
    let boot = logged::boot(machine, &kernel.image, kernel.limit, [marks.begin, marks.end], control)?;
    boot.log.finish()?;
    Ok((boot.console, boot.controlled.unwrap_or_default()))
}

/// Logs each sample from mark to mark, until the guest ends.
fn log_each(
    guest: &mut Guest,
    marks: Marks,
    runs: &Receiver<Run>,
    texts: &[Text<'_>],
) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    // An error means that the guest has ended. If that was too soon, samples are missing.
    while guest.run_to(marks.begin).is_ok() {
        logged::begin(guest)?;
        guest.run_to(marks.stop())?;
        logged::stop(guest)?;
        let run = runs.recv_timeout(PATIENCE).context("a sample is not in QEMU's log")?;
        samples.push(sample(guest, run, texts)?);
    }
    Ok(samples)
}

/// Finds the words of a run. Copies and trampolines of probes are in no file, and are read from the guest, which is still stopped at the
/// sample's end.
fn sample(guest: &mut Guest, run: Run, texts: &[Text<'_>]) -> Result<Sample> {
    let mut read = BTreeMap::new();
    let mut words = Vec::new();
    // The last two instructions are those of the mark.
    for &pc in &run.trace[..run.trace.len() - 2] {
        let word = match texts.iter().find_map(|text| text.word(pc)) {
            Some(word) => word,
            None => match read.get(&pc) {
                Some(&word) => word,
                None => *read.entry(pc).or_insert(guest.word(pc)?),
            },
        };
        words.push(word);
    }
    Ok(Sample { series: run.path, words, taken: run.taken })
}
