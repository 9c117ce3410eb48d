//! Reads `barriers.txt`.

use super::{REGISTERS, written};
use crate::noprobe::list::{Line, Pattern};
use std::fmt;

/// The file, read.
#[derive(Debug, Default)]
pub struct List {
    /// Ways on without a barrier that are right.
    pub writes: Vec<Line<Excuse>>,
    /// Functions that need an ordered access.
    pub ordered: Vec<Line<Ordered>>,
}

/// The function that writes, the register, what happens then, and in which function.
pub type Way<'a> = (&'a str, &'a str, Event, &'a str);

/// A way on without a barrier that is right, or several.
#[derive(Debug)]
pub struct Excuse {
    writer: Pattern,
    /// Empty: any.
    registers: Vec<&'static str>,
    /// `None`: any.
    event: Option<Event>,
    place: Pattern,
    /// In checked builds only.
    checked: bool,
}

/// A function that a protocol hangs on.
#[derive(Debug)]
pub struct Ordered {
    pub function: Pattern,
    /// So many at least.
    pub count: usize,
    pub needs: Needed,
}

/// What happens before a register write is sure to be in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// PSTATE.D is opened.
    Opens,
    /// The function returns, to a caller that is not known.
    Returns,
    /// Something is called through a register.
    Calls,
    /// Something is jumped to through a register.
    Jumps,
}

/// An access or a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// LDAR, LDAPR, LDAXR.
    Acquire,
    /// STLR, STLXR.
    Release,
    /// DMB.
    Barrier,
}

const EVENTS: [(&str, Event); 4] =
    [("opens", Event::Opens), ("returns", Event::Returns), ("calls", Event::Calls), ("jumps", Event::Jumps)];

const NEEDED: [(&str, Needed); 3] =
    [("acquire", Needed::Acquire), ("release", Needed::Release), ("barrier", Needed::Barrier)];

impl List {
    /// Reads the file.
    ///
    /// # Errors
    /// Names the line, and what is wrong with it.
    pub fn read(file: &str) -> Result<Self, String> {
        let mut list = Self::default();
        let mut section = "";
        for (index, line) in file.lines().enumerate() {
            let number = index + 1;
            let (words, reason) = line.split_once('#').unwrap_or((line, ""));
            let words = words.trim();
            let wrong = |what: &str| format!("xtask/barriers.txt, line {number}: {what}: `{line}`");
            if words.is_empty() {
                continue;
            }
            if ["[writes]", "[writes, checked]", "[ordered]"].contains(&words) {
                section = words;
                continue;
            }
            if reason.trim().len() < 10 {
                return Err(wrong("no reason is given"));
            }
            let fields: Vec<&str> = words.split('|').map(str::trim).collect();
            let pattern = |text: &str| Pattern::read(text).map_err(|what| wrong(&what));
            match (section, &fields[..]) {
                ("[writes]" | "[writes, checked]", [writer, registers, event, place]) => {
                    let says = Excuse {
                        writer: pattern(writer)?,
                        registers: read_registers(registers).ok_or_else(|| wrong("no such register"))?,
                        event: read_event(event).ok_or_else(|| wrong("no such event"))?,
                        place: pattern(place)?,
                        checked: section == "[writes, checked]",
                    };
                    list.writes.push(Line { number, says });
                }
                ("[ordered]", [function, needs]) => {
                    let (count, needs) = needs.split_once(' ').unwrap_or(("1", needs));
                    let count = count.parse().map_err(|_| wrong("how many?"))?;
                    let needs = NEEDED.iter().find(|(name, _)| *name == needs);
                    let &(_, needs) = needs.ok_or_else(|| wrong("acquire, release or barrier?"))?;
                    let says = Ordered { function: pattern(function)?, count, needs };
                    list.ordered.push(Line { number, says });
                }
                _ => return Err(wrong("it is not of the form of its section")),
            }
        }
        Ok(list)
    }

    /// Whether a way on without a barrier is listed; `checked`: of a checked build.
    pub fn allows(&self, (writer, register, event, place): Way<'_>, checked: bool) -> bool {
        self.writes.iter().any(|Line { says, .. }| {
            (checked || !says.checked)
                && says.writer.covers(writer)
                && (says.registers.is_empty() || says.registers.contains(&register))
                && says.event.is_none_or(|listed| listed == event)
                && says.place.covers(place)
        })
    }

    /// All names of functions that an image has to have, with their lines.
    pub fn patterns(&self, checked: bool) -> impl Iterator<Item = (usize, &Pattern)> {
        let writes = self.writes.iter().filter(move |line| checked || !line.says.checked);
        let writes =
            writes.flat_map(|line| [(line.number, &line.says.writer), (line.number, &line.says.place)]);
        writes.chain(self.ordered.iter().map(|line| (line.number, &line.says.function)))
    }
}

fn read_registers(text: &str) -> Option<Vec<&'static str>> {
    if text == "*" {
        return Some(Vec::new());
    }
    // MSR of a numbered register of each kind.
    let numbered = [0xd510_0080, 0xd510_00a0, 0xd510_00c0, 0xd510_00e0].into_iter().filter_map(written);
    let known: Vec<&str> = REGISTERS.iter().map(|&(_, name)| name).chain(numbered).collect();
    text.split_whitespace().map(|name| known.iter().find(|known| **known == name).copied()).collect()
}

fn read_event(text: &str) -> Option<Option<Event>> {
    if text == "*" {
        return Some(None);
    }
    EVENTS.iter().find(|(name, _)| *name == text).map(|&(_, event)| Some(event))
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = EVENTS.iter().find(|(_, event)| event == self).map_or("?", |&(name, _)| name);
        f.write_str(name)
    }
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Acquire => "LDAR, LDAPR or LDAXR",
            Self::Release => "STLR or STLXR",
            Self::Barrier => "DMB",
        })
    }
}
