//! `break` and `watch`: set, list and remove hardware slots, which are numbered in the order in which they are set.

use super::Error;
use crate::debug::slots::{Disposition, Installed};
use crate::mm::layout;
use crate::report::place::Place;
use crate::report::symbols::Shown;
use ::slots::{Access, Cpus, Kind, Pieces, Privilege, Request, SlotId};
use alloc::vec::Vec;
use cli::command::{self, Break, Location, Watch};
use core::fmt::Write;

struct Numbered {
    number: u64,
    slots: Installed,
    request: Request,
}

/// The breakpoints and watchpoints that were set at the prompt.
pub struct Slots {
    set: Vec<Numbered>,
    /// The number of the newest breakpoint and of the newest watchpoint.
    last: [u64; 2],
}

impl Slots {
    pub const fn new() -> Self {
        Self { set: Vec::new(), last: [0; 2] }
    }

    pub fn execute_break(&mut self, what: Break<'_>, out: &mut dyn Write) -> Result<(), Error> {
        match what {
            Break::List => self.list(Kind::Breakpoint, out),
            Break::Remove { number } => self.remove(Kind::Breakpoint, number, out),
            Break::Add(location) => {
                let place = Place::try_from(location)?;
                may_break(&place)?;
                self.add(Request::breakpoint(place.address, Privilege::El1), out)
            }
        }
    }

    pub fn execute_watch(&mut self, what: Watch<'_>, out: &mut dyn Write) -> Result<(), Error> {
        match what {
            Watch::List => self.list(Kind::Watchpoint, out),
            Watch::Remove { number } => self.remove(Kind::Watchpoint, number, out),
            Watch::Add { location, length, access } => {
                let place = Place::try_from(location)?;
                let length = length.unwrap_or_else(|| usual_length(&place, location));
                let access = match access {
                    command::Access::Read => Access::Read,
                    command::Access::Write => Access::Write,
                    command::Access::ReadWrite => Access::ReadWrite,
                };
                self.add(Request::watchpoint(place.address, length, access, Privilege::El1), out)
            }
        }
    }

    fn add(&mut self, request: Request, out: &mut dyn Write) -> Result<(), Error> {
        let slots = Installed::new(&request, Cpus::ALL, Disposition::Count)?;
        let kind = request.kind();
        let last = &mut self.last[kind as usize];
        *last += 1;
        writeln!(out, "{kind} {last}: {}, {}", Described(&request), Names(slots.slots()))?;
        self.set.push(Numbered { number: *last, slots, request });
        Ok(())
    }

    fn remove(&mut self, kind: Kind, number: u64, out: &mut dyn Write) -> Result<(), Error> {
        let found = self.set.iter().position(|slot| slot.request.kind() == kind && slot.number == number);
        let at = found.ok_or(Error::NoSuchNumber(kind, number))?;
        let hits = self.set.remove(at).slots.remove()?.unwrap_or(0);
        writeln!(out, "{kind} {number}: removed, {hits} hits")?;
        Ok(())
    }

    fn list(&self, kind: Kind, out: &mut dyn Write) -> Result<(), Error> {
        let mut slots = self.set.iter().filter(|slot| slot.request.kind() == kind).peekable();
        if slots.peek().is_none() {
            writeln!(out, "no {kind}s")?;
            return Ok(());
        }
        writeln!(out, "  {:>3}  {:7}  {:>10}  place", "N", "slot", "hits")?;
        for Numbered { number, slots, request } in slots {
            let hits = slots.hits().unwrap_or(0);
            writeln!(out, "  {number:>3}  {:7}  {hits:>10}  {}", Names(slots.slots()), Described(request))?;
        }
        Ok(())
    }
}

/// A slot's short name: `bp0`, `wp3`.
pub struct Slot(pub SlotId);

impl core::fmt::Display for Slot {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = if self.0.kind == Kind::Breakpoint { "bp" } else { "wp" };
        f.pad(&alloc::format!("{kind}{}", self.0.index))
    }
}

/// The names of one slot or two: `bp0`, `wp2,wp3`.
struct Names(Pieces<SlotId>);

impl core::fmt::Display for Names {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Pieces::One(id) => Slot(id).fmt(f),
            Pieces::Two(first, second) => f.pad(&alloc::format!("{},{}", Slot(first), Slot(second))),
        }
    }
}

struct Described<'a>(&'a Request);

impl core::fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self.0 {
            Request::Breakpoint { address, .. } => write!(f, "{}", Shown(address)),
            Request::Watchpoint { address, length, access, .. } => {
                let access = match access {
                    Access::Read => "reads",
                    Access::Write => "writes",
                    Access::ReadWrite => "reads and writes",
                };
                write!(f, "{access} of {length} bytes at {}", Shown(address))
            }
        }
    }
}

/// Checks that the place is in text. Copies of probed instructions pass too, because the slot manager refuses them with
/// a better reason.
fn may_break(place: &Place) -> Result<(), Error> {
    let address = place.address;
    let text = layout::text_start() as u64..layout::text_end() as u64;
    if !text.contains(&address) && !layout::ALL_COPIES.contains(&address) {
        return Err(Error::NotText(address));
    }
    Ok(())
}

/// The length of a watchpoint whose length was not given: the symbol's size, if one watchpoint or two can cover it; otherwise the
/// rest of the doubleword.
fn usual_length(place: &Place, location: Location<'_>) -> u64 {
    let address = place.address;
    let doubleword = 8 - (address & 7);
    let (Location::Symbol { offset, .. }, Some(symbol)) = (location, place.symbol) else { return doubleword };
    let length = symbol.size.saturating_sub(offset);
    let whole = Request::watchpoint(address, length, Access::Write, Privilege::El1);
    if whole.split().is_ok() { length } else { doubleword }
}
