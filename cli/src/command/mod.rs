//! The monitor's commands: one table gives names, syntax, help and parsers.

mod args;
mod location;
mod table;
#[cfg(test)]
mod tests;

use core::fmt::{self, Write};

use args::Args;
pub use location::Location;
pub use table::{COMMANDS, Entry, Form};

/// A command of the monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command<'a> {
    /// A blank line.
    Nothing,
    /// Write the help: [`write_help`].
    Help {
        /// The command whose help is written; all commands if not given.
        topic: Option<&'static Entry>,
    },
    /// List or change the probes.
    Probe(Probe<'a>),
    /// Show the text that can be neither probed nor broken into.
    Blacklist,
    /// List or change the breakpoints.
    Break(Break<'a>),
    /// List or change the watchpoints.
    Watch(Watch<'a>),
    /// Single-step.
    Step {
        /// How many instructions, at least 1.
        count: u64,
    },
    /// List the CPUs or bring one up.
    Cpu(Cpu),
    /// Show the hardware slots.
    Slots,
    /// Show the masking rules.
    Rules {
        /// The rule to show, by its ID; all if not given.
        id: Option<&'a str>,
    },
    /// Show the counters.
    Stats,
    /// Draw the last entries of the trace.
    Why {
        /// How many, at least 1.
        count: u64,
    },
    /// Run the self-tests.
    Test {
        /// A filter: only tests whose names match are run.
        filter: Option<&'a str>,
    },
    /// Leave the monitor and switch the machine off.
    Poweroff,
}

/// What `probe` is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe<'a> {
    /// List the probes.
    List,
    /// Add a probe.
    Add {
        /// A line in the syntax of Linux's `kprobe_events`. It is not parsed here.
        spec: &'a str,
    },
    /// Remove a probe.
    Remove {
        /// The text behind `-:`.
        name: &'a str,
    },
}

/// What `break` is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Break<'a> {
    /// List the breakpoints.
    List,
    /// Add a breakpoint.
    Add(Location<'a>),
    /// Remove a breakpoint.
    Remove {
        /// The breakpoint's number in the list.
        number: u64,
    },
}

/// What `watch` is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch<'a> {
    /// List the watchpoints.
    List,
    /// Add a watchpoint.
    Add {
        /// The place of the first byte that is watched.
        location: Location<'a>,
        /// The number of bytes, at least 1. If it is not given, the caller takes the symbol's size or another suitable length.
        length: Option<u64>,
        /// Which accesses are watched; writes if not given.
        access: Access,
    },
    /// Remove a watchpoint.
    Remove {
        /// The watchpoint's number in the list.
        number: u64,
    },
}

/// What `cpu` is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cpu {
    /// List the CPUs.
    List,
    /// Bring a CPU up.
    Online {
        /// The CPU's number in the list.
        number: u64,
    },
}

/// Which accesses are watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads are watched (`r`).
    Read,
    /// Writes are watched (`w`).
    Write,
    /// Reads and writes are watched (`rw`).
    ReadWrite,
}

/// Why a line is not a command. `Display` writes one line that says what was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseError<'a> {
    /// No command has this name.
    UnknownCommand {
        /// The first word of the line.
        word: &'a str,
        /// The command that was probably meant, if one is similar.
        nearest: Option<&'static str>,
    },
    /// A word is not what the syntax demands at its place.
    Expected {
        /// What the syntax demands.
        what: &'static str,
        /// The word found.
        found: &'a str,
    },
    /// The line ends before the command is complete.
    Missing {
        /// What should follow.
        what: &'static str,
    },
    /// The line has more words than the command takes.
    Unexpected {
        /// The first word that the command does not take.
        found: &'a str,
        /// The command's name.
        command: &'static str,
    },
}

impl core::error::Error for ParseError<'_> {}

impl fmt::Display for ParseError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ParseError::UnknownCommand { word, nearest } => {
                write!(f, "unknown command '{}'", word.escape_debug())?;
                match nearest {
                    Some(name) => write!(f, ": did you mean '{name}'?"),
                    None => f.write_str(": 'help' lists the commands"),
                }
            }
            ParseError::Expected { what, found } => {
                write!(f, "expected {what}, found '{}'", found.escape_debug())
            }
            ParseError::Missing { what } => write!(f, "expected {what}, found the end of the line"),
            ParseError::Unexpected { found, command } => {
                write!(f, "'{}' is too much: see 'help {command}'", found.escape_debug())
            }
        }
    }
}

/// The command in `line`.
///
/// # Errors
/// Says what was expected, in one line.
pub fn parse(line: &str) -> Result<Command<'_>, ParseError<'_>> {
    let mut args = Args::new(line);
    let Some(word) = args.next() else {
        return Ok(Command::Nothing);
    };
    let entry = find(word)?;
    let command = (entry.parse)(&mut args)?;
    match args.next() {
        Some(found) => Err(ParseError::Unexpected { found, command: entry.name }),
        None => Ok(command),
    }
}

fn find(word: &str) -> Result<&'static Entry, ParseError<'_>> {
    COMMANDS.iter().find(|entry| entry.name == word).ok_or_else(|| ParseError::UnknownCommand {
        word,
        nearest: crate::nearest::nearest(word, COMMANDS.iter().map(|entry| entry.name)),
    })
}

/// Writes the help of all commands, or of one.
///
/// # Errors
/// Those of `out`.
pub fn write_help(out: &mut dyn Write, topic: Option<&Entry>) -> fmt::Result {
    let entries = COMMANDS.iter().filter(|entry| topic.is_none_or(|topic| topic.name == entry.name));
    let width =
        COMMANDS.iter().flat_map(|entry| entry.forms).map(|form| form.syntax.len()).max().unwrap_or(0);
    for form in entries.flat_map(|entry| entry.forms) {
        writeln!(out, "  {:<width$}  {}", form.syntax, form.help)?;
    }
    Ok(())
}
