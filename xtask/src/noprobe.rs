//! Checks that text which cannot be probed (rule H6) calls no text that can: a probe there, run at every hit, would hit itself for
//! ever. Where that is right all the same, `noprobe-exits.txt` says so, with the reason.

use crate::symbols::{self, Elf, Kind, Symbol};
use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};
use std::collections::BTreeSet;
use std::ops::Range;

const EXITS: &str = include_str!("../noprobe-exits.txt");
/// So many calls are told.
const TOLD: usize = 12;

/// Checks an image's ELF.
///
/// # Errors
/// Names the calls, and says what to do.
pub fn check(elf: &Elf<'_>) -> Result<()> {
    let start = symbols::value(elf, "__image_start")?;
    let no_probe = symbols::value(elf, "__noprobe_text_start")?..symbols::value(elf, "__noprobe_text_end")?;
    let section = elf.section_by_name(".text").context("the kernel's ELF has no .text")?;
    let text = Text { address: section.address(), bytes: section.data()? };
    let symbols = symbols::read(elf)?;
    let functions = Functions { start, symbols: &symbols };
    let calls = exits(&text, &no_probe, &functions, EXITS);
    if calls.is_empty() {
        return Ok(());
    }
    let mut told: Vec<String> =
        calls.iter().take(TOLD).map(|(from, to)| format!("  {from} calls {to}")).collect();
    if calls.len() > TOLD {
        told.push(format!("  and {} more", calls.len() - TOLD));
    }
    bail!(
        "text that cannot be probed calls text that can (rule H6): add the latter to the patterns of linker.ld, or, if it does not \
         run at every hit, to xtask/noprobe-exits.txt\n{}",
        told.join("\n")
    )
}

struct Text<'a> {
    address: u64,
    bytes: &'a [u8],
}

struct Functions<'a> {
    start: u64,
    symbols: &'a [Symbol],
}

impl Functions<'_> {
    fn name(&self, address: u64) -> &str {
        let offset = address.saturating_sub(self.start);
        let up_to = self.symbols.partition_point(|symbol| u64::from(symbol.offset) <= offset);
        let mut before = self.symbols[..up_to].iter().rev();
        before.find(|symbol| symbol.kind == Kind::Text).map_or("?", |symbol| symbol.name.as_str())
    }
}

/// Calls and jumps from `no_probe` to elsewhere that no line of `excused` covers: from, to.
fn exits<'a>(
    text: &Text<'_>,
    no_probe: &Range<u64>,
    functions: &'a Functions<'_>,
    excused: &str,
) -> BTreeSet<(&'a str, &'a str)> {
    let excused: Vec<(&str, &str)> = excused
        .lines()
        .map(|line| line.split_once('#').map_or(line, |(call, _)| call).trim())
        .filter(|call| !call.is_empty())
        .map(|call| call.split_once(" -> ").unwrap_or(("*", call)))
        .collect();
    let from = (no_probe.start.saturating_sub(text.address) / 4) as usize;
    let to = (no_probe.end.saturating_sub(text.address) / 4) as usize;
    let words = text.bytes.chunks_exact(4).enumerate().take(to).skip(from);
    let mut calls = BTreeSet::new();
    for (index, word) in words {
        let at = text.address + index as u64 * 4;
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let Some(target) = target(at, word).filter(|target| !no_probe.contains(target)) else { continue };
        let (caller, callee) = (functions.name(at), functions.name(target));
        if !excused.iter().any(|(from, to)| covers(from, caller) && covers(to, callee)) {
            calls.insert((caller, callee));
        }
    }
    calls
}

/// Where a B or BL at `at` goes (DDI 0487 C6.2).
fn target(at: u64, word: u32) -> Option<u64> {
    let branch = word & 0x7c00_0000 == 0x1400_0000;
    let offset = i64::from((word << 6) as i32 >> 6) * 4;
    branch.then(|| at.wrapping_add_signed(offset))
}

/// Whether a line's caller or callee is this function: its name, or with `*` at the end a beginning of it.
fn covers(excused: &str, name: &str) -> bool {
    match excused.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == excused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0xffff_8000_8000_0000;

    fn symbol(offset: u32, name: &str) -> Symbol {
        Symbol { offset, size: 8, name: name.into(), kind: Kind::Text, hash: 0, mangled: 0 }
    }

    /// `engine` at 0 and `helper` at 8 cannot be probed; `outside` at 16 and `other::deep` at 24 can.
    fn calls(words: [u32; 8], excused: &str) -> Vec<(String, String)> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let symbols =
            [symbol(0, "engine"), symbol(8, "helper"), symbol(16, "outside"), symbol(24, "other::deep")];
        let text = Text { address: BASE, bytes: &bytes };
        let functions = Functions { start: BASE, symbols: &symbols };
        let calls = exits(&text, &(BASE..BASE + 16), &functions, excused);
        calls.into_iter().map(|(from, to)| (from.into(), to.into())).collect()
    }

    const NOP: u32 = 0xd503_201f;

    fn bl(words: i32) -> u32 {
        0x9400_0000 | (words as u32 & 0x3ff_ffff)
    }

    #[test]
    fn calls_out_of_the_set_are_found_and_others_are_not() {
        let b = |words| bl(words) & !(1 << 31);
        assert_eq!(calls([bl(2), b(1), bl(-2), NOP, bl(-4), bl(2), NOP, NOP], ""), []);
        let out = calls([NOP, bl(3), NOP, b(3), NOP, NOP, NOP, NOP], "");
        assert_eq!(out, [("engine".into(), "outside".into()), ("helper".into(), "other::deep".into())]);
    }

    #[test]
    fn what_is_excused_is_not_told() {
        let words = [NOP, bl(3), NOP, bl(3), NOP, NOP, NOP, NOP];
        assert_eq!(calls(words, "outside # why\n\n# a remark\nother::*  # why").len(), 0);
        assert_eq!(calls(words, "outsid # why\nother::dee").len(), 2);
        assert_eq!(calls(words, "outs* # why").len(), 1);
        assert_eq!(calls(words, "engine -> * # why\nengine -> other::deep # why").len(), 1);
        assert_eq!(calls(words, "engine -> outside # why\nhel* -> other::* # why").len(), 0);
    }

    #[test]
    fn every_excuse_has_a_reason() {
        for line in EXITS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let reason = line.split_once('#').map_or("", |(_, reason)| reason.trim());
            assert!(reason.len() > 10, "{line}");
        }
    }
}
