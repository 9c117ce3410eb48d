//! Errors of the monitor's commands.

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
    /// The line editor has rejected the line.
    Line(LineError),
    /// The line is not a command. The text says what was expected.
    Command(String),
    /// The probe's definition is not understood.
    Definition(SyntaxError),
    /// The name of a place leads to no address.
    Symbol(SymbolError),
    /// A breakpoint was asked for at an address where nothing is executed.
    NotText(u64),
    /// A probe has this name already.
    NameTaken(String),
    /// No probe has this name.
    NoSuchProbe(String),
    /// No breakpoint or watchpoint has this number.
    NoSuchNumber(::slots::Kind, u64),
    /// No rule has this name.
    NoSuchRule(String),
    /// The kernel refuses the probe.
    Probe(ProbeError),
    /// The kernel refuses the slot.
    Slot(SlotError),
    /// The CPU does not come up.
    BringUp(BringUpError),
    /// The kernel refuses the step.
    Step(StepError),
    /// More steps were asked for than the monitor makes at a time.
    TooManySteps {
        /// The most steps at a time.
        limit: u64,
    },
    /// Rule X2 is violated: this many steps landed in an interrupt handler.
    SteppedIntoHandler(u64),
    /// The kernel does not trace.
    NotTraced,
    /// The image holds no tests: see [`super::register_tests`].
    NoTests,
    /// No test's name contains the filter.
    NoSuchTest(String),
    /// Probes or slots are set, but tests need a kernel without any except their own.
    InTheWay {
        /// The number of probes that are set.
        probes: usize,
        /// The number of breakpoints and watchpoints that are set.
        slots: usize,
    },
    /// This many tests have failed.
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
            Self::NotTraced => f.write_str("nothing is traced: boot with --append trace=1"),
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
        Self::Command("the output could not be written".into())
    }
}
