//! Reads `barriers.txt`, the exceptions of the check of barriers.

use super::{REGISTERS, written};
use crate::noprobe::list::{Line, Pattern};
use std::fmt;

/// The contents of the file.
#[derive(Debug, Default)]
pub struct List {
    /// Ways of execution that are right without a barrier.
    pub writes: Vec<Line<Excuse>>,
    /// Functions that must contain an ordered access.
    pub ordered: Vec<Line<Ordered>>,
}

/// A way without a barrier: the function that writes, the register, what happens before a barrier, and in which function that
/// happens.
pub type Way<'a> = (&'a str, &'a str, Event, &'a str);

/// One line of the file: ways without a barrier that are right.
#[derive(Debug)]
pub struct Excuse {
    writer: Pattern,
    /// The registers; if empty, all of them.
    registers: Vec<&'static str>,
    /// What happens before a barrier; None stands for everything.
    event: Option<Event>,
    place: Pattern,
    /// Whether the line counts in checked builds only.
    checked: bool,
}

/// A function that must contain ordered accesses, because a lock-free protocol needs them.
#[derive(Debug)]
pub struct Ordered {
    pub function: Pattern,
    /// The least number of such accesses.
    pub count: usize,
    pub needs: Needed,
}

/// What happens before a register write is certain to be in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// PSTATE.D is unmasked.
    Opens,
    /// The function returns, to a caller that is not known.
    Returns,
    /// A function is called through a register.
    Calls,
    /// There is a jump through a register.
    Jumps,
    /// There is an exception return, which is not enough for this register.
    Erets,
}

/// An access or a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// An access with acquire semantics: LDAR, LDAPR or LDAXR.
    Acquire,
    /// An access with release semantics: STLR or STLXR.
    Release,
    /// A barrier: DMB.
    Barrier,
}

const EVENTS: [(&str, Event); 5] = [
    ("opens", Event::Opens),
    ("returns", Event::Returns),
    ("calls", Event::Calls),
    ("jumps", Event::Jumps),
    ("erets", Event::Erets),
];

const NEEDED: [(&str, Needed); 3] =
    [("acquire", Needed::Acquire), ("release", Needed::Release), ("barrier", Needed::Barrier)];

impl List {
    /// Reads the text of `barriers.txt`.
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
                    let count = count.parse().map_err(|_| wrong("the number of accesses is no number"))?;
                    let needs = NEEDED.iter().find(|(name, _)| *name == needs);
                    let &(_, needs) = needs.ok_or_else(|| wrong("expected acquire, release or barrier"))?;
                    let says = Ordered { function: pattern(function)?, count, needs };
                    list.ordered.push(Line { number, says });
                }
                _ => return Err(wrong("the line does not have the form of its section")),
            }
        }
        Ok(list)
    }

    /// Whether a way without a barrier is listed. `checked` says whether the image is a checked build.
    pub fn allows(&self, (writer, register, event, place): Way<'_>, checked: bool) -> bool {
        self.writes.iter().any(|Line { says, .. }| {
            (checked || !says.checked)
                && says.writer.covers(writer)
                && (says.registers.is_empty() || says.registers.contains(&register))
                && says.event.is_none_or(|listed| listed == event)
                && says.place.covers(place)
        })
    }

    /// The names of all functions that an image must have, with their lines.
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
