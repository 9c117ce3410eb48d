//! Compares an image with `noprobe.txt`. Text that cannot be probed (rule H6) must not call text that can: the engine would execute
//! a probe there at every hit, and so hit that probe again for ever. The file lists the calls that are allowed, with reasons.

#[allow(dead_code, reason = "the build script of the image includes it too, and uses the rest")]
pub mod list;

use crate::code::{self, Branch, Functions, Text};
use crate::symbols::{self, Elf, Kind};
use anyhow::{Context, Result, anyhow, bail};
use list::{Line, List, Pattern};
use object::{Object, ObjectSection};
use std::collections::BTreeSet;
use std::ops::Range;

const LIST: &str = include_str!("../../../noprobe.txt");
/// At most this many mistakes of each kind are reported.
const TOLD: usize = 12;

/// Checks the no-probe text of an image's ELF.
///
/// # Errors
/// When calls, lines or functions are wrong. The error names them, and says what to do.
pub fn check(elf: &Elf<'_>) -> Result<()> {
    let start = symbols::value(elf, "__image_start")?;
    let no_probe = symbols::value(elf, "__noprobe_text_start")?..symbols::value(elf, "__noprobe_text_end")?;
    let section = elf.section_by_name(".text").context("the kernel's ELF has no .text")?;
    let text = Text { address: section.address(), bytes: section.data()? };
    let symbols = symbols::read(elf)?;
    let functions = Functions { start, symbols: &symbols };
    let list = List::read(LIST).map_err(|error| anyhow!(error))?;

    let calls = exits(&text, &no_probe, &functions, &list);
    let calls: Vec<_> = calls.iter().map(|(from, to)| format!("{from} calls {to}")).collect();
    tell(
        &calls,
        "text that cannot be probed calls text that can (rule H6): add the called function under [text] in noprobe.txt, or, if the \
         call is not executed at every hit, the call under [calls]",
    )?;
    let outside: Vec<_> = outside(&list, &no_probe, &functions);
    tell(
        &outside,
        "noprobe.txt names functions that the linker's patterns do not catch (xtask/src/noprobe/list.rs)",
    )?;
    // A release build inlines small functions everywhere, so lines that name no function are looked for in checked builds only.
    // Those have this symbol.
    if !symbols.iter().any(|symbol| symbol.name == "kprobe_check_entry") {
        return Ok(());
    }
    let stale = unmatched(&list, &functions, || inlined(elf))?;
    tell(&stale, "noprobe.txt names what the image does not have: has the code been moved or renamed?")
}

/// Fails with the mistakes, if there are any.
///
/// # Errors
/// `what`, followed by the first mistakes.
pub fn tell(mistakes: &[String], what: &str) -> Result<()> {
    if mistakes.is_empty() {
        return Ok(());
    }
    let mut told: Vec<String> = mistakes.iter().take(TOLD).map(|one| format!("  {one}")).collect();
    if mistakes.len() > TOLD {
        told.push(format!("  and {} more", mistakes.len() - TOLD));
    }
    bail!("{what}\n{}", told.join("\n"))
}

/// Functions that the list names but that are not in the no-probe text.
fn outside(list: &List, no_probe: &Range<u64>, functions: &Functions<'_>) -> Vec<String> {
    let text = functions.symbols.iter().filter(|symbol| symbol.kind == Kind::Text);
    let outside = text.filter(|symbol| !no_probe.contains(&(functions.start + u64::from(symbol.offset))));
    let named = outside.filter_map(|symbol| {
        let line = list.text.iter().find(|line| line.says.covers(&symbol.name))?;
        Some(format!("line {}, `{}`: {}", line.number, line.says, symbol.name))
    });
    named.collect()
}

/// Lines that name no function of the image. Functions that were inlined everywhere count as being there.
fn unmatched(
    list: &List,
    functions: &Functions<'_>,
    inlined: impl FnOnce() -> Result<BTreeSet<String>>,
) -> Result<Vec<String>> {
    let of_text = list.text.iter().map(|line| (line.number, &line.says));
    fn of_call(line: &Line<list::Call>) -> [(usize, &Pattern); 2] {
        [(line.number, &line.says.from), (line.number, &line.says.to)]
    }
    let all: Vec<_> = of_text.chain(list.calls.iter().flat_map(of_call)).collect();
    unmatched_of(&all, functions, inlined)
}

/// The patterns of these lines that name no function of the image, as text.
///
/// # Errors
/// When the debug information cannot be read.
pub fn unmatched_of(
    patterns: &[(usize, &Pattern)],
    functions: &Functions<'_>,
    inlined: impl FnOnce() -> Result<BTreeSet<String>>,
) -> Result<Vec<String>> {
    let is_symbol = |pattern: &Pattern| functions.symbols.iter().any(|symbol| pattern.covers(&symbol.name));
    let ours = patterns.iter().filter(|(_, pattern)| !pattern.is_the_compilers());
    let mut left: Vec<_> = ours.filter(|(_, pattern)| !is_symbol(pattern)).collect();
    if !left.is_empty() {
        let inlined = inlined()?;
        left.retain(|(_, pattern)| !inlined.iter().any(|name| pattern.covers(name)));
    }
    Ok(left.iter().map(|(number, pattern)| format!("line {number}: `{pattern}`")).collect())
}

/// The functions in the image's debug information. It has those too that were inlined everywhere and so have no symbol.
///
/// # Errors
/// When the debug information cannot be read.
pub fn inlined(elf: &Elf<'_>) -> Result<BTreeSet<String>> {
    let Some(section) = elf.section_by_name(".debug_str") else { return Ok(BTreeSet::new()) };
    let strings = section.uncompressed_data()?;
    let mangled =
        strings.split(|byte| *byte == 0).filter(|name| name.starts_with(b"_ZN") || name.starts_with(b"_R"));
    Ok(mangled.filter_map(|name| std::str::from_utf8(name).ok()).map(symbols::demangle).collect())
}

/// Calls and jumps that leave the text `no_probe` and that the list does not allow, each as caller and callee.
fn exits<'a>(
    text: &Text<'_>,
    no_probe: &Range<u64>,
    functions: &'a Functions<'_>,
    list: &List,
) -> BTreeSet<(&'a str, &'a str)> {
    let mut calls = BTreeSet::new();
    for (at, word) in text.words(no_probe.clone()) {
        let Some(Branch::Always(target) | Branch::Call(target)) = code::branch(at, word) else { continue };
        if no_probe.contains(&target) {
            continue;
        }
        let (caller, callee) = (functions.name(at), functions.name(target));
        let allows = |call: &list::Call| call.from.covers(caller) && call.to.covers(callee);
        if !list.calls.iter().any(|line| allows(&line.says)) {
            calls.insert((caller, callee));
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Symbol;

    const BASE: u64 = 0xffff_8000_8000_0000;

    fn symbol(offset: u32, name: &str) -> Symbol {
        Symbol { offset, size: 8, name: name.into(), kind: Kind::Text, hash: 0, mangled: 0 }
    }

    fn list(text: &str, calls: &str) -> List {
        List::read(&format!("[text]\n{text}\n[calls]\n{calls}\n")).unwrap()
    }

    fn symbols() -> [Symbol; 4] {
        [symbol(0, "engine"), symbol(8, "helper"), symbol(16, "outside"), symbol(24, "other::deep")]
    }

    /// `engine` at 0 and `helper` at 8 cannot be probed; `outside` at 16 and `other::deep` at 24 can.
    fn calls(words: [u32; 8], allowed: &str) -> Vec<(String, String)> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let symbols = symbols();
        let text = Text { address: BASE, bytes: &bytes };
        let functions = Functions { start: BASE, symbols: &symbols };
        let calls = exits(&text, &(BASE..BASE + 16), &functions, &list("", allowed));
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
    fn what_is_allowed_is_not_told() {
        let words = [NOP, bl(3), NOP, bl(3), NOP, NOP, NOP, NOP];
        assert_eq!(calls(words, "outside # a good reason\n\n# a remark\nother  # a good reason").len(), 0);
        assert_eq!(calls(words, "outsid # a good reason\nother::dee # a good reason").len(), 2);
        assert_eq!(calls(words, "outs* # a good reason").len(), 1);
        assert_eq!(
            calls(words, "engine -> * # a good reason\nengine -> other::deep # a good reason").len(),
            1
        );
        assert_eq!(calls(words, "engine -> outside # a good reason\nhel* -> other # a good reason").len(), 0);
    }

    #[test]
    fn a_line_that_names_no_function_is_found() {
        let symbols = symbols();
        let functions = Functions { start: BASE, symbols: &symbols };
        let unmatched = |text: &str, calls: &str| {
            let inlined = || Ok(BTreeSet::from(["gone::inlined".to_owned()]));
            unmatched(&list(text, calls), &functions, inlined).unwrap()
        };
        assert_eq!(unmatched("other::deep\nother\ngone\ncore::cell\nextern memcpy", ""), [""; 0]);
        assert_eq!(unmatched("other::moved\nothe", ""), ["line 2: `other::moved`", "line 3: `othe`"]);
        assert_eq!(unmatched("", "old -> engine # a good reason\n* -> new* # a good reason").len(), 2);
    }

    #[test]
    fn a_function_that_is_named_and_lies_outside_is_found() {
        let symbols = symbols();
        let functions = Functions { start: BASE, symbols: &symbols };
        let outside = |text: &str| outside(&list(text, ""), &(BASE..BASE + 16), &functions);
        assert_eq!(outside("extern engine\nhelper"), [""; 0]);
        assert_eq!(outside("other"), ["line 2, `other`: other::deep"]);
    }

    #[test]
    fn the_file_is_read_and_mistakes_are_told_with_their_line() {
        List::read(LIST).unwrap();
        let wrong = |file: &str| List::read(file).unwrap_err();
        assert!(wrong("kernel::a").contains("line 1"));
        assert!(wrong("[text]\n\nkernel::a*").contains("line 3"));
        assert!(wrong("[text]\nkernel:a").contains("no path"));
        assert!(wrong("[text]\n<kernel as core").contains('>'));
        assert!(wrong("[calls]\nkernel::a # why").contains("reason"));
    }

    /// Mangled names as rustc made them; the linker matches the name of the section.
    #[test]
    fn patterns_name_the_functions_that_the_linker_catches() {
        const NAMES: &[&str] = &[
            "_ZN6kernel5debug4step3arm17h0123456789abcdefE",
            "_ZN6kernel5debug7stepper3arm17h0123456789abcdefE",
            "_ZN56_$LT$kernel..step..Arm$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE",
            "_ZN5slots6tables23Tables$LT$P$C$_$C$_$GT$4hits17h0123456789abcdefE",
            "_ZN4core3ptr13read_volatile17h0123456789abcdefE",
            "_RNvNtNtCsaAJFfmxRR5J_6kernel5debug4step3arm",
            "_RNvXNtCsaAJFfmxRR5J_6kernel4stepNtB2_3ArmNtNtCs9pPoI3SlNDd_4core3fmt7Display3fmt",
            "memcpy",
        ];
        let caught = |pattern: &str| {
            let list = list(pattern, "");
            let script = list.linker_script();
            let globs: Vec<&str> = script
                .lines()
                .filter_map(|line| line.strip_prefix("*(")?.split_once(')'))
                .flat_map(|(globs, _)| globs.split(' '))
                .collect();
            let caught = NAMES.iter().filter(|name| {
                let section = format!(".text.{name}");
                let linked = globs.iter().any(|glob| glob_matches(glob, &section));
                assert_eq!(linked, list.text[0].says.covers(&symbols::demangle(name)), "{pattern} {name}");
                linked
            });
            caught.count()
        };
        assert_eq!(caught("kernel::debug::step"), 2);
        assert_eq!(caught("kernel::debug"), 3);
        assert_eq!(caught("<kernel::step as core::fmt>"), 2);
        assert_eq!(caught("<kernel::step as core::ops>"), 0);
        assert_eq!(caught("<kernel::step>"), 2);
        assert_eq!(caught("slots::tables"), 1);
        assert_eq!(caught("core::ptr::read"), 0);
        assert_eq!(caught("core::ptr::read_volatile"), 1);
        assert_eq!(caught("extern memcpy"), 1);
    }

    #[test]
    fn the_arguments_of_generic_types_do_not_matter() {
        let covers = |pattern: &str, name: &str| Pattern::read(pattern).unwrap().covers(name);
        assert!(covers("slots::table::Table::lookup", "slots::table::Table<P,_>::lookup"));
        assert!(covers("a::B::c", "<a::B<fn() -> D<E>>>::c::{{closure}}"));
        assert!(!covers("slots::table::Table::look", "slots::table::Table<P,_>::lookup"));
        assert!(covers("core::num", "core::num::<impl usize>::checked_add"));
    }

    /// Matches a section's name as linkers do, as far as the patterns need it.
    fn glob_matches(glob: &str, name: &str) -> bool {
        let Some((literal, rest)) = glob.split_once('*') else { return glob == name };
        let Some(name) = name.strip_prefix(literal) else { return false };
        (0..=name.len()).any(|skipped| glob_matches(rest, &name[skipped..]))
    }
}
