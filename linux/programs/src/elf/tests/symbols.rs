//! Names of functions.

use std::vec::Vec;

use elf::abi::{SHT_DYNSYM, SHT_STRTAB, SHT_SYMTAB, STT_FUNC, STT_NOTYPE, STT_OBJECT};
use proptest::prelude::*;

use super::file::File;
use crate::elf::{Function, NAME_MAX, function_at};

/// Where the sections' headers, the symbols and their names are in the file.
const HEADERS: u64 = 0x3000;
const SYMBOLS: u64 = 0x3400;
const NAMES: u64 = 0x3800;

/// A symbol: name, type, address, size. An address of 0 is undefined.
type Entry<'a> = (&'a str, u8, u64, u64);

/// A dynamic program with one table of symbols.
fn with_symbols(kind: u32, entries: &[Entry<'_>]) -> Vec<u8> {
    let mut file = File::dynamic();
    let (mut symbols, mut names) = (std::vec![0; 24], std::vec![0]);
    for &(name, kind, value, size) in entries {
        symbols.extend((names.len() as u32).to_le_bytes());
        symbols.extend([kind, 0]);
        symbols.extend(u16::from(value != 0).to_le_bytes());
        symbols.extend(value.to_le_bytes());
        symbols.extend(size.to_le_bytes());
        names.extend(name.as_bytes());
        names.push(0);
    }
    let section = |kind: u32, offset: u64, size: usize, link: u32| {
        let mut bytes = [0_u32, kind].map(u32::to_le_bytes).concat();
        bytes.extend([0, 0, offset, size as u64].map(u64::to_le_bytes).concat());
        bytes.extend([link, 0].map(u32::to_le_bytes).concat());
        bytes.extend([8, 24].map(u64::to_le_bytes).concat());
        bytes
    };
    let headers = [
        std::vec![0; 64],
        section(kind, SYMBOLS, symbols.len(), 2),
        section(SHT_STRTAB, NAMES, names.len(), 0),
    ];
    file.contents.push((0x28, HEADERS.to_le_bytes().to_vec()));
    file.contents.push((0x3c, 3_u16.to_le_bytes().to_vec()));
    file.contents.push((HEADERS, headers.concat()));
    file.contents.push((SYMBOLS, symbols));
    file.contents.push((NAMES, names));
    file.bytes()
}

fn at(bytes: &[u8], offset: u64) -> Option<(Vec<u8>, u64)> {
    function_at(bytes, offset).map(|Function { name, offset }| (name, offset))
}

fn found(name: &str, offset: u64) -> Option<(Vec<u8>, u64)> {
    Some((name.as_bytes().to_vec(), offset))
}

#[test]
fn the_function_around_a_place_is_named() {
    let entries = [
        ("data", STT_OBJECT, 0x600, 0x1000),
        ("imported", STT_FUNC, 0, 0),
        ("first", STT_FUNC, 0x600, 0x10),
        ("second", STT_FUNC, 0x610, 8),
        ("outer", STT_FUNC, 0x700, 0x100),
        ("inner", STT_FUNC, 0x740, 0x10),
    ];
    for kind in [SHT_SYMTAB, SHT_DYNSYM] {
        let bytes = with_symbols(kind, &entries);
        assert_eq!(at(&bytes, 0x5ff), None);
        assert_eq!(at(&bytes, 0x600), found("first", 0));
        assert_eq!(at(&bytes, 0x60f), found("first", 15));
        assert_eq!(at(&bytes, 0x614), found("second", 4));
        assert_eq!(at(&bytes, 0x618), None);
        assert_eq!(at(&bytes, 0x744), found("inner", 4));
        assert_eq!(at(&bytes, 0x750), found("outer", 0x50));
    }
}

#[test]
fn a_label_counts_where_no_function_is_known() {
    let entries = [
        ("label", STT_NOTYPE, 0x600, 0),
        ("$x", STT_NOTYPE, 0x620, 0),
        ("sized", STT_FUNC, 0x700, 0x10),
        ("inside", STT_NOTYPE, 0x708, 0),
    ];
    let bytes = with_symbols(SHT_SYMTAB, &entries);
    assert_eq!(at(&bytes, 0x630), found("label", 0x30));
    assert_eq!(at(&bytes, 0x70c), found("sized", 12));
    assert_eq!(at(&bytes, 0x720), found("inside", 0x18));
}

#[test]
fn addresses_are_those_of_the_segment_and_offsets_those_of_the_file() {
    // The second segment has offset 0x1ff0 at address 0x11ff0.
    let bytes = with_symbols(SHT_SYMTAB, &[("writable", STT_FUNC, 0x1_2000, 0x20)]);
    assert_eq!(at(&bytes, 0x2004), found("writable", 4));
    // Behind the bytes of all segments.
    assert_eq!(at(&bytes, 0x3000), None);
}

#[test]
fn many_symbols_and_long_names() {
    let names: Vec<_> = (0..30).map(|index| std::format!("f{index}")).collect();
    let mut entries: Vec<_> =
        names.iter().zip(0..).map(|(name, at)| (name.as_str(), STT_FUNC, 0x600 + at * 4, 4)).collect();
    let long = "x".repeat(NAME_MAX + 50);
    entries.push((&long, STT_FUNC, 0x800, 4));
    let bytes = with_symbols(SHT_SYMTAB, &entries);
    assert_eq!(at(&bytes, 0x600 + 29 * 4), found("f29", 0));
    assert_eq!(at(&bytes, 0x800), found(&long[..NAME_MAX], 0));
}

#[test]
fn a_file_without_symbols_names_nothing() {
    assert_eq!(at(&File::dynamic().bytes(), 0x600), None);
    assert_eq!(at(b"#!/bin/sh\n", 4), None);
    assert_eq!(at(b"", 0), None);
}

proptest! {
    #[test]
    fn no_damage_makes_it_panic(damage in prop::collection::vec((0..0x4000_usize, any::<u8>()), 1..20), offset: u64) {
        let mut bytes = with_symbols(SHT_SYMTAB, &[("first", STT_FUNC, 0x600, 0x10)]);
        for (place, value) in damage {
            // Mostly in what is read.
            let place = [place % 0x200, 0x3000 + place % 0x900][place % 2];
            bytes[place] = value;
        }
        let _ = at(&bytes, offset);
        let _ = at(&bytes, offset % 0x1000);
    }
}
