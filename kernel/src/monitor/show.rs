//! `slots`, `rules`, `stats` and `why`: show the state of the debug hardware, the rules, the counters, and the trace.

use super::Error;
use super::slots::Slot;
use crate::arch::mdscr;
use crate::debug::slots::{self, Disposition};
use crate::debug::stats;
use crate::irq::off;
use crate::percpu::PerCpu;
use crate::report::symbols::Shown;
use crate::{idle, kprobe, options, percpu, smp, time, trace};
use ::slots::{Access, Kind, SlotId, Snapshot, State};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use rules::invariants::INVARIANTS;
use rules::reason;
use rules::table::TABLE;

const MAX: usize = crate::debug::MAX_SLOTS;
const KINDS: [Kind; 2] = [Kind::Breakpoint, Kind::Watchpoint];

/// The registers of a CPU, as the CPU itself has read them.
struct Registers {
    value: [[AtomicU64; MAX]; 2],
    control: [[AtomicU64; MAX]; 2],
    mdscr: AtomicU64,
}

static READ: PerCpu<Registers> = crate::per_cpu!(Registers {
    value: [const { [const { AtomicU64::new(0) }; MAX] }; 2],
    control: [const { [const { AtomicU64::new(0) }; MAX] }; 2],
    mdscr: AtomicU64::new(0),
});

fn read_registers() {
    let mine = READ.this();
    for kind in KINDS {
        for n in 0..slots::count(kind) {
            let (value, control) = slots::read_registers(kind, n);
            mine.value[kind as usize][usize::from(n)].store(value, Relaxed);
            mine.control[kind as usize][usize::from(n)].store(control.into(), Relaxed);
        }
    }
    mine.mdscr.store(mdscr::read(), Relaxed);
}

/// The CPUs for which `holds` is true, as `0-3`, `0,2`, or `-` for none.
fn cpus(holds: impl Fn(usize) -> bool) -> String {
    let mut text = String::new();
    let mut last = None;
    let mut through = false;
    for cpu in smp::online().filter(|&cpu| holds(cpu)) {
        match last {
            None => text += &cpu.to_string(),
            Some(last) if last + 1 == cpu => through = true,
            Some(last) => {
                if through {
                    text += &format!("-{last}");
                }
                through = false;
                text += &format!(",{cpu}");
            }
        }
        last = Some(cpu);
    }
    match last {
        None => "-".to_string(),
        Some(last) if through => text + &format!("-{last}"),
        Some(_) => text,
    }
}

/// Writes a line for every slot: its registers, the CPUs on which it is enabled, its record.
pub fn slots(out: &mut dyn Write) -> Result<(), Error> {
    idle::on_all(read_registers);
    writeln!(out, "  slot  {:16}  {:8}  {:7}  {:>10}  record", "value", "control", "enabled", "hits")?;
    let mut records: Vec<_> = slots::list().collect();
    records.sort_by_key(|record| (record.id.kind as usize, record.id.index));
    let mut records = records.iter().peekable();
    for kind in KINDS {
        for n in 0..slots::count(kind) {
            let mut free = true;
            while let Some(record) = records.next_if(|record| (record.id.kind, record.id.index) == (kind, n))
            {
                slot(out, kind, n, Some(record))?;
                free = false;
            }
            if free {
                slot(out, kind, n, None)?;
            }
        }
    }
    for (name, bit) in [("MDE", mdscr::MDE), ("KDE", mdscr::KDE), ("SS", mdscr::SS)] {
        let set = cpus(|cpu| READ.of(cpu).mdscr.load(Relaxed) & bit != 0);
        writeln!(out, "  MDSCR_EL1.{name:4}     set on CPUs: {set}")?;
    }
    Ok(())
}

/// Writes the line of slot `n` with one of its records, or with none. A slot number can have several records, each for
/// other CPUs.
fn slot(out: &mut dyn Write, kind: Kind, n: u8, record: Option<&Snapshot<Disposition>>) -> Result<(), Error> {
    let (k, i) = (kind as usize, usize::from(n));
    let concerns = |cpu: usize| record.is_none_or(|record| record.cpus.contains(cpu as u32));
    let control = |cpu: usize| READ.of(cpu).control[k][i].load(Relaxed);
    // All CPUs that the record is for hold the same value. The value of this CPU is shown if the record is for this
    // CPU, else that of another CPU. The value that a free slot had last is not shown.
    let me = percpu::index();
    let shown = if concerns(me) { Some(me) } else { smp::online().find(|&cpu| concerns(cpu)) };
    let value = match record.and(shown) {
        Some(cpu) => format!("{:016x}", READ.of(cpu).value[k][i].load(Relaxed)),
        None => "-".to_string(),
    };
    let hits = record.and_then(|record| slots::hits(record.id));
    writeln!(
        out,
        "  {:4}  {value:16}  {:08x}  {:7}  {:>10}  {}",
        Slot(SlotId { kind, index: n, record: 0, generation: 0 }),
        shown.map_or(0, control),
        cpus(|cpu| concerns(cpu) && control(cpu) & 1 != 0),
        hits.map_or("-".to_string(), |hits| hits.to_string()),
        record.map_or("free".to_string(), described),
    )?;
    Ok(())
}

fn described<P>(record: &Snapshot<P>) -> String {
    let (first, last) = record.encoding.watched();
    let what = match record.id.kind {
        Kind::Breakpoint => format!("{}", Shown(record.encoding.value)),
        Kind::Watchpoint => {
            let access = match record.encoding.access() {
                Access::Read => "r",
                Access::Write => "w",
                Access::ReadWrite => "rw",
            };
            format!("{access} {} bytes at {}", last - first + 1, Shown(first))
        }
    };
    match record.state {
        State::Live => what,
        State::Retired => format!("retired: {what}"),
    }
}

/// Writes all rules, or one rule with its reason, and the cells that boot arguments have changed.
pub fn rules(id: Option<&str>, out: &mut dyn Write) -> Result<(), Error> {
    let asked = |name: &str| id.is_none_or(|id| id.eq_ignore_ascii_case(name));
    let mut found = false;
    for row in TABLE.iter().filter(|row| asked(row.id.name())) {
        found = true;
        writeln!(out, "  {row}")?;
        for cell in options::get().rules().filter(|cell| cell.id == row.id.name()) {
            writeln!(out, "        but {} is {} by boot argument", cell.column, cell.value)?;
        }
    }
    for rule in INVARIANTS.iter().filter(|rule| asked(rule.id)) {
        found = true;
        writeln!(out, "  {rule}")?;
    }
    if let Some(reason) = id.and_then(reason::of) {
        writeln!(out, "        {}", reason.why)?;
    }
    if found { Ok(()) } else { Err(Error::NoSuchRule(id.unwrap_or("").to_string())) }
}

/// Writes all counters, with one column for each CPU.
pub fn stats(out: &mut dyn Write) -> Result<(), Error> {
    write!(out, "  {:32}", "")?;
    for cpu in smp::online() {
        write!(out, " {:>9}", format!("cpu{cpu}"))?;
    }
    writeln!(out, " {:>10}", "all")?;
    row(out, "ticks", |cpu| time::TICKS.of(cpu).load(Relaxed))?;
    for (name, counter) in stats::ALL {
        row(out, name, |cpu| counter.of(cpu))?;
    }
    let probes = kprobe::list();
    let (count, hits, missed) = probes.fold((0, 0, 0), |(count, hits, missed), probe| {
        (count + 1, hits + probe.hits(), missed + probe.missed())
    });
    writeln!(out, "  probes: {count}, with {hits} hits and {missed} missed")?;
    writeln!(out, "  interrupt guards dropped out of order: {}", off::out_of_order())?;
    Ok(())
}

/// Draws the last `count` records of this CPU's trace.
pub fn why(count: u64, out: &mut dyn Write) -> Result<(), Error> {
    let records = trace::last(usize::try_from(count).unwrap_or(usize::MAX));
    if records.is_empty() {
        return Err(Error::NotTraced);
    }
    for line in ::trace::text::lines(records.iter()) {
        use ::trace::Kind::{Entry, Exit, Foreign, Open, Switch};
        match line.record.kind {
            Switch | Foreign => writeln!(out, "{line}")?,
            Entry | Open | Exit => writeln!(out, "{line}  {}", Shown(line.record.pc))?,
        }
    }
    Ok(())
}

fn row(out: &mut dyn Write, name: &str, of: impl Fn(usize) -> u64) -> Result<(), Error> {
    write!(out, "  {name:32}")?;
    let mut sum = 0;
    for cpu in smp::online() {
        sum += of(cpu);
        write!(out, " {:>9}", of(cpu))?;
    }
    writeln!(out, " {sum:>10}")?;
    Ok(())
}
