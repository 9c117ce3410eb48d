//! The table of commands.

use super::args::Args;
use super::{Access, Break, Command, Cpu, ParseError, Probe, Watch, find};
use crate::number;

type Parsed<'a> = Result<Command<'a>, ParseError<'a>>;

/// A command: its name, its forms for the help, and the parser of the words behind the name.
pub struct Entry {
    /// The word that a line begins with.
    pub name: &'static str,
    /// What can follow the name, one help line for each form.
    pub forms: &'static [Form],
    pub(super) parse: for<'a> fn(&mut Args<'a>) -> Parsed<'a>,
}

/// One form of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    /// The command as it is typed. Words in upper case stand for values, parts in brackets may be left out.
    pub syntax: &'static str,
    /// What this form does, for the help.
    pub help: &'static str,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.name == other.name
    }
}

impl Eq for Entry {}

impl core::fmt::Debug for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

const fn form(syntax: &'static str, help: &'static str) -> Form {
    Form { syntax, help }
}

/// All commands of the monitor, in the order of the help.
pub static COMMANDS: &[Entry] = &[
    Entry {
        name: "help",
        forms: &[form("help [COMMAND]", "list the commands, or the forms of one")],
        parse: help,
    },
    Entry {
        name: "probe",
        forms: &[
            form("probe", "list the probes, with their counts"),
            form(
                "probe p[:NAME] SYMBOL[+OFFSET]|ADDR",
                "add a probe, in the syntax of Linux's kprobe_events",
            ),
            form("probe r[MAX][:NAME] SYMBOL|ADDR", "add a return probe, for up to MAX calls at once"),
            form("probe -:NAME", "remove a probe"),
        ],
        parse: probe,
    },
    Entry {
        name: "probes",
        forms: &[form("probes --blacklist", "show the text that can be neither probed nor broken into")],
        parse: probes,
    },
    Entry {
        name: "break",
        forms: &[
            form("break", "list the hardware breakpoints, with their counts"),
            form("break ADDR|SYMBOL[+OFFSET]", "set a hardware breakpoint"),
            form("break -N", "remove breakpoint N"),
        ],
        parse: breakpoint,
    },
    Entry {
        name: "watch",
        forms: &[
            form("watch", "list the watchpoints, with their counts"),
            form(
                "watch ADDR|SYMBOL[+OFFSET] [LEN] [r|w|rw]",
                "watch LEN bytes for reads, writes (default) or both",
            ),
            form("watch -N", "remove watchpoint N"),
        ],
        parse: watch,
    },
    Entry { name: "step", forms: &[form("step [N]", "single-step N instructions (default 1)")], parse: step },
    Entry {
        name: "cpu",
        forms: &[
            form("cpu", "list the CPUs, and which are online"),
            form("cpu N online", "bring up CPU N, held back at boot by maxcpus="),
        ],
        parse: cpu,
    },
    Entry {
        name: "slots",
        forms: &[form("slots", "show the hardware slots of every CPU")],
        parse: |_| Ok(Command::Slots),
    },
    Entry {
        name: "rules",
        forms: &[form("rules [ID]", "show the masking rules, or one of them")],
        parse: |args| Ok(Command::Rules { id: args.next() }),
    },
    Entry {
        name: "stats",
        forms: &[form("stats", "show the counters of debug exceptions and interrupts")],
        parse: |_| Ok(Command::Stats),
    },
    Entry {
        name: "why",
        forms: &[form("why [N]", "draw the last N exceptions and returns of this CPU (default 16)")],
        parse: why,
    },
    Entry {
        name: "test",
        forms: &[form("test [FILTER]", "run the self-tests, or those whose names contain FILTER")],
        parse: |args| Ok(Command::Test { filter: args.rest() }),
    },
    Entry {
        name: "poweroff",
        forms: &[form("poweroff", "end, with a status that tells success")],
        parse: |_| Ok(Command::Poweroff),
    },
];

fn help<'a>(args: &mut Args<'a>) -> Parsed<'a> {
    let topic = args.next().map(find).transpose()?;
    Ok(Command::Help { topic })
}

fn probe<'a>(args: &mut Args<'a>) -> Parsed<'a> {
    let Some(first) = args.peek() else {
        return Ok(Command::Probe(Probe::List));
    };
    let Some(name) = first.strip_prefix('-') else {
        // `rest` is not empty where `peek` found a word.
        return Ok(Command::Probe(args.rest().map_or(Probe::List, |spec| Probe::Add { spec })));
    };
    args.next();
    match name.strip_prefix(':') {
        Some("") => Err(ParseError::Missing { what: "a probe's name after '-:'" }),
        Some(name) => Ok(Command::Probe(Probe::Remove { name })),
        None => Err(ParseError::Expected { what: "-:NAME to remove a probe", found: first }),
    }
}

fn probes<'a>(args: &mut Args<'a>) -> Parsed<'a> {
    const WHAT: &str = "--blacklist ('probe' lists the probes)";
    match args.next() {
        Some("--blacklist") => Ok(Command::Blacklist),
        Some(found) => Err(ParseError::Expected { what: WHAT, found }),
        None => Err(ParseError::Missing { what: WHAT }),
    }
}

fn breakpoint<'a>(args: &mut Args<'a>) -> Parsed<'a> {
    let Some(word) = args.peek() else {
        return Ok(Command::Break(Break::List));
    };
    Ok(Command::Break(match removed(word)? {
        Some(number) => {
            args.next();
            Break::Remove { number }
        }
        None => Break::Add(args.location()?),
    }))
}

fn watch<'a>(args: &mut Args<'a>) -> Parsed<'a> {
    let Some(word) = args.peek() else {
        return Ok(Command::Watch(Watch::List));
    };
    if let Some(number) = removed(word)? {
        args.next();
        return Ok(Command::Watch(Watch::Remove { number }));
    }
    let location = args.location()?;
    let mut length = None;
    if let Some(word) = args.peek().filter(|word| access(word).is_none()) {
        args.next();
        match number::parse(word) {
            Some(bytes) if bytes > 0 => length = Some(bytes),
            _ => return Err(ParseError::Expected { what: "a length in bytes, or r, w or rw", found: word }),
        }
    }
    let access = match args.next() {
        None => Access::Write,
        Some(word) => access(word).ok_or(ParseError::Expected { what: "r, w or rw", found: word })?,
    };
    Ok(Command::Watch(Watch::Add { location, length, access }))
}

fn access(word: &str) -> Option<Access> {
    match word {
        "r" => Some(Access::Read),
        "w" => Some(Access::Write),
        "rw" => Some(Access::ReadWrite),
        _ => None,
    }
}

/// The number after a minus sign, if there is one.
fn removed(word: &str) -> Result<Option<u64>, ParseError<'_>> {
    let Some(number) = word.strip_prefix('-') else {
        return Ok(None);
    };
    let wrong = ParseError::Expected { what: "-N, with a number from the list", found: word };
    number::parse(number).map(Some).ok_or(wrong)
}

fn step<'a>(args: &mut Args<'a>) -> Parsed<'a> {
    Ok(Command::Step { count: count(args, 1, "a number of instructions, 1 or more")? })
}

fn why<'a>(args: &mut Args<'a>) -> Parsed<'a> {
    Ok(Command::Why { count: count(args, 16, "a number of exceptions, 1 or more")? })
}

/// A number that is not 0, or `default`.
fn count<'a>(args: &mut Args<'a>, default: u64, what: &'static str) -> Result<u64, ParseError<'a>> {
    match args.next() {
        None => Ok(default),
        Some(word) => {
            number::parse(word).filter(|&count| count > 0).ok_or(ParseError::Expected { what, found: word })
        }
    }
}

fn cpu<'a>(args: &mut Args<'a>) -> Parsed<'a> {
    let Some(word) = args.next() else {
        return Ok(Command::Cpu(Cpu::List));
    };
    let wrong = ParseError::Expected { what: "the number of a CPU", found: word };
    let number = number::parse(word).ok_or(wrong)?;
    match args.next() {
        Some("online") => Ok(Command::Cpu(Cpu::Online { number })),
        Some(found) => Err(ParseError::Expected { what: "'online'", found }),
        None => Err(ParseError::Missing { what: "'online'" }),
    }
}
