//! What can be wrong with a command.

use crate::kprobe::ProbeError;
use crate::report::symbols::SymbolError;
use crate::smp::BringUpError;
use ::slots::SlotError;
use alloc::string::{String, ToString};
use cli::LineError;
use cli::command::ParseError;
use core::fmt;
use probe::events::SyntaxError;
use rules::step::StepError;

/// Why a command was not carried out. `Display` is one line that says what to do.
#[derive(Clone, Debug)]
pub enum Error {
    /// The line is no line.
    Line(LineError),
    /// The line is no command; what was expected.
    Command(String),
    /// The probe's definition is not understood.
    Definition(SyntaxError),
    /// The name leads to no place.
    Symbol(SymbolError),
    /// A breakpoint where nothing is executed.
    NotText(u64),
    /// There is a probe of this name.
    NameTaken(String),
    /// There is no probe of this name.
    NoSuchProbe(String),
    /// There is no breakpoint or watchpoint of this number.
    NoSuchNumber(::slots::Kind, u64),
    /// There is no rule of this name.
    NoSuchRule(String),
    /// The kernel refuses the probe.
    Probe(ProbeError),
    /// The kernel refuses the slot.
    Slot(SlotError),
    /// The CPU does not come up.
    BringUp(BringUpError),
    /// The kernel refuses the step.
    Step(StepError),
    /// More steps than are made at a time.
    TooManySteps {
        /// The most.
        limit: u64,
    },
    /// Steps went wrong: the number that landed in an interrupt handler.
    SteppedIntoHandler(u64),
    /// The image holds no tests: see [`super::register_tests`].
    NoTests,
    /// No test's name contains the filter.
    NoSuchTest(String),
    /// Tests want a kernel without probes and slots of other people's.
    InTheWay {
        /// Probes that are set.
        probes: usize,
        /// Breakpoints and watchpoints that are set.
        slots: usize,
    },
    /// So many tests failed.
    TestsFailed(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => write!(f, "{error}"),
            Self::Command(text) => f.write_str(text),
            Self::Definition(error) => write!(f, "probe definition, {error}"),
            Self::Symbol(error) => write!(f, "{error}"),
            Self::NotText(at) => write!(f, "{at:#x} is not in the kernel's text: nothing is executed there"),
            Self::NameTaken(name) => {
                write!(
                    f,
                    "there is a probe {name} already: choose another name, or remove it with 'probe -:{name}'"
                )
            }
            Self::NoSuchProbe(name) => {
                write!(f, "no probe '{}': 'probe' lists them", name.escape_debug())
            }
            Self::NoSuchNumber(kind, number) => {
                let command = if *kind == ::slots::Kind::Breakpoint { "break" } else { "watch" };
                write!(f, "no {kind} {number}: '{command}' lists them")
            }
            Self::NoSuchRule(name) => write!(f, "no rule '{}': 'rules' lists them", name.escape_debug()),
            Self::Probe(error) => write!(f, "{error}"),
            Self::Slot(error) => write!(f, "{error}"),
            Self::BringUp(error) => write!(f, "{error}"),
            Self::Step(error) => write!(f, "{error}"),
            Self::TooManySteps { limit } => write!(f, "at most {limit} instructions at a time"),
            Self::SteppedIntoHandler(count) => {
                write!(f, "rule X2: {count} steps landed in an interrupt handler")
            }
            Self::NoTests => f.write_str("this image holds no tests"),
            Self::NoSuchTest(filter) => {
                write!(f, "no test's name contains '{}': 'test' runs all", filter.escape_debug())
            }
            Self::InTheWay { probes, slots } => write!(
                f,
                "tests need a kernel without probes, breakpoints and watchpoints: remove those that are set first (probes: {probes}, slots: {slots})"
            ),
            Self::TestsFailed(count) => write!(f, "{count} tests failed"),
        }
    }
}

impl core::error::Error for Error {}

impl From<ParseError<'_>> for Error {
    fn from(error: ParseError<'_>) -> Self {
        Self::Command(error.to_string())
    }
}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        }
    )*};
}

from!(LineError => Line, SyntaxError => Definition, SymbolError => Symbol, ProbeError => Probe, SlotError => Slot, StepError => Step,
    BringUpError => BringUp);

impl From<fmt::Error> for Error {
    fn from(_: fmt::Error) -> Self {
        Self::Command("what was to be shown could not be written".into())
    }
}
