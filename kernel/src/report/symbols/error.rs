//! Why a symbol's name leads to no address.

use super::Symbol;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why a symbol's name, perhaps with an offset, leads to no address. `Display` is one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SymbolError {
    /// No symbol has this name.
    Unknown {
        /// The name as it was given.
        name: String,
        /// Existing names that are similar, the most similar first.
        nearest: Vec<&'static str>,
    },
    /// Several symbols have this name.
    Ambiguous {
        /// The name as it was given.
        name: String,
        /// All symbols of this name, in the order of their addresses.
        candidates: Vec<Symbol>,
    },
    /// The offset is outside of the symbol.
    Beyond {
        /// The symbol's name.
        symbol: &'static str,
        /// The offset in bytes.
        offset: u64,
        /// The symbol's size in bytes.
        size: u64,
    },
    /// The image was started without its symbol table.
    NoTable,
}

/// The most candidates that `Display` lists.
const SHOWN: usize = 6;

impl fmt::Display for SymbolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, nearest } => {
                write!(f, "'{}': no such symbol", name.escape_debug())?;
                for (number, name) in nearest.iter().enumerate() {
                    f.write_str(if number == 0 { ": did you mean '" } else { " or '" })?;
                    write!(f, "{name}'")?;
                }
                f.write_str(if nearest.is_empty() { "" } else { "?" })
            }
            Self::Ambiguous { name, candidates } => {
                write!(f, "'{}' is the name of {} symbols: ", name.escape_debug(), candidates.len())?;
                for (number, symbol) in candidates.iter().take(SHOWN).enumerate() {
                    f.write_str(if number == 0 { "" } else { ", " })?;
                    f.write_str(symbol.name)?;
                    if symbol.hash != 0 {
                        write!(f, "::h{:016x}", symbol.hash)?;
                    }
                    write!(f, " at {:#x}", symbol.address)?;
                }
                if candidates.len() > SHOWN {
                    write!(f, ", and {} more", candidates.len() - SHOWN)?;
                }
                f.write_str("; give one of these names, or an address")
            }
            Self::Beyond { symbol, offset, size } => {
                write!(f, "offset {offset:#x} is outside {symbol}, which has {size:#x} bytes")
            }
            Self::NoTable => f.write_str("the image was started without its symbol table; give an address"),
        }
    }
}

impl core::error::Error for SymbolError {}
