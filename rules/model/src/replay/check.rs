//! What a record is compared with, and how it is said that the two differ.

use crate::show::Names;
use crate::state::{Slots, State};
use core::fmt;
use trace::{Kind, Record, Side};

/// Both slots: the trace does not say what is installed, and a hit shows that something is.
pub(super) const ALL_SLOTS: Slots = Slots(3);

/// A record in words.
pub struct Words<'a>(pub &'a Record);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.0;
        write!(f, "cpu{} at {}, thread {:#x}: ", record.cpu, record.time, record.thread)?;
        match record.kind {
            Kind::Switch => write!(f, "switch to thread {:#x}", record.far)?,
            Kind::Entry => write!(f, "entry of {} ({})", record.class.name(), record.row)?,
            Kind::Open => write!(f, "second phase of {} ({})", record.class.name(), record.row)?,
            Kind::Exit => write!(f, "exit ({})", record.row)?,
            Kind::Foreign => f.write_str("a test changes debug state")?,
        }
        let el = if record.el0 { 0 } else { 1 };
        write!(f, " at EL{el} {:#x}, {} -> {}", record.pc, Shown(&record.before), Shown(&record.after))
    }
}

/// One side in words.
struct Shown<'a>(&'a Side);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = self.0;
        let (ss, mdscr) = (u8::from(side.ss), u8::from(side.mdscr_ss));
        write!(f, "[{}, SS={ss}, MDSCR_EL1.SS={mdscr}, owners {}]", side.masks, Names(side.owners))
    }
}

/// Why a state does not allow a record, and how much of the record it did allow: the refusal that came last is the one to be shown.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) checked: u8,
    pub(super) what: String,
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self { checked: 0, what }
    }
}

impl From<&str> for Refusal {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

impl Refusal {
    /// The same refusal, behind so many checks that the record has passed.
    pub(super) fn behind(self, checked: u8) -> Self {
        Self { checked, ..self }
    }
}

/// The states after a record, or why there is none.
pub(super) type After = Result<State, Refusal>;

/// Compares what a transition shows with a side of a record.
pub(super) fn compare(
    what: &str,
    shown: Option<Side>,
    recorded: &Side,
    with_ss: bool,
) -> Result<(), Refusal> {
    let Some(mut shown) = shown else { return Err(format!("the model has no {what}").into()) };
    if !with_ss {
        shown.ss = recorded.ss;
    }
    if shown == *recorded {
        return Ok(());
    }
    Err(format!("{what}: the model has {}", Shown(&shown)).into())
}
