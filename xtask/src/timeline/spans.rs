//! From records to what is drawn: spans of exceptions, and stretches of time between two records of a CPU.

use crate::trace::{Ring, Trace, in_order};
use std::collections::BTreeMap;
use trace::{Class, Kind, Record, Side};

/// The time that a CPU spends in one exception without a switch of threads. An exception whose thread is switched away in the middle has
/// several spans, and they may be on different CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The CPU.
    pub cpu: usize,
    /// How many spans of the same thread this one lies in.
    pub level: usize,
    /// When it begins, in ticks.
    pub begin: u64,
    /// When it ends, in ticks.
    pub end: u64,
    /// The exception's entry; None if the trace begins after it.
    pub entry: Option<Record>,
    /// The exception's exit; None if the trace ends before it, or if the exception never returned.
    pub exit: Option<Record>,
    /// The span that this one lies in.
    pub parent: Option<usize>,
    /// The span of the same exception before its thread was switched away.
    pub earlier: Option<usize>,
    /// The span of the same exception after its thread was switched to again.
    pub later: Option<usize>,
}

/// The time between two records of a CPU, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The CPU.
    pub cpu: usize,
    /// The time of the record at its beginning.
    pub begin: u64,
    /// The time of the record at its end.
    pub end: u64,
    /// The state behind the record at its beginning.
    pub first: Side,
    /// The state before the record at its end. Where it differs from `first`, the code in between has changed it, and the trace does not say when.
    pub last: Side,
}

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// Ticks in a second.
    pub frequency: u64,
    /// The number of CPUs.
    pub cpus: usize,
    /// The time of the first record.
    pub begin: u64,
    /// One tick after the last record.
    pub end: u64,
    /// How many records are missing.
    pub lost: u64,
    /// All records, in the order of their times.
    pub records: Vec<Record>,
    /// The spans, in the order in which they begin. A span stands behind the one that it lies in.
    pub spans: Vec<Span>,
    /// The stretches, by CPU and time.
    pub stretches: Vec<Stretch>,
}

impl Timeline {
    /// The timeline of the last `most` records of each CPU.
    pub fn of(trace: &Trace, most: usize) -> Self {
        let last = |(cpu, ring): (u8, &Ring)| {
            let first = ring.records.len().saturating_sub(most);
            let records = ring.records[first..].iter().map(|record| Record { cpu, ..*record }).collect();
            Ring { lost: ring.lost + first as u64, records }
        };
        let kept = Trace { frequency: trace.frequency, rings: (0..).zip(&trace.rings).map(last).collect() };
        let records: Vec<Record> = in_order(&kept).into_iter().copied().collect();
        let end = records.last().map_or(0, |record| record.time + 1);
        Self {
            frequency: kept.frequency,
            cpus: kept.rings.len(),
            begin: records.first().map_or(0, |record| record.time),
            end,
            lost: kept.lost(),
            spans: Threads::new(&records, kept.rings.len()).spans(&records, end),
            stretches: kept.rings.iter().flat_map(|ring| stretches(&ring.records)).collect(),
            records,
        }
    }
}

impl Span {
    /// The record that says which exception it is.
    pub fn what(&self) -> Option<&Record> {
        self.entry.as_ref().or(self.exit.as_ref())
    }

    /// The exception with its rule: `IRQ (M8)`. Of an exception of a program that has begun before the trace only the return is known.
    pub fn name(&self) -> String {
        match self.what() {
            Some(record) if record.class == Class::None => format!("return ({})", record.row),
            Some(record) => format!("{} ({})", record.class.name(), record.row),
            None => "exception".into(),
        }
    }
}

fn stretches(ring: &[Record]) -> impl Iterator<Item = Stretch> {
    ring.windows(2).filter_map(|pair| {
        let [from, to] = pair else { return None };
        let last = match to.kind {
            Kind::Entry | Kind::Switch | Kind::Foreign => to.before,
            // `before` is the program, not the handler that goes on.
            Kind::Open => from.after,
            // The way out masks everything just before the record. The handler has run with the masks that it had until then.
            Kind::Exit => Side { masks: from.after.masks, ..to.before },
        };
        let (cpu, begin, end) = (from.cpu.into(), from.time, to.time);
        Some(Stretch { cpu, begin, end, first: from.after, last })
    })
}

/// Whether the exception that returns with `exit` has begun with `entry`. A thread is in one exception of its program at most, and all of these
/// return by M13.
fn belong_together(entry: &Record, exit: &Record) -> bool {
    entry.el0 == exit.el0 && (exit.el0 || entry.row == exit.row)
}

/// The threads, while the records are followed.
struct Threads {
    spans: Vec<Span>,
    /// The exceptions that each thread is in, the outermost first.
    open: BTreeMap<u32, Vec<usize>>,
    /// For threads that have not run yet in the trace, the exits of the exceptions that they are in, the outermost first.
    from_before: BTreeMap<u32, Vec<Record>>,
    /// The thread that each CPU runs; None before the CPU's first record.
    running: Vec<Option<u32>>,
}

impl Threads {
    fn new(records: &[Record], cpus: usize) -> Self {
        let from_before = without_entry(records);
        Self { spans: Vec::new(), open: BTreeMap::new(), from_before, running: vec![None; cpus] }
    }

    fn spans(mut self, records: &[Record], end: u64) -> Vec<Span> {
        for record in records {
            self.run(record.cpu.into(), record.thread, record.time);
            match record.kind {
                Kind::Entry => self.enter(*record),
                Kind::Exit => self.leave(*record),
                Kind::Open | Kind::Foreign => {}
                Kind::Switch => {
                    self.run(record.cpu.into(), record.far as u32, record.time);
                    let has_ended = record.el0;
                    if has_ended {
                        self.open.remove(&record.thread);
                    }
                }
            }
        }
        for cpu in 0..self.running.len() {
            self.park(cpu, end);
        }
        self.spans
    }

    /// From `time` on the CPU runs this thread.
    fn run(&mut self, cpu: usize, thread: u32, time: u64) {
        if self.running[cpu] == Some(thread) {
            return;
        }
        self.park(cpu, time);
        // Where records are missing, the switch away from the CPU that has run the thread may be among them.
        if let Some(other) = self.running.iter().position(|running| *running == Some(thread)) {
            self.park(other, time);
            self.running[other] = None;
        }
        self.running[cpu] = Some(thread);
        let parked = std::mem::take(self.open.entry(thread).or_default());
        for exit in self.from_before.remove(&thread).unwrap_or_default() {
            let span = self.add(cpu, thread, time);
            self.spans[span].exit = Some(exit);
        }
        for old in parked {
            let new = self.add(cpu, thread, time);
            (self.spans[new].entry, self.spans[new].exit) = (self.spans[old].entry, self.spans[old].exit);
            self.spans[new].earlier = Some(old);
            self.spans[old].later = Some(new);
        }
    }

    /// Ends the spans of the thread that the CPU runs.
    fn park(&mut self, cpu: usize, time: u64) {
        let Some(thread) = self.running[cpu] else { return };
        for &span in self.open.get(&thread).into_iter().flatten() {
            self.spans[span].end = time;
        }
    }

    /// Begins a span inside of those that the thread is in.
    fn add(&mut self, cpu: usize, thread: u32, time: u64) -> usize {
        let open = self.open.entry(thread).or_default();
        let (level, parent) = (open.len(), open.last().copied());
        let (begin, end) = (time, time);
        let new = self.spans.len();
        open.push(new);
        let (entry, exit, earlier, later) = (None, None, None, None);
        self.spans.push(Span { cpu, level, begin, end, entry, exit, parent, earlier, later });
        new
    }

    fn enter(&mut self, entry: Record) {
        let span = self.add(entry.cpu.into(), entry.thread, entry.time);
        self.spans[span].entry = Some(entry);
    }

    /// Ends the exception that returns, and those inside of it, which have not returned and never will: a program that ends, or that a signal has
    /// go on elsewhere, leaves them behind.
    fn leave(&mut self, exit: Record) {
        let open = self.open.entry(exit.thread).or_default();
        let spans = &self.spans;
        let is_its = |&span: &usize| match (&spans[span].entry, &spans[span].exit) {
            (Some(entry), _) => belong_together(entry, &exit),
            (None, known) => *known == Some(exit),
        };
        let Some(at) = open.iter().rposition(is_its) else { return };
        for (inside, span) in open.drain(at..).enumerate() {
            self.spans[span].end = exit.time;
            self.spans[span].exit = (inside == 0).then_some(exit);
        }
    }
}

/// The exits whose entries are not in the trace, for each thread, the outermost first.
fn without_entry(records: &[Record]) -> BTreeMap<u32, Vec<Record>> {
    let mut open: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
    let mut found: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
    for record in records {
        let open = open.entry(record.thread).or_default();
        match record.kind {
            Kind::Entry => open.push(*record),
            Kind::Exit => match open.iter().rposition(|entry| belong_together(entry, record)) {
                Some(at) => open.truncate(at),
                None => {
                    // Whatever has begun since lies in the exception that ends now.
                    open.clear();
                    found.entry(record.thread).or_default().insert(0, *record);
                }
            },
            Kind::Open | Kind::Switch | Kind::Foreign => {}
        }
    }
    found
}
