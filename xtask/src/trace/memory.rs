//! The machine's memory as a file, which QEMU shares with this tool, and the rings in it.

use super::{Ring, Trace};
use anyhow::{Context, Result, bail, ensure};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use trace::{Record, layout};

/// A file that is a machine's memory. It goes when this is dropped.
pub struct Memory {
    directory: TempDir,
}

impl Memory {
    /// A file that does not exist yet: QEMU makes it.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn new() -> Result<Self> {
        // In memory, if the host can: a machine writes it all the time.
        let shared = Path::new("/dev/shm");
        let mut builder = tempfile::Builder::new();
        builder.prefix("stepwell-memory");
        let directory = if shared.is_dir() { builder.tempdir_in(shared) } else { builder.tempdir() }?;
        Ok(Self { directory })
    }

    /// The file's path.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("memory")
    }
}

/// Reads the trace that the kernel has left in a machine's memory.
///
/// # Errors
/// When the kernel has left none, or a record is not one.
pub fn read(memory: &Memory) -> Result<Trace> {
    let path = memory.path();
    let file = std::fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let size = file.metadata()?.len();
    let mut page = vec![0; layout::PAGE];
    let mut at = 0;
    while at + layout::PAGE as u64 <= size {
        file.read_exact_at(&mut page[..16], at)?;
        if word(&page, 0) == layout::MAGIC[0] && word(&page, 8) == layout::MAGIC[1] {
            file.read_exact_at(&mut page, at)?;
            return rings(&page, |offset, to| Ok(file.read_exact_at(to, at + offset as u64)?));
        }
        at += layout::PAGE as u64;
    }
    bail!("the kernel has left no trace in memory: was it booted with trace=1?")
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap_or_default())
}

/// The rings that the header `page` tells of. `read` gives the bytes at an offset.
fn rings(page: &[u8], read: impl Fn(usize, &mut [u8]) -> Result<()>) -> Result<Trace> {
    let cpus = word(page, layout::CPUS) as usize;
    let capacity = word(page, layout::CAPACITY) as usize;
    ensure!(
        (1..=layout::MOST_CPUS).contains(&cpus) && capacity.is_power_of_two(),
        "the trace's header is damaged: {cpus} rings of {capacity} records"
    );
    let mut trace = Trace { frequency: word(page, layout::FREQUENCY), rings: Vec::new() };
    for cpu in 0..cpus {
        let count = word(page, layout::count(cpu));
        let oldest = count.saturating_sub(capacity as u64);
        let mut ring = Ring { lost: oldest, records: Vec::with_capacity((count - oldest) as usize) };
        for number in oldest..count {
            let mut bytes = [0; layout::RECORD];
            read(layout::place(cpu, capacity, number), &mut bytes)?;
            if word(&bytes, 0) != number + 1 {
                ring.lost += 1;
                continue;
            }
            let words = core::array::from_fn(|n| word(&bytes, 8 * (n + 1)));
            let record = Record::unpack(words)
                .with_context(|| format!("record {number} of CPU {cpu} is damaged: {words:x?}"))?;
            ring.records.push(record);
        }
        trace.rings.push(ring);
    }
    Ok(trace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rules::pstate::Daif;
    use rules::step::Owners;
    use rules::table::RowId;
    use trace::{Class, Kind, Side};

    fn record(time: u64) -> Record {
        let side = Side { masks: Daif::all(), ss: false, mdscr_ss: false, owners: Owners::empty() };
        Record {
            time,
            cpu: 0,
            kind: Kind::Exit,
            class: Class::Irq,
            row: RowId::M8,
            el0: false,
            depth: 0,
            stash: 0,
            thread: 1,
            before: side,
            after: side,
            pc: 0,
            far: 0,
            sp: 0,
            esr: 0,
        }
    }

    fn put(memory: &mut [u8], at: usize, word: u64) {
        memory[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// Two rings of four records; `counts` records were begun in them.
    fn memory(counts: [u64; 2]) -> Vec<u8> {
        let mut memory = vec![0; layout::size(2, 4)];
        put(&mut memory, layout::CPUS, 2);
        put(&mut memory, layout::CAPACITY, 4);
        put(&mut memory, layout::FREQUENCY, 1000);
        for (cpu, count) in counts.into_iter().enumerate() {
            put(&mut memory, layout::count(cpu), count);
            for number in 0..count {
                let place = layout::place(cpu, 4, number);
                put(&mut memory, place, number + 1);
                for (n, word) in record(number).pack().into_iter().enumerate() {
                    put(&mut memory, place + 8 * (n + 1), word);
                }
            }
        }
        memory
    }

    fn rings_of(memory: &[u8]) -> Result<Trace> {
        rings(&memory[..layout::PAGE], |offset, to| {
            to.copy_from_slice(&memory[offset..offset + to.len()]);
            Ok(())
        })
    }

    #[test]
    fn the_youngest_records_are_there_and_the_others_are_counted() {
        let trace = rings_of(&memory([3, 9])).unwrap();
        let times = |ring: &Ring| ring.records.iter().map(|record| record.time).collect::<Vec<_>>();
        assert_eq!((times(&trace.rings[0]), trace.rings[0].lost), (vec![0, 1, 2], 0));
        assert_eq!((times(&trace.rings[1]), trace.rings[1].lost), (vec![5, 6, 7, 8], 5));
        assert_eq!((trace.lost(), trace.frequency), (5, 1000));
    }

    #[test]
    fn a_record_that_was_never_finished_is_lost() {
        let mut memory = memory([3, 0]);
        put(&mut memory, layout::place(0, 4, 1), 0);
        let trace = rings_of(&memory).unwrap();
        assert_eq!((trace.rings[0].records.len(), trace.rings[0].lost), (2, 1));
    }

    #[test]
    fn damage_is_told() {
        let mut damaged = memory([1, 0]);
        put(&mut damaged, layout::place(0, 4, 0) + 16, u64::MAX);
        assert!(rings_of(&damaged).unwrap_err().to_string().contains("record 0 of CPU 0"));
        let mut damaged = memory([1, 0]);
        put(&mut damaged, layout::CAPACITY, 3);
        assert!(rings_of(&damaged).is_err());
    }
}
