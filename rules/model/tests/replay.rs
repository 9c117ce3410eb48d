//! Traces of real runs are replayed; a trace in which one field of one record was changed is rejected.
//!
//! `traces/step-over.trace` is of the kernel's tests `m8_irq_in_a_step_over` and `m8_irq_in_a_debuggers_step`, `traces/programs.trace` the beginning of one
//! of steps of programs: records of seven words each, in the order of their times.

use model::kernel::Kernel;
use model::model::Model;
use model::replay::Replay;
use model::scenarios::scenarios;
use model::table::Table;
use rules::overrides::Override;
use rules::pstate::Daif;
use rules::step::Owners;
use rules::table::{RowId, TABLE};
use std::collections::{HashMap, HashSet};
use trace::{Class, Kind, Record, Side};

const STEP_OVER: &[u8] = include_bytes!("traces/step-over.trace");
const PROGRAMS: &[u8] = include_bytes!("traces/programs.trace");

fn records(bytes: &[u8]) -> Vec<Record> {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let record =
        |bytes: &[u8]| Record::unpack(core::array::from_fn(|n| word(&bytes[8 * n..8 * n + 8]))).unwrap();
    bytes.chunks(56).map(record).collect()
}

fn kernel(table: Table) -> Kernel {
    Model::new(table, scenarios(1).remove(0)).kernel
}

/// The number of the first record that the model does not allow, and why.
fn rejected(kernel: &Kernel, records: &[Record]) -> Option<(usize, String)> {
    let mut replay = Replay::new(kernel, 2);
    let mut all = records.iter().enumerate();
    all.find_map(|(number, record)| replay.record(record).err().map(|wrong| (number, wrong.to_string())))
}

#[test]
fn real_runs_conform() {
    let kernel = kernel(Table::of_kernel());
    for trace in [STEP_OVER, PROGRAMS] {
        let records = records(trace);
        assert!(records.len() > 50);
        assert_eq!(rejected(&kernel, &records), None);
    }
}

/// All sides that differ from a side in one thing that a record has.
fn changed(side: Side) -> Vec<Side> {
    let masks = (0..16).map(|bits| Side { masks: Daif::of(bits << 6), ..side });
    let owners = (0..4).map(|bit| Side { owners: side.owners ^ Owners::from_bits_retain(1 << bit), ..side });
    let ss = [Side { ss: !side.ss, ..side }, Side { mdscr_ss: !side.mdscr_ss, ..side }];
    masks.chain(owners).chain(ss).filter(|other| *other != side).collect()
}

/// All records that differ from a record in one field, each with the field's name.
fn tampered(records: &[Record], at: usize) -> Vec<(&'static str, Record)> {
    let record = records[at];
    let mut all = Vec::new();
    if at > 0 {
        all.push(("time", Record { time: records[at - 1].time - 1, ..record }));
    }
    if let Some(next) = records.get(at + 1) {
        all.push(("time", Record { time: next.time + 1, ..record }));
    }
    all.push(("cpu", Record { cpu: 1, ..record }));
    all.push(("thread", Record { thread: record.thread + 1, ..record }));
    let classes =
        [Class::Irq, Class::Nmi, Class::Step, Class::Breakpoint, Class::Watchpoint, Class::Probe, Class::Svc];
    // Which of the kernel's BRKs it was, only its immediate says, which the model does not know.
    let is_brk = record.row == RowId::M12;
    if record.kind == Kind::Entry && !is_brk {
        all.extend(classes.map(|class| ("class", Record { class, ..record })));
    }
    if record.kind == Kind::Entry {
        all.push(("depth", Record { depth: record.depth + 1, ..record }));
        all.push(("stash", Record { stash: record.stash + 1, ..record }));
    }
    if record.kind != Kind::Switch {
        all.extend(TABLE.iter().map(|row| ("rule", Record { row: row.id, ..record })));
        all.push(("exception level", Record { el0: !record.el0, ..record }));
        let before = changed(record.before);
        // PSTATE.SS of the code that runs is not recorded: only that of the context that is interrupted or returned to.
        // A section in a debugger's handler may have brought MDSCR_EL1 into line before the handler's end.
        let in_line = record.kind == Kind::Exit && matches!(record.row, RowId::M10 | RowId::M12 | RowId::M14);
        let is_seen = |side: &Side| {
            (record.kind == Kind::Entry || side.ss == record.before.ss)
                && !(in_line && side.mdscr_ss != record.before.mdscr_ss)
        };
        all.extend(before.into_iter().filter(is_seen).map(|before| ("before", Record { before, ..record })));
        let after = changed(record.after);
        // A handler that moves PC, or makes an exclusive sequence in software, and asks for a step leaves SPSR_EL1.SS set or clear, as it does the one
        // or the other last.
        let may_move = record.el0 || matches!(record.class, Class::Session | Class::Step);
        let is_seen = |side: &Side| record.kind == Kind::Exit && !may_move || side.ss == record.after.ss;
        all.extend(after.into_iter().filter(is_seen).map(|after| ("after", Record { after, ..record })));
    }
    let kinds = [Kind::Entry, Kind::Open, Kind::Exit, Kind::Switch];
    all.extend(kinds.map(|kind| ("kind", Record { kind, ..record })));
    all.retain(|(_, other)| *other != record);
    all
}

/// The records that later ones can contradict: the last ones have none behind them, and the exit of an entry may not be in the piece.
fn contradictable(records: &[Record]) -> Vec<usize> {
    let mut open: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut paired = HashSet::new();
    for (number, record) in records.iter().enumerate() {
        let entries = open.entry(record.thread).or_default();
        match record.kind {
            Kind::Entry => entries.push(number),
            Kind::Exit => paired.extend(entries.pop()),
            _ => {}
        }
    }
    let has_end = |number: &usize| records[*number].kind != Kind::Entry || paired.contains(number);
    (0..records.len() * 3 / 4).filter(has_end).collect()
}

fn difference(one: &Record, other: &Record) -> String {
    let side = |one: &Side, other: &Side| {
        format!(
            "{}->{} ss {}{} mdscr {}{} owners {:?}->{:?}",
            one.masks,
            other.masks,
            u8::from(one.ss),
            u8::from(other.ss),
            u8::from(one.mdscr_ss),
            u8::from(other.mdscr_ss),
            one.owners.bits(),
            other.owners.bits()
        )
    };
    format!(
        "{:?} {} -> {:?} {} {:?}, {} | {}",
        one.class,
        one.row,
        other.class,
        other.row,
        other.kind,
        side(&one.before, &other.before),
        side(&one.after, &other.after)
    )
}

#[test]
fn a_trace_that_was_tampered_with_is_rejected() {
    let kernel = kernel(Table::of_kernel());
    let mut passed = Vec::new();
    let mut tried = 0;
    for trace in [STEP_OVER, PROGRAMS] {
        let records = records(trace);
        for at in contradictable(&records) {
            for (field, other) in tampered(&records, at) {
                let mut forged = records.clone();
                forged[at] = other;
                tried += 1;
                if rejected(&kernel, &forged).is_none() {
                    passed.push(format!(
                        "{} {:?}: {}",
                        field,
                        records[at].kind,
                        difference(&records[at], &other)
                    ));
                }
            }
        }
    }
    assert!(passed.is_empty(), "{} of {tried} pass:\n{}", passed.len(), passed.join("\n"));
}

#[test]
fn another_table_is_found_out() {
    let records = records(STEP_OVER);
    for (id, column, value) in
        [("M8", "ss", "keep"), ("M8", "masks", "masked"), ("M10", "masks", "open"), ("M13", "ss", "clear")]
    {
        let change = Override::parse(id, column, value).unwrap();
        let other = kernel(Table::of_kernel().with(change));
        assert!(rejected(&other, &records).is_some(), "{change} is not seen");
    }
}
