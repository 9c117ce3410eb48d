//! The name of the function at a place in an ELF file, for messages.

use alloc::vec::Vec;

use elf::abi::{SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::parse::ParseAt;
use elf::section::SectionHeader;
use elf::segment::SegmentTable;
use elf::symbol::Symbol;

use super::read::{read_header, read_program_headers};
use crate::ReadAt;
use crate::read_at::read_full;

/// A function, and how far behind its beginning the place is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// The name as the file has it, at most [`NAME_MAX`] bytes.
    pub name: Vec<u8>,
    /// In bytes.
    pub offset: u64,
}

/// Longer names are cut.
pub const NAME_MAX: usize = 128;

/// The size of a section header and of a symbol, in bytes.
const SECTION: usize = 64;
const SYMBOL: usize = 24;

/// How many sections and symbols are looked at: a file may claim to have any number of them.
const SECTIONS_MAX: u64 = 1 << 10;
const SYMBOLS_MAX: u64 = 1 << 18;

/// How many symbols are read at once.
const AT_ONCE: usize = 64;

/// The function that has the byte at an offset of the file, as its table of symbols says (`.symtab`, or `.dynsym`). None if no table
/// knows it, or the file is damaged. A label without a size counts for what follows it, unless a function is known to be there.
///
/// Allocates the name, and for the time of the call up to a page.
pub fn function_at(file: &(impl ReadAt + ?Sized), offset: u64) -> Option<Function> {
    let header = read_header(file).ok()?;
    let segments = read_program_headers(file, &header).ok()?;
    let segments = SegmentTable::new(LittleEndian, Class::ELF64, &segments);
    let loaded = |start: u64, size: u64| (start..start.saturating_add(size)).contains(&offset);
    let segment = segments
        .iter()
        .find(|segment| segment.p_type == elf::abi::PT_LOAD && loaded(segment.p_offset, segment.p_filesz))?;
    let address = segment.p_vaddr.wrapping_add(offset - segment.p_offset);

    if usize::from(header.e_shentsize) != SECTION {
        return None;
    }
    let section = |index: u64| -> Option<SectionHeader> {
        parse::<_, SECTION>(file, header.e_shoff.checked_add(index * SECTION as u64)?)
    };
    for kind in [SHT_SYMTAB, SHT_DYNSYM] {
        let count = u64::from(header.e_shnum).min(SECTIONS_MAX);
        let table = (0..count).filter_map(section).find(|section| section.sh_type == kind);
        let Some(table) = table else { continue };
        let Some(strings) = section(table.sh_link.into()).filter(|_| u64::from(table.sh_link) < count) else {
            continue;
        };
        if let Some(found) = look(file, &table, &strings, address) {
            return Some(found);
        }
    }
    None
}

/// Reads a structure of `N` bytes.
fn parse<P: ParseAt, const N: usize>(file: &(impl ReadAt + ?Sized), offset: u64) -> Option<P> {
    let mut bytes = [0; N];
    (read_full(file, offset, &mut bytes).ok()? == N).then_some(())?;
    P::parse_at(LittleEndian, Class::ELF64, &mut 0, &bytes).ok()
}

/// The best symbol for an address so far.
struct Best {
    symbol: Symbol,
    name: Vec<u8>,
}

fn look(
    file: &(impl ReadAt + ?Sized),
    table: &SectionHeader,
    strings: &SectionHeader,
    address: u64,
) -> Option<Function> {
    let mut best: Option<Best> = None;
    let mut bytes = [0; AT_ONCE * SYMBOL];
    let mut left = (table.sh_size / SYMBOL as u64).min(SYMBOLS_MAX) as usize;
    let mut at = table.sh_offset;
    while left > 0 {
        let wanted = left.min(AT_ONCE) * SYMBOL;
        let there = read_full(file, at, &mut bytes[..wanted]).ok()?;
        for record in bytes[..there].chunks_exact(SYMBOL) {
            let Ok(symbol) = Symbol::parse_at(LittleEndian, Class::ELF64, &mut 0, record) else { continue };
            if is_better(&symbol, best.as_ref().map(|best| &best.symbol), address)
                && let Some(name) = name_of(file, strings, &symbol)
                // Mapping symbols (`$x`, `$d`) say what the bytes are, and name nothing.
                && !name.is_empty()
                && !name.starts_with(b"$")
            {
                best = Some(Best { symbol, name });
            }
        }
        if there < wanted {
            break;
        }
        left -= wanted / SYMBOL;
        at = at.checked_add(wanted as u64)?;
    }
    best.map(|Best { symbol, name }| Function { name, offset: address - symbol.st_value })
}

/// Whether a symbol says more of the address than another one: with a size more than without, and otherwise the one that is nearer.
fn is_better(symbol: &Symbol, than: Option<&Symbol>, address: u64) -> bool {
    let kind = symbol.st_symtype();
    let is_code = kind == STT_FUNC || kind == STT_GNU_IFUNC || (kind == STT_NOTYPE && symbol.st_size == 0);
    let Some(distance) = address.checked_sub(symbol.st_value) else { return false };
    if !is_code || symbol.st_shndx == SHN_UNDEF || (symbol.st_size != 0 && distance >= symbol.st_size) {
        return false;
    }
    let rank = |symbol: &Symbol| (symbol.st_size != 0, symbol.st_value);
    than.is_none_or(|than| rank(symbol) > rank(than))
}

fn name_of(file: &(impl ReadAt + ?Sized), strings: &SectionHeader, symbol: &Symbol) -> Option<Vec<u8>> {
    let at = strings.sh_offset.checked_add(symbol.st_name.into())?;
    let mut bytes = [0; NAME_MAX];
    let there = read_full(file, at, &mut bytes).ok()?;
    let name = bytes[..there].split(|&byte| byte == 0).next()?;
    let mut owned = Vec::new();
    owned.try_reserve_exact(name.len()).ok()?;
    owned.extend_from_slice(name);
    Some(owned)
}
