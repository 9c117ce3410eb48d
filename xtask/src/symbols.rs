//! The kernel's symbols, and the table of them that the image carries for the kernel's own backtraces and probes.
//!
//! The table (little endian): magic `STEPSYM2`, u32 count, u32 length of the strings, then per symbol, sorted by offset
//! and name, { u32 offset from `__image_start`, u32 size, u32 where its name starts, u16 its length, u16 kind, u64
//! [`cli::symbol::hash`], u64 [`cli::symbol::mangled_id`] or 0 }, then the names, each once.

use anyhow::{Context, Result, bail};
use object::read::elf::{ElfFile64, FileHeader};
use object::{LittleEndian, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use std::collections::{BTreeMap, BTreeSet};

/// The first bytes of the table.
pub const MAGIC: &[u8; 8] = b"STEPSYM2";

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Code.
    Text = 0,
    /// An object in memory.
    Data = 1,
}

/// A symbol of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The distance from `__image_start`, in bytes.
    pub offset: u32,
    /// The size in bytes.
    pub size: u32,
    /// The demangled name, without the hash.
    pub name: String,
    /// Code or data.
    pub kind: Kind,
    /// A hash that tells symbols with the same name apart; 0 if the symbol is not mangled.
    pub hash: u64,
    /// A hash of the whole mangled name; 0 if the symbol is not mangled.
    pub mangled: u64,
}

/// Bytes of a symbol's entry in the table.
const ENTRY: usize = 32;

/// A 64-bit little-endian ELF file.
pub type Elf<'a> = ElfFile64<'a, LittleEndian, &'a [u8]>;

/// The value of a symbol that the linker script defines.
///
/// # Errors
/// When the ELF has no such symbol.
pub fn value(elf: &Elf<'_>, name: &str) -> Result<u64> {
    let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(name));
    symbol.map(|symbol| symbol.address()).with_context(|| format!("the kernel's ELF has no symbol {name}"))
}

/// Reads the symbols for the table, sorted.
///
/// # Errors
/// When the ELF is damaged or the image is larger than the table can express.
pub fn read(elf: &Elf<'_>) -> Result<Vec<Symbol>> {
    let start = value(elf, "__image_start")?;
    let end = value(elf, "__image_end")?;
    let mut symbols = Vec::new();
    let mut unstated = Vec::new();
    // A symbol without a size ends where the next symbol of its section begins.
    let mut marks: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for symbol in elf.symbols() {
        let (Ok(name), Some(index)) = (symbol.name(), symbol.section_index()) else { continue };
        let local = name.is_empty() || name.starts_with('$') || name.starts_with(".L");
        if local || !(start..end).contains(&symbol.address()) {
            continue;
        }
        let section = elf.section_by_index(index).context("a symbol of a section that is not there")?;
        let text = section.kind() == SectionKind::Text;
        let kind = match (symbol.kind(), text) {
            (SymbolKind::Text, _) | (SymbolKind::Unknown | SymbolKind::Label, true) => Kind::Text,
            (SymbolKind::Data, false) => Kind::Data,
            _ => continue,
        };
        let section_end = section.address() + section.size();
        marks.entry(index.0).or_insert_with(|| vec![section_end]).push(symbol.address());
        if symbol.size() == 0 && kind == Kind::Text {
            let function = symbol.kind() == SymbolKind::Text;
            unstated.push(Unstated { symbol: symbols.len(), section: index.0, function });
        }
        let offset = u32::try_from(symbol.address() - start).context("the image is larger than 4 GiB")?;
        let size = u32::try_from(symbol.size()).context("a symbol is larger than 4 GiB")?;
        let demangled = demangle(name);
        let mangled = if demangled == name { 0 } else { cli::symbol::mangled_id(name) };
        symbols.push(Symbol { offset, size, name: demangled, kind, hash: cli::symbol::hash(name), mangled });
    }
    marks.values_mut().for_each(|marks| marks.sort_unstable());
    for &Unstated { symbol, section, .. } in &unstated {
        let address = start + u64::from(symbols[symbol].offset);
        let next = marks[&section].iter().find(|mark| **mark > address);
        symbols[symbol].size = next.map_or(0, |next| (next - address) as u32);
    }
    remove_shadows(&mut symbols, &unstated);
    symbols.sort_by(|a, b| (a.offset, &a.name, a.mangled).cmp(&(b.offset, &b.name, b.mangled)));
    symbols.dedup();
    if symbols.is_empty() {
        bail!("the kernel's ELF has no symbols: is it stripped?");
    }
    Ok(symbols)
}

/// Code whose symbol states no size.
struct Unstated {
    symbol: usize,
    section: usize,
    /// Its symbol says that it is a function.
    function: bool,
}

/// Removes the linker script's symbols, such as `__text_start`: each would hide the function that begins at its address.
fn remove_shadows(symbols: &mut Vec<Symbol>, unstated: &[Unstated]) {
    let marks: BTreeSet<usize> =
        unstated.iter().filter(|mark| !mark.function).map(|mark| mark.symbol).collect();
    let text = symbols.iter().enumerate().filter(|(_, symbol)| symbol.kind == Kind::Text);
    let functions: BTreeSet<u32> =
        text.filter(|(index, _)| !marks.contains(index)).map(|(_, symbol)| symbol.offset).collect();
    let mut index = 0;
    symbols.retain(|symbol| {
        let keep = !marks.contains(&index) || (symbol.size > 0 && !functions.contains(&symbol.offset));
        index += 1;
        keep
    });
}

/// The table as the image carries it.
///
/// # Errors
/// When a name or the whole is too long for the format.
pub fn encode(symbols: &[Symbol]) -> Result<Vec<u8>> {
    let mut strings: Vec<u8> = Vec::new();
    let mut starts: BTreeMap<&str, u32> = BTreeMap::new();
    let mut entries = Vec::with_capacity(symbols.len() * ENTRY);
    for symbol in symbols {
        entries.extend(symbol.offset.to_le_bytes());
        entries.extend(symbol.size.to_le_bytes());
        // All instances of a generic function have the same name, which is stored once.
        let end = u32::try_from(strings.len())?;
        let start = *starts.entry(&symbol.name).or_insert(end);
        if start == end {
            strings.extend(symbol.name.as_bytes());
        }
        entries.extend(start.to_le_bytes());
        let length =
            u16::try_from(symbol.name.len()).with_context(|| format!("name too long: {}", symbol.name))?;
        entries.extend(length.to_le_bytes());
        entries.extend((symbol.kind as u16).to_le_bytes());
        entries.extend(symbol.hash.to_le_bytes());
        entries.extend(symbol.mangled.to_le_bytes());
    }
    let mut table = MAGIC.to_vec();
    table.extend(u32::try_from(symbols.len())?.to_le_bytes());
    table.extend(u32::try_from(strings.len())?.to_le_bytes());
    table.extend(entries);
    table.extend(strings);
    Ok(table)
}

/// Parses an ELF for the kernel's machine.
///
/// # Errors
/// When the file is no ELF for the kernel's machine.
pub fn parse(bytes: &[u8]) -> Result<Elf<'_>> {
    let elf = Elf::parse(bytes).context("not a 64-bit little-endian ELF")?;
    if elf.elf_header().e_machine(LittleEndian) != object::elf::EM_AARCH64 {
        bail!("an ELF, but not for AArch64");
    }
    Ok(elf)
}

/// The name as a programmer knows it, without the hash.
pub fn demangle(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a table back, as the kernel does.
    fn decode(table: &[u8]) -> Vec<Symbol> {
        let u32_at = |at: usize| u32::from_le_bytes(table[at..at + 4].try_into().unwrap());
        let u64_at = |at: usize| u64::from_le_bytes(table[at..at + 8].try_into().unwrap());
        let u16_at = |at: usize| u16::from_le_bytes(table[at..at + 2].try_into().unwrap());
        assert_eq!(&table[..8], MAGIC);
        let count = u32_at(8) as usize;
        let strings = &table[16 + count * ENTRY..];
        assert_eq!(strings.len(), u32_at(12) as usize);
        let entries = (0..count).map(|index| 16 + index * ENTRY);
        let symbol = |at| {
            let name = u32_at(at + 8) as usize;
            let name = &strings[name..name + u16_at(at + 12) as usize];
            let kind = if u16_at(at + 14) == 0 { Kind::Text } else { Kind::Data };
            let name = String::from_utf8(name.to_vec()).unwrap();
            let (offset, size) = (u32_at(at), u32_at(at + 4));
            Symbol { offset, size, name, kind, hash: u64_at(at + 16), mangled: u64_at(at + 24) }
        };
        entries.map(symbol).collect()
    }

    #[test]
    fn the_table_reads_back_as_it_was_written() {
        let symbol = |offset, size, name: &str, kind| {
            let (hash, mangled) = (u64::from(offset) << 32, u64::from(offset) << 40);
            Symbol { offset, size, name: name.into(), kind, hash, mangled }
        };
        let symbols = vec![
            symbol(0, 64, "_head", Kind::Text),
            symbol(0x800, 12, "kernel::step::arm", Kind::Text),
            symbol(0x900, 0, "<kernel::slots::Slots as core::fmt::Debug>::fmt", Kind::Text),
            symbol(0xa00, 8, "kernel::step::arm", Kind::Text),
            symbol(0x1_0000, 8, "TICKS", Kind::Data),
        ];
        let table = encode(&symbols).unwrap();
        assert_eq!(decode(&table), symbols);
        assert_eq!(
            String::from_utf8_lossy(&table).matches("kernel::step::arm").count(),
            1,
            "one copy of a name"
        );
        assert_eq!(decode(&encode(&[]).unwrap()), []);
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let long =
            Symbol { offset: 0, size: 0, name: "x".repeat(65_536), kind: Kind::Text, hash: 0, mangled: 0 };
        assert!(encode(&[long]).is_err());
    }

    #[test]
    fn names_are_demangled_without_their_hash() {
        assert_eq!(demangle("_ZN6kernel4step3arm17h0123456789abcdefE"), "kernel::step::arm");
        assert_eq!(demangle("_RNvNtCsaAJFfmxRR5J_6kernel4step3arm"), "kernel::step::arm");
        assert_eq!(
            demangle("_RNvXNtCsaAJFfmxRR5J_6kernel4stepNtB2_3ArmNtNtCs9pPoI3SlNDd_4core3fmt7Display3fmt"),
            "<kernel::step::Arm as core::fmt::Display>::fmt"
        );
        assert_eq!(
            demangle("_ZN56_$LT$kernel..step..Arm$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE"),
            "<kernel::step::Arm as core::fmt::Display>::fmt"
        );
        assert_eq!(demangle("vectors"), "vectors");
    }
}
