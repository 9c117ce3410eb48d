//! Records as lines of text, without anything allocated: for a console.

use crate::{Class, Kind, Record, Side};
use core::fmt;
use rules::step::Owners;

/// The owners with their names.
const NAMES: [(Owners, &str); 5] = [
    (Owners::STEP_OVER, "step-over"),
    (Owners::DEBUGGER, "debugger"),
    (Owners::TRACER, "tracer"),
    (Owners::UPROBE, "uprobe"),
    (Owners::RUNS_FREE, "runs free"),
];

/// Owners in words: `step-over, tracer`, or `-` for none.
pub struct Names(pub Owners);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (owner, name) in NAMES {
            if self.0.contains(owner) {
                write!(f, "{separator}{name}")?;
                separator = ", ";
            }
        }
        if separator.is_empty() { f.write_str("-") } else { Ok(()) }
    }
}

/// A side in six letters: the masks, as [`Daif`](rules::pstate::Daif) shows them, then `S` for MDSCR_EL1.SS and `P` for PSTATE.SS, each `-` while clear.
pub struct Letters(pub Side);

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bit = |set, letter| if set { letter } else { '-' };
        write!(f, "{} {}{}", self.0.masks, bit(self.0.mdscr_ss, 'S'), bit(self.0.ss, 'P'))
    }
}

/// One line of a drawing: when, the exception as a bracket under those that it lies in, the state before and after.
pub struct Line<'a> {
    /// The record.
    pub record: &'a Record,
    /// Ticks since the first record of the drawing.
    pub since: u64,
    /// How many exceptions this one lies in.
    pub level: usize,
}

/// The widest bracket that is drawn; exceptions that lie deeper are drawn there.
const DEEPEST: usize = 8;

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { record, since, level } = *self;
        write!(f, "{since:>10} cpu{} ", record.cpu)?;
        for _ in 0..level.min(DEEPEST) {
            f.write_str("| ")?;
        }
        let (el, name) = (if record.el0 { 0 } else { 1 }, record.class.name());
        match record.kind {
            Kind::Entry => write!(f, "+-> {name} ({}) from EL{el}", record.row)?,
            // The way out to a program is the same for all exceptions.
            Kind::Exit if record.class == Class::None => write!(f, "+-< return ({}) to EL{el}", record.row)?,
            Kind::Exit => write!(f, "+-< {name} ({}) to EL{el}", record.row)?,
            Kind::Open => write!(f, "+-- {name} ({}): everything open", record.row)?,
            Kind::Foreign => f.write_str("!!! a test changes debug state")?,
            Kind::Switch => {
                let ended = if record.el0 { ", which has ended," } else { "" };
                write!(f, "<-> {name}: {}{ended} to {}", record.thread, record.far)?;
            }
        }
        write!(f, "  {} > {}", Letters(record.before), Letters(record.after))?;
        let owners = record.before.owners | record.after.owners;
        if !owners.is_empty() {
            write!(f, "  owners {} > {}", Names(record.before.owners), Names(record.after.owners))?;
        }
        if record.stash != 0 {
            write!(f, "  stash {}", record.stash)?;
        }
        Ok(())
    }
}

/// The lines of records of one CPU, the oldest first. Exceptions that have begun before the first record are drawn open at its left.
pub fn lines<'a>(records: impl Iterator<Item = &'a Record> + Clone) -> impl Iterator<Item = Line<'a>> {
    let mut lowest = 0;
    let mut level: isize = 0;
    for record in records.clone() {
        level += change(record);
        lowest = lowest.min(level);
    }
    let mut level = -lowest;
    let mut first = None;
    records.map(move |record| {
        let since = record.time.saturating_sub(*first.get_or_insert(record.time));
        let change = change(record);
        // An exception's exit stands where its entry stands, and so does its second phase.
        let at = level.min(level + change) - isize::from(record.kind == Kind::Open);
        level += change;
        Line { record, since, level: at.unsigned_abs() }
    })
}

fn change(record: &Record) -> isize {
    match record.kind {
        Kind::Entry => 1,
        Kind::Exit => -1,
        Kind::Open | Kind::Switch | Kind::Foreign => 0,
    }
}
