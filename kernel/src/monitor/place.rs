//! Places that people name, found.

use super::Error;
use crate::report::symbols::{self, Symbol};
use alloc::string::ToString;
use cli::command::Location;
use probe::events::Target;

/// An address, with the symbol it was named by or lies in.
#[derive(Clone, Copy)]
pub struct Place {
    /// The address.
    pub address: u64,
    /// The symbol there, if there is one.
    pub symbol: Option<Symbol>,
}

impl Place {
    /// By symbol and offset.
    ///
    /// # Errors
    /// [`Error::Symbol`], [`Error::Beyond`].
    fn named(name: &str, offset: u64) -> Result<Self, Error> {
        let symbol = symbols::by_name(name).map_err(|error| Error::Symbol(name.to_string(), error))?;
        if offset != 0 && offset >= symbol.size {
            return Err(Error::Beyond { symbol: symbol.name, offset, size: symbol.size });
        }
        Ok(Self { address: symbol.address + offset, symbol: Some(symbol) })
    }

    fn at(address: u64) -> Self {
        Self { address, symbol: symbols::at(address) }
    }
}

impl TryFrom<Location<'_>> for Place {
    type Error = Error;

    fn try_from(location: Location<'_>) -> Result<Self, Error> {
        match location {
            Location::Address(address) => Ok(Self::at(address)),
            Location::Symbol { name, offset } => Self::named(name, offset),
        }
    }
}

impl TryFrom<Target<'_>> for Place {
    type Error = Error;

    fn try_from(target: Target<'_>) -> Result<Self, Error> {
        match target {
            Target::Address(address) => Ok(Self::at(address)),
            Target::Symbol { name, offset } => Self::named(name, offset),
        }
    }
}
