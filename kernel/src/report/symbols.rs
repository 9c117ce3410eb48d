//! The symbol table that the tool appends to the image.

use crate::mm::layout;
use core::fmt;

const MAGIC: &[u8; 8] = b"STEPSYM1";

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A function.
    Text,
    /// A static.
    Data,
}

/// One symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// Its name, demangled.
    pub name: &'static str,
    /// Its first byte.
    pub address: u64,
    /// Its length in bytes; 0 if unknown.
    pub size: u64,
    /// What it names.
    pub kind: Kind,
}

/// Why a name does not lead to a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// There is none.
    Unknown,
    /// There are several; the number.
    Ambiguous(usize),
    /// The image was started without its symbol table.
    NoTable,
}

struct Table {
    entries: &'static [[u8; 16]],
    strings: &'static [u8],
}

/// Length of the image with the table behind it, from the image's own header.
pub fn image_size() -> usize {
    // SAFETY: the header is the image's first 64 bytes and nobody writes it.
    unsafe { ((layout::image_start() + 16) as *const u64).read_volatile() as usize }
}

fn table() -> Option<Table> {
    let room = image_size().checked_sub(layout::image_end() - layout::image_start())?;
    // SAFETY: the header's size covers the table, `mm::build` maps it read-only.
    let blob = unsafe { core::slice::from_raw_parts(layout::image_end() as *const u8, room) };
    let (magic, rest) = blob.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (strings, rest) = rest.split_first_chunk::<4>()?;
    let entries = (magic == MAGIC).then(|| rest.get(..u32::from_le_bytes(*count) as usize * 16))??;
    let strings = rest.get(entries.len()..)?.get(..u32::from_le_bytes(*strings) as usize)?;
    Some(Table { entries: entries.as_chunks::<16>().0, strings })
}

impl Table {
    fn symbol(&self, index: usize) -> Option<Symbol> {
        let entry = self.entries.get(index)?;
        let word = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
        let start = word(8) as usize;
        let name = self.strings.get(start..start + (word(12) & 0xffff) as usize)?;
        Some(Symbol {
            name: core::str::from_utf8(name).ok()?,
            address: layout::image_start() as u64 + word(0) as u64,
            size: word(4) as u64,
            kind: if word(12) >> 16 == 0 { Kind::Text } else { Kind::Data },
        })
    }

    fn offset(&self, index: usize) -> u64 {
        let entry = &self.entries[index];
        u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]) as u64
    }
}

/// The symbol that `address` lies in. Any context.
pub fn at(address: u64) -> Option<Symbol> {
    let table = table()?;
    let offset = address.checked_sub(layout::image_start() as u64)?;
    let (mut low, mut high) = (0, table.entries.len());
    while low < high {
        let middle = (low + high) / 2;
        if table.offset(middle) <= offset { low = middle + 1 } else { high = middle }
    }
    (0..low)
        .rev()
        .take(8)
        .filter_map(|index| table.symbol(index))
        .find(|symbol| address == symbol.address || address - symbol.address < symbol.size)
}

/// All symbols, in the order of their addresses.
pub fn all() -> impl Iterator<Item = Symbol> {
    let table = table();
    let count = table.as_ref().map_or(0, |table| table.entries.len());
    (0..count).filter_map(move |index| table.as_ref()?.symbol(index))
}

/// The symbol of this name: the whole name, or a tail of it that begins at a path segment and fits one symbol only.
///
/// # Errors
/// See [`NameError`].
pub fn by_name(name: &str) -> Result<Symbol, NameError> {
    if table().is_none() {
        return Err(NameError::NoTable);
    }
    let unique = |matches: &dyn Fn(&str) -> bool| {
        let mut found: Option<Symbol> = None;
        let mut count = 0;
        for symbol in all().filter(|symbol| matches(symbol.name)) {
            if found.is_none_or(|other| other.address != symbol.address) {
                count += 1;
            }
            found = Some(symbol);
        }
        (count, found)
    };
    let (mut count, mut found) = unique(&|candidate| candidate == name);
    if count == 0 {
        (count, found) =
            unique(&|candidate| candidate.strip_suffix(name).is_some_and(|path| path.ends_with("::")));
    }
    match (count, found) {
        (1, Some(symbol)) => Ok(symbol),
        (0, _) | (_, None) => Err(NameError::Unknown),
        (many, _) => Err(NameError::Ambiguous(many)),
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such symbol"),
            Self::Ambiguous(count) => {
                write!(f, "{count} symbols have this name; give more of the path, or an address")
            }
            Self::NoTable => f.write_str("the image was started without its symbol table; give an address"),
        }
    }
}

/// An address shown as `symbol+0x12/0x80`, or by number where no symbol is.
pub struct Shown(pub u64);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match at(self.0) {
            Some(symbol) => write!(f, "{}+{:#x}/{:#x}", symbol.name, self.0 - symbol.address, symbol.size),
            None => write!(f, "{:#x}", self.0),
        }
    }
}
