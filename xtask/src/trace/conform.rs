//! Whether traces conform to the model. Once it is switched on, each boot whose console is captured is traced, and replayed when it has ended.

use super::memory::{Memory, read};
use super::{Trace, in_order};
use crate::qemu::Machine;
use anyhow::{Context, Result, bail};
use model::kernel::Kernel;
use model::model::Model;
use model::replay::Replay;
use model::scenarios::scenarios;
use model::table::Table;
use rules::overrides::Override;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

static ON: AtomicBool = AtomicBool::new(false);
static REPLAYED: Mutex<Vec<Replayed>> = Mutex::new(Vec::new());

/// A boot whose trace was replayed.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The machine.
    pub machine: Machine,
    /// What the replay has found.
    pub verdict: Verdict,
}

/// What a replay has found.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The model allows so many records, and has no room for so many others.
    Conforms(u64, u64),
    /// So many records were lost: the rings were too small for the boot, and nothing was replayed.
    Lost(u64),
    /// The model does not allow a record, or there is no trace.
    Wrong(String),
}

/// From here on boots are traced.
pub fn switch_on() {
    ON.store(true, Relaxed);
}

/// The boots that were replayed since the last call.
pub fn take() -> Vec<Replayed> {
    REPLAYED.lock().map(|mut replayed| core::mem::take(&mut *replayed)).unwrap_or_default()
}

/// The machine of a boot that is to be traced, with its memory; None if boots are not traced, or the machine needs its memory for other things.
///
/// # Errors
/// When there is no room for the memory.
pub fn traced(machine: &Machine) -> Result<Option<(Machine, Memory)>> {
    if !ON.load(Relaxed) || machine.memory.is_some() {
        return Ok(None);
    }
    let memory = Memory::new()?;
    let append = format!("{} trace=1", machine.append);
    Ok(Some((Machine { memory: Some(memory.path()), append, ..machine.clone() }, memory)))
}

/// Replays the trace of a boot that has ended, and keeps the result.
pub fn replay(machine: &Machine, memory: &Memory) {
    let verdict = try_replay(machine, memory).unwrap_or_else(|error| Verdict::Wrong(format!("{error:#}")));
    if let Ok(mut replayed) = REPLAYED.lock() {
        replayed.push(Replayed { machine: machine.clone(), verdict });
    }
}

fn try_replay(machine: &Machine, memory: &Memory) -> Result<Verdict> {
    let trace = read(memory)?;
    if trace.lost() > 0 {
        return Ok(Verdict::Lost(trace.lost()));
    }
    let (allowed, beyond) = conforms(&kernel_of(machine)?, &trace)?;
    Ok(Verdict::Conforms(allowed, beyond))
}

/// The model's kernel with the cells that the machine's boot arguments change.
fn kernel_of(machine: &Machine) -> Result<Kernel> {
    let mut table = Table::of_kernel();
    for word in machine.append.split_whitespace() {
        let Some((cell, value)) = word.strip_prefix("rule.").and_then(|word| word.split_once('=')) else {
            continue;
        };
        let (id, column) = cell.split_once('.').with_context(|| format!("{word} names no cell"))?;
        let Ok(change) = Override::parse(id, column, value) else { continue };
        table = table.with(change);
    }
    let config = scenarios(1).into_iter().next().context("the model has no scenario")?;
    Ok(Model::new(table, config).kernel)
}

/// Replays a whole trace. Returns how many records the model allows, and how many it has no room for.
///
/// # Errors
/// The first record that the model does not allow, in words.
pub fn conforms(kernel: &Kernel, trace: &Trace) -> Result<(u64, u64)> {
    let mut replay = Replay::new(kernel, trace.rings.len());
    for record in in_order(trace) {
        if let Err(mismatch) = replay.record(record) {
            bail!("record {}: {mismatch}", replay.counts.allowed + replay.counts.beyond);
        }
    }
    Ok((replay.counts.allowed, replay.counts.beyond))
}
