//! Traces of the kernel: the records of each CPU, read from the memory of a machine that has ended.

pub mod conform;
mod memory;

pub use memory::{Memory, read};

use trace::{Kind, Record};

/// What a CPU's ring has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// How many records are missing: the oldest ones, whose places were needed for later ones, and those that were never finished.
    pub lost: u64,
    /// The records, the oldest first.
    pub records: Vec<Record>,
}

/// The trace of a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Ticks of the records' clock in a second.
    pub frequency: u64,
    /// The rings, by CPU.
    pub rings: Vec<Ring>,
}

impl Trace {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.rings.iter().map(|ring| ring.records.len()).sum()
    }

    /// How many records are missing.
    pub fn lost(&self) -> u64 {
        self.rings.iter().map(|ring| ring.lost).sum()
    }
}

/// The records of all CPUs in the order of their times. If a thread leaves one CPU and goes on on another one at the same time, it leaves first.
pub fn in_order(trace: &Trace) -> Vec<&Record> {
    let mut records: Vec<_> = trace.rings.iter().flat_map(|ring| &ring.records).collect();
    // Stable: records of one CPU stay in their order.
    records.sort_by_key(|record| (record.time, record.kind != Kind::Switch));
    records
}
