//! Probes as text: a subset of the syntax of Linux's `kprobe_events` file.
//!
//! ```text
//! p[:[GROUP/][EVENT]] SYMBOL[+OFFSET] | ADDRESS      a probe
//! p[:[GROUP/][EVENT]] SYMBOL[+0]%return              a return probe
//! r[MAXACTIVE][:[GROUP/][EVENT]] SYMBOL[+0] | ADDRESS
//! -:[GROUP/]EVENT                                    remove one
//! -:GROUP/                                           remove all of a group
//! ```
//!
//! GROUP and EVENT are C identifiers of up to [`MAX_NAME`] bytes. OFFSET and ADDRESS are decimal, or hexadecimal after `0x`;
//! not octal. Fetch arguments and `MODULE:SYMBOL` are not supported: they are errors of their own.
//!
//! SYMBOL is a demangled Rust name, or another name. It may hold spaces and `+` within `<>`, `()`, `[]` and `{}`, so
//! `<impl core::fmt::Debug for [T; 4]>::fmt+0x8` needs no quotes. A name that breaks these rules goes between double quotes:
//! `"operator new"+4`.
//!
//! ```
//! use stepwell_probe::events::{Command, Target, parse};
//!
//! let Ok(Command::Probe(probe)) = parse("p:sched/switch <Queue<T> as Scheduler>::pick+0x10") else { panic!() };
//! assert_eq!(probe.event.name, Some("switch"));
//! assert_eq!(probe.target, Target::Symbol { name: "<Queue<T> as Scheduler>::pick", offset: 16 });
//!
//! let error = parse("p:my-probe timer_tick").unwrap_err();
//! assert_eq!(error.at, 4);
//! ```
use core::fmt;

mod error;
mod parse;

pub use error::{Problem, SyntaxError};
pub use parse::parse;

/// The group of an event that names none.
pub const DEFAULT_GROUP: &str = "kprobes";
/// The longest group or event name, in bytes.
pub const MAX_NAME: usize = 63;
/// The most instances of a return probe that MAXACTIVE may ask for.
pub const MAX_ACTIVE: u16 = 4096;

/// One line of `kprobe_events`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// Place a probe.
    Probe(Probe<'a>),
    /// Remove the event; without a name, all events of the group.
    Remove(Event<'a>),
}

/// The name of an event and its group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Event<'a> {
    /// The group, if one was given; see [`DEFAULT_GROUP`].
    pub group: Option<&'a str>,
    /// The name, if one was given; otherwise the kernel makes one up.
    pub name: Option<&'a str>,
}

/// A probe to place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Probe<'a> {
    /// At which moment the probe hits.
    pub kind: Kind,
    /// The group and the name.
    pub event: Event<'a>,
    /// The place of the probe.
    pub target: Target<'a>,
}

/// When a probe hits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// When the instruction is about to execute.
    Entry,
    /// When the function that starts at the target returns.
    Return {
        /// How many returns may be pending at once, 0 to [`MAX_ACTIVE`]; 0 and `None` leave it to the kernel.
        max_active: Option<u16>,
    },
}

/// The place of a probe. Whether it exists, is text, and is aligned is for the kernel to check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// `offset` bytes into a symbol.
    Symbol {
        /// The symbol, without quotes.
        name: &'a str,
        /// Bytes from its start.
        offset: u64,
    },
    /// An address.
    Address(u64),
}

impl fmt::Display for Command<'_> {
    /// The line that [`parse()`] reads back as this command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Remove(event) => write!(f, "-{event}"),
            Command::Probe(Probe { kind, event, target }) => {
                match kind {
                    Kind::Entry => f.write_str("p")?,
                    Kind::Return { max_active: None } => f.write_str("r")?,
                    Kind::Return { max_active: Some(n) } => write!(f, "r{n}")?,
                }
                write!(f, "{event} {target}")
            }
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.group, self.name) {
            (None, None) => Ok(()),
            (None, Some(name)) => write!(f, ":{name}"),
            (Some(group), name) => write!(f, ":{group}/{}", name.unwrap_or_default()),
        }
    }
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Address(address) => write!(f, "{address:#x}"),
            Target::Symbol { name, offset } => {
                if parse::is_bare_symbol(name) {
                    f.write_str(name)?;
                } else {
                    write!(f, "\"{name}\"")?;
                }
                if *offset != 0 {
                    write!(f, "+{offset:#x}")?;
                }
                Ok(())
            }
        }
    }
}
