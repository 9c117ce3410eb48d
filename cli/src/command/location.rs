//! Places in the kernel as people name them.

use super::ParseError;
use crate::number;

/// A place in the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Location<'a> {
    /// A virtual address.
    Address(u64),
    /// An offset into what a symbol names.
    Symbol {
        /// The symbol's name.
        name: &'a str,
        /// Bytes from its start.
        offset: u64,
    },
}

impl core::fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Location::Address(address) => write!(f, "{address:#x}"),
            Location::Symbol { name, offset: 0 } => f.write_str(name),
            Location::Symbol { name, offset } => write!(f, "{name}+{offset:#x}"),
        }
    }
}

impl<'a> Location<'a> {
    pub(super) const SYNTAX: &'static str = "an address or SYMBOL[+OFFSET]";

    /// The place that `word` names: a number, or a symbol, perhaps with an offset after its last `+`.
    ///
    /// # Errors
    /// [`ParseError::Expected`].
    pub fn parse(word: &'a str) -> Result<Location<'a>, ParseError<'a>> {
        let wrong = ParseError::Expected { what: Self::SYNTAX, found: word };
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return number::parse(word).map(Location::Address).ok_or(wrong);
        }
        let (name, offset) = match word.rsplit_once('+') {
            Some((name, offset)) => (name, number::parse(offset).ok_or(wrong)?),
            None => (word, 0),
        };
        // What symbols begin with, mangled or as a Rust path; never an option.
        let plausible =
            name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.' | '$' | '<'));
        if plausible { Ok(Location::Symbol { name, offset }) } else { Err(wrong) }
    }
}
