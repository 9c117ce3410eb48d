//! The errors in a line, and their positions.
use core::fmt;

use super::{MAX_ACTIVE, MAX_NAME};

/// Why a line was not understood. `Display` gives the position, what is wrong, and what would be right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// The byte offset in the line at which the error begins. If something is missing at the end, it is the line's length without
    /// trailing blanks.
    pub at: usize,
    /// What is wrong at that offset.
    pub problem: Problem,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.problem)
    }
}

impl core::error::Error for SyntaxError {}

/// The ways in which a line can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The line is empty.
    NoCommand,
    /// The line does not begin with `p`, `r` or `-`.
    UnknownCommand,
    /// Something other than `:` or a space follows the command letter.
    BadCommandTail,
    /// A number follows `p`.
    MaxActiveOnProbe,
    /// What follows `r` is not a number.
    BadMaxActive,
    /// The number after `r` is over [`MAX_ACTIVE`].
    MaxActiveTooBig,
    /// No name follows `:`.
    NoEventName,
    /// The event's name is not an identifier.
    BadEventName,
    /// The event's name is over [`MAX_NAME`] bytes.
    EventNameTooLong,
    /// No group's name stands before `/`.
    NoGroupName,
    /// The group's name is not an identifier.
    BadGroupName,
    /// The group's name is over [`MAX_NAME`] bytes.
    GroupNameTooLong,
    /// No event follows `-`.
    NothingToRemove,
    /// Something follows the event to remove.
    RemoveTakesNoTarget,
    /// No symbol or address is given.
    NoTarget,
    /// A character that a symbol cannot have outside of brackets and quotes.
    BadSymbol,
    /// The target is `MODULE:SYMBOL`, but there are no modules.
    Module,
    /// A bracket of the symbol that is not closed, or was not opened.
    UnbalancedBracket,
    /// A double quote that is not closed.
    UnclosedQuote,
    /// The target begins with a digit and is not a number, or does not fit 64 bits.
    BadAddress,
    /// What follows `+` is not a number, or does not fit 64 bits.
    BadOffset,
    /// What follows `%` is not `return`.
    BadSuffix,
    /// A return probe with an offset into its function.
    ReturnInsideFunction,
    /// Something follows the target.
    FetchArguments,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NUMBER: &str = "a number, decimal or hexadecimal after 0x (octal is not read)";
        const IDENTIFIER: &str = "letters, digits and _, not beginning with a digit";
        match self {
            Problem::NoCommand => f.write_str("empty; expected p, r or -"),
            Problem::UnknownCommand => {
                f.write_str("unknown command; expected p (probe), r (return probe) or - (remove)")
            }
            Problem::BadCommandTail => {
                f.write_str("expected ':' and an event name, or a space and a symbol or address")
            }
            Problem::MaxActiveOnProbe => {
                f.write_str("a maximum of pending returns goes with r only, not with p")
            }
            Problem::BadMaxActive => write!(f, "bad maximum of pending returns; expected {NUMBER}"),
            Problem::MaxActiveTooBig => write!(f, "the maximum of pending returns is over {MAX_ACTIVE}"),
            Problem::NoEventName => f.write_str("no event name after ':'"),
            Problem::BadEventName => write!(f, "bad event name; expected {IDENTIFIER}"),
            Problem::EventNameTooLong => write!(f, "the event name is over {MAX_NAME} bytes"),
            Problem::NoGroupName => f.write_str("no group name before '/'"),
            Problem::BadGroupName => write!(f, "bad group name; expected {IDENTIFIER}"),
            Problem::GroupNameTooLong => write!(f, "the group name is over {MAX_NAME} bytes"),
            Problem::NothingToRemove => {
                f.write_str("nothing to remove; expected -:EVENT, -:GROUP/EVENT or -:GROUP/")
            }
            Problem::RemoveTakesNoTarget => {
                f.write_str("unexpected; the line of a removal ends with the event's name")
            }
            Problem::NoTarget => f.write_str("no place; expected SYMBOL, SYMBOL+OFFSET or ADDRESS"),
            Problem::BadSymbol => f.write_str(
                "a symbol has no such character; put a name with such characters between double quotes",
            ),
            Problem::Module => f.write_str("MODULE:SYMBOL is not supported: there are no modules"),
            Problem::UnbalancedBracket => {
                f.write_str("bracket without its partner; complete the name, or put it between double quotes")
            }
            Problem::UnclosedQuote => f.write_str("double quote that is not closed"),
            Problem::BadAddress => write!(f, "bad address; expected {NUMBER} of up to 64 bits"),
            Problem::BadOffset => write!(f, "bad offset; expected {NUMBER} of up to 64 bits"),
            Problem::BadSuffix => f.write_str("unknown suffix; expected %return"),
            Problem::ReturnInsideFunction => {
                f.write_str("a return probe goes on the start of a function; leave out the offset")
            }
            Problem::FetchArguments => {
                f.write_str("fetch arguments are not supported; the line ends with the symbol or address")
            }
        }
    }
}
