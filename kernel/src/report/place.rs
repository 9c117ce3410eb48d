//! Finds the address of a place that a person names. Probes, breakpoints, watchpoints and all other users of places turn text into
//! an address here, so that a text means the same for all of them.

use super::symbols::{self, Symbol, SymbolError};
use cli::command::{Location, ParseError};
use core::fmt;
use probe::events::Target;

/// An address, with the symbol that it lies in or was named by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub address: u64,
    /// The symbol at the address, if there is one.
    pub symbol: Option<Symbol>,
}

/// Why a text names no address. `Display` is one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceError<'a> {
    /// The text has none of the forms of a place.
    Form(ParseError<'a>),
    /// The symbol does not exist, or the offset is outside of it.
    Symbol(SymbolError),
}

impl Place {
    /// The place that a text names: `SYMBOL`, `SYMBOL+OFFSET`, or an address. Whether the address is text, is aligned, and may be
    /// probed, is for the caller to check. Thread context: allocates.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn parse(text: &str) -> Result<Self, PlaceError<'_>> {
        let location = Location::parse(text.trim_ascii()).map_err(PlaceError::Form)?;
        location.try_into().map_err(PlaceError::Symbol)
    }

    /// The place at `offset` bytes from a symbol, whose name is as for [`symbols::by_name`]. Thread context: allocates.
    ///
    /// # Errors
    /// See [`SymbolError`].
    pub fn named(name: &str, offset: u64) -> Result<Self, SymbolError> {
        let symbol = symbols::by_name(name)?;
        if offset != 0 && offset >= symbol.size {
            return Err(SymbolError::Beyond { symbol: symbol.name, offset, size: symbol.size });
        }
        Ok(Self { address: symbol.address + offset, symbol: Some(symbol) })
    }

    /// The place at an address. Any context.
    pub fn at(address: u64) -> Self {
        Self { address, symbol: symbols::at(address) }
    }
}

impl TryFrom<Location<'_>> for Place {
    type Error = SymbolError;

    fn try_from(location: Location<'_>) -> Result<Self, SymbolError> {
        match location {
            Location::Address(address) => Ok(Self::at(address)),
            Location::Symbol { name, offset } => Self::named(name, offset),
        }
    }
}

impl TryFrom<Target<'_>> for Place {
    type Error = SymbolError;

    fn try_from(target: Target<'_>) -> Result<Self, SymbolError> {
        match target {
            Target::Address(address) => Ok(Self::at(address)),
            Target::Symbol { name, offset } => Self::named(name, offset),
        }
    }
}

impl fmt::Display for PlaceError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(error) => write!(f, "{error}"),
            Self::Symbol(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for PlaceError<'_> {}
