//! Symbols by address and by name.
//!
//! - this file: symbols by address, in any context;
//! - `table`: the table that `xtask` appends to the image;
//! - `lookup`: symbols by name; `error`: why a name leads to no address.

mod error;
mod lookup;
mod table;

pub use error::SymbolError;
pub use lookup::by_name;
pub use table::image_size;

use crate::mm::layout;
use cli::symbol::Identity;
use core::fmt;
use table::Table;

/// Whether a symbol names text or data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A function.
    Text,
    /// A static.
    Data,
}

/// One symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The demangled name, without the hash.
    pub name: &'static str,
    /// The address of the first byte.
    pub address: u64,
    /// The length in bytes; 0 if unknown.
    pub size: u64,
    /// Whether the symbol names text or data.
    pub kind: Kind,
    /// A hash that tells symbols with the same `name` apart; 0 if the name is not mangled.
    pub hash: u64,
    /// A hash of the whole mangled name; 0 if there is none.
    mangled: u64,
}

impl Symbol {
    /// The values by which a name that was typed is compared with this symbol.
    fn identity(&self) -> Identity<'static> {
        Identity { name: self.name, hash: self.hash, mangled: self.mangled }
    }
}

/// How many symbols before an address are looked at for the one that the address lies in: symbols may lie in each other.
const LOOKED_AT: usize = 8;

/// The numbers of the symbols that begin at or before an address, the last one first.
fn before(table: &Table, address: u64) -> Option<impl Iterator<Item = usize> + use<>> {
    let offset = address.checked_sub(layout::image_start() as u64)?;
    Some((0..table.up_to(offset)).rev().take(LOOKED_AT))
}

/// The symbol that `address` lies in. Any context.
pub fn at(address: u64) -> Option<Symbol> {
    let table = Table::get()?;
    before(&table, address)?
        .filter_map(|index| table.symbol(index))
        .find(|symbol| address == symbol.address || address - symbol.address < symbol.size)
}

/// The first address of the symbol that `address` lies in, and the address behind it: as [`at`], without the work for the name. None also
/// if the symbol's size is not known. Any context.
pub fn extent(address: u64) -> Option<(u64, u64)> {
    let table = Table::get()?;
    let (start, size) = before(&table, address)?
        .filter_map(|index| table.extent(index))
        .find(|&(start, size)| address == start || address - start < size)?;
    (size != 0).then_some((start, start + size))
}

/// All symbols, in the order of their addresses. Any context.
pub fn all() -> impl Iterator<Item = Symbol> {
    let table = Table::get();
    let count = table.as_ref().map_or(0, Table::len);
    (0..count).filter_map(move |index| table.as_ref()?.symbol(index))
}

/// Shows an address as `symbol+0x12/0x80`, or as a number if it lies in no symbol.
pub struct Shown(pub u64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match at(self.0) {
            Some(symbol) => write!(f, "{}+{:#x}/{:#x}", symbol.name, self.0 - symbol.address, symbol.size),
            None => write!(f, "{:#x}", self.0),
        }
    }
}
