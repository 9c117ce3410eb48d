//! Finds symbols by name.

use super::table::Table;
use super::{Symbol, SymbolError, all};
use alloc::string::ToString;
use alloc::vec::Vec;
use cli::symbol::{Fit, Name};

/// The most names that are proposed instead of an unknown one.
const PROPOSED: usize = 3;

/// The symbol of this name. `name` is a demangled name, as `rustfilt` prints it, with or without hash; or a mangled name; or the
/// last path segments of a demangled name. A name that several symbols have is refused. Thread context: allocates.
///
/// # Errors
/// All variants of [`SymbolError`] but `Beyond`.
pub fn by_name(name: &str) -> Result<Symbol, SymbolError> {
    if Table::get().is_none() {
        return Err(SymbolError::NoTable);
    }
    let typed = Name::new(name);
    let mut best = Fit::Tail;
    let mut found: Vec<Symbol> = Vec::new();
    for symbol in all() {
        let Some(fit) = typed.fits(&symbol.identity()).filter(|fit| *fit >= best) else { continue };
        if fit > best {
            best = fit;
            found.clear();
        }
        // Two names of one address are not ambiguous.
        if found.last().is_none_or(|last| last.address != symbol.address) {
            found.push(symbol);
        }
    }
    match found[..] {
        [] => Err(SymbolError::Unknown { name: name.to_string(), nearest: nearest(&typed) }),
        [symbol] => Ok(symbol),
        _ => Err(SymbolError::Ambiguous { name: name.to_string(), candidates: found }),
    }
}

fn nearest(typed: &Name<'_>) -> Vec<&'static str> {
    let mut near: Vec<(usize, usize, &'static str)> = all()
        .filter_map(|symbol| Some((typed.errors(symbol.name)?, symbol.name.len(), symbol.name)))
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().map(|(_, _, name)| name).take(PROPOSED).collect()
}
