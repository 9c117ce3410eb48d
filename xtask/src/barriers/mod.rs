//! Checks that an image has the barriers that hardware needs, and that emulators do not.
//!
//! A write of a system register is certain to be in force only after the next context synchronization event: ISB, exception entry
//! or return (DDI 0487 D24.1.2.2). So from each write of a register in [`REGISTERS`] the check follows every way that execution can
//! take, through calls, jumps and tail calls, and back into callers, until there is an ISB, an ERET or an instruction that
//! generates an exception. Before that, no way may unmask D (by a write of PSTATE.D = 0, or of all of DAIF). And no way may lead to
//! a place where the check cannot go on: a call or jump through a register, or the return of a function that nobody calls directly.
//! `barriers.txt` has the exceptions, with reasons.
//!
//! For MDSCR_EL1 an ERET is not enough: the ERET may decide on SPSR_EL1.SS before it synchronises (DDI 0487 D2.12.4), so an ISB must
//! come first.
//!
//! Code may also record that it owes an ISB, and leave the ISB to the code that unmasks D. Such code stores all ones close to the
//! write; the shadow of MDSCR_EL1 never has this value otherwise (`debug::control`). After such a write, a conditional branch
//! counts as the ISB if one of its two ways soon comes to an ISB, or to a call of a function that has an ISB on every way. The
//! check takes such a branch for the comparison that decides whether the ISB is still owed, and does not follow the way without
//! the ISB.
//!
//! With `STEPWELL_BARRIERS=FILE` in the environment, all ways without a barrier are written to that file, even those that are
//! listed.
//!
//! `barriers.txt` also lists functions that must contain ordered accesses, because lock-free protocols need them.

mod list;
#[cfg(test)]
mod tests;

use crate::code::{self, Branch, Functions, Text};
use crate::noprobe::{self, tell, unmatched_of};
use crate::symbols::{self, Elf, Kind};
use anyhow::{Context, Result, anyhow};
use list::{Event, List, Needed, Ordered, Way};
use object::{Object, ObjectSection};
use std::collections::{BTreeMap, BTreeSet};

/// Only checked builds have this function.
const CHECKED: &str = "kernel::exception::apply::check_entry";
const LIST: &str = include_str!("../../barriers.txt");

/// Checks the barriers and the ordered accesses of an image's ELF.
///
/// # Errors
/// When a barrier or an access is missing, or a line of the file is no longer needed. The error names all of them.
pub fn check(elf: &Elf<'_>) -> Result<()> {
    let start = symbols::value(elf, "__image_start")?;
    let section = elf.section_by_name(".text").context("the kernel's ELF has no .text")?;
    let text = Text { address: section.address(), bytes: section.data()? };
    let symbols = symbols::read(elf)?;
    let functions = Functions { start, symbols: &symbols };
    let list = List::read(LIST).map_err(|error| anyhow!(error))?;
    let checked = symbols.iter().any(|symbol| symbol.name == CHECKED);
    if let Some(path) = std::env::var_os("STEPWELL_BARRIERS") {
        let all = without_barrier(&text, &functions, &List::default(), checked);
        std::fs::write(path, all.iter().map(|one| format!("{one}\n")).collect::<String>())?;
    }
    tell(
        &without_barrier(&text, &functions, &list, checked),
        "a write of a system register may not be in force in time: execution can go on without an ISB, an exception return or an \
         exception. Add the ISB, or add a line to xtask/barriers.txt with the reason why none is needed",
    )?;
    tell(
        &unordered(&text, &functions, &list),
        "an ordered access or a barrier is missing (xtask/barriers.txt, [ordered])",
    )?;
    let patterns: Vec<_> = list.patterns(checked).collect();
    let stale = unmatched_of(&patterns, &functions, || noprobe::inlined(elf))?;
    tell(&stale, "xtask/barriers.txt names what the image does not have: has the code been moved or renamed?")
}

/// `(op0, op1, CRn, CRm, op2)`.
type Encoding = (u32, u32, u32, u32, u32);

const REGISTERS: &[(Encoding, &str)] = &[
    ((2, 0, 0, 2, 2), "MDSCR_EL1"),
    ((2, 0, 0, 4, 2), "MDSELR_EL1"),
    ((2, 0, 1, 0, 4), "OSLAR_EL1"),
    ((2, 0, 1, 3, 4), "OSDLR_EL1"),
    ((3, 0, 1, 0, 0), "SCTLR_EL1"),
    ((3, 0, 2, 0, 0), "TTBR0_EL1"),
    ((3, 0, 2, 0, 1), "TTBR1_EL1"),
    ((3, 0, 2, 0, 2), "TCR_EL1"),
    ((3, 0, 10, 2, 0), "MAIR_EL1"),
    ((3, 0, 12, 0, 0), "VBAR_EL1"),
];

/// The register that an MSR (register) writes, if a barrier belongs behind it.
fn written(word: u32) -> Option<&'static str> {
    if word & 0xfff0_0000 != 0xd510_0000 {
        return None;
    }
    let (op1, op2) = (word >> 16 & 7, word >> 5 & 7);
    let (n, m) = (word >> 12 & 15, word >> 8 & 15);
    let of = (2 + (word >> 19 & 1), op1, n, m, op2);
    match of {
        (2, 0, 0, _, 4) => Some("DBGBVR_EL1"),
        (2, 0, 0, _, 5) => Some("DBGBCR_EL1"),
        (2, 0, 0, _, 6) => Some("DBGWVR_EL1"),
        (2, 0, 0, _, 7) => Some("DBGWCR_EL1"),
        _ => REGISTERS.iter().find(|(register, _)| *register == of).map(|&(_, name)| name),
    }
}

/// Whether an instruction is or causes a context synchronization event: ISB; SVC, HVC, SMC, BRK, HLT, UDF. ERET is one, too.
fn synchronises(word: u32) -> bool {
    is_isb(word) || word & 0xff00_0000 == 0xd400_0000 || word >> 16 == 0
}

/// Whether an instruction is ERET, ERETAA or ERETAB.
fn is_eret(word: u32) -> bool {
    matches!(word, 0xd69f_03e0 | 0xd69f_0bff | 0xd69f_0fff)
}

fn is_isb(word: u32) -> bool {
    word & 0xffff_f0ff == 0xd503_30df
}

/// Whether an instruction can unmask D: MSR DAIFClr with D, or MSR DAIF.
fn opens_d(word: u32) -> bool {
    word & 0xffff_f8ff == 0xd503_48ff || word & 0xffff_ffe0 == 0xd51b_4220
}

/// Every way without a barrier, as text.
fn without_barrier(text: &Text<'_>, functions: &Functions<'_>, list: &List, checked: bool) -> Vec<String> {
    let mut found = BTreeMap::new();
    for ((at, register), events) in Walker::new(text, functions).all() {
        let writer = functions.name(at);
        for (event, place) in events {
            let place_name = functions.name(place);
            if !list.allows((writer, register, event, place_name), checked) {
                let example = found.entry((writer, register, event, place_name)).or_insert((at, place));
                *example = (*example).min((at, place));
            }
        }
    }
    let line = |(&(writer, register, event, place), (at, there)): (&Way<'_>, &(u64, u64))| {
        format!("{writer} | {register} | {event} | {place} # {at:#x}, then {there:#x}")
    };
    found.iter().map(line).collect()
}

/// What happens before a barrier, and at which instruction.
type Events = BTreeSet<(Event, u64)>;

/// What happens on the ways from an instruction.
#[derive(Clone, Default, PartialEq, Eq)]
struct Ways {
    events: Events,
    /// Whether the function returns on one of the ways.
    returns: bool,
}

/// What the ways from a register write depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Write {
    /// Whether the write's ISB is recorded as owed (`is_recorded`).
    owed: bool,
    /// Whether an ERET puts the write in force in time.
    eret: bool,
}

/// Follows the ways of execution from a register write that is not in force yet.
struct Walker<'a> {
    text: &'a Text<'a>,
    functions: &'a Functions<'a>,
    /// For each function, where it is called (`true`) or jumped to as a tail call.
    callers: BTreeMap<u64, Vec<(u64, bool)>>,
    /// Results so far. The second part of the key tells where the ways begin: in `called` at the first instruction of a function, in `from` at any instruction.
    called: BTreeMap<(Write, u64), Ways>,
    from: BTreeMap<(Write, u64), Ways>,
    /// The entries of `called` that this round has looked into, and whether one of them has grown.
    looked: BTreeSet<(Write, u64)>,
    grown: bool,
}

impl<'a> Walker<'a> {
    fn new(text: &'a Text<'a>, functions: &'a Functions<'a>) -> Self {
        let mut callers: BTreeMap<u64, Vec<(u64, bool)>> = BTreeMap::new();
        for (at, word) in text.words(text.all()) {
            match code::branch(at, word) {
                Some(Branch::Call(target)) => callers.entry(target).or_default().push((at, true)),
                Some(Branch::Always(target) | Branch::Perhaps(target))
                    if !functions.range(at).contains(&target) =>
                {
                    callers.entry(target).or_default().push((at, false));
                }
                _ => {}
            }
        }
        Self {
            text,
            functions,
            callers,
            called: BTreeMap::new(),
            from: BTreeMap::new(),
            looked: BTreeSet::new(),
            grown: false,
        }
    }

    /// What happens on the ways from each register write of the text: from its address and the register's name.
    ///
    /// While a function is looked into, a recursive call of it counts for no more than the round before has found. So there are
    /// rounds until nothing is added. Results only grow, so the rounds end.
    fn all(&mut self) -> BTreeMap<(u64, &'static str), Events> {
        let text = self.text;
        let writes: Vec<_> =
            text.words(text.all()).filter_map(|(at, word)| Some((at, written(word)?))).collect();
        loop {
            self.from.clear();
            self.looked.clear();
            self.grown = false;
            let events = writes
                .iter()
                .map(|&(at, register)| ((at, register), self.on_every_way(at, register)))
                .collect();
            if !self.grown {
                return events;
            }
        }
    }

    /// What happens after the instruction at `write`, in its function and in the functions that it returns to.
    fn on_every_way(&mut self, write: u64, register: &str) -> Events {
        let mut events = Events::new();
        let mut seen = BTreeSet::new();
        let kind = Write { owed: self.is_recorded(write), eret: register != "MDSCR_EL1" };
        let mut next = vec![write + 4];
        while let Some(at) = next.pop() {
            if !seen.insert(at) {
                continue;
            }
            let ways = self.ways_from(kind, at);
            events.extend(ways.events);
            // `at` may already be the first instruction of the next function, but the instruction in front of it belongs to this
            // one.
            if ways.returns
                && !self.callers_of(self.functions.range(at - 4).start, &mut next, &mut BTreeSet::new())
            {
                events.insert((Event::Returns, at - 4));
            }
        }
        events
    }

    /// Adds the places that a function returns to. False if nobody calls the function.
    fn callers_of(&self, function: u64, next: &mut Vec<u64>, seen: &mut BTreeSet<u64>) -> bool {
        let Some(callers) = self.callers.get(&function) else { return false };
        let mut known = true;
        for &(site, call) in callers {
            if call {
                next.push(site + 4);
            } else {
                let outer = self.functions.range(site).start;
                known &= !seen.insert(outer) || self.callers_of(outer, next, seen);
            }
        }
        known
    }

    /// What happens from the instruction at `at` on, until its function returns. Each instruction is looked into once in a round.
    fn ways_from(&mut self, kind: Write, at: u64) -> Ways {
        if let Some(known) = self.from.get(&(kind, at)) {
            return known.clone();
        }
        let ways = self.follow(kind, at);
        self.from.insert((kind, at), ways.clone());
        ways
    }

    /// What happens in a function that is called. Each function is looked into once in a round; until that is done, and in a
    /// recursive call, the result is that of the round before.
    fn ways_of(&mut self, kind: Write, function: u64) -> Ways {
        let key = (kind, function);
        let known = self.called.get(&key).cloned().unwrap_or_default();
        if !self.looked.insert(key) {
            return known;
        }
        let ended = ends(self.functions.name(function));
        let ways = if ended { Ways::default() } else { self.follow(kind, function) };
        self.grown |= ways != known;
        self.called.insert(key, ways.clone());
        ways
    }

    /// Follows all ways from the instruction at `from`, with jumps and calls, until there is a barrier or a way returns.
    fn follow(&mut self, kind: Write, from: u64) -> Ways {
        let mut ways = Ways::default();
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            let Some(word) = self.text.word(at).filter(|_| seen.insert(at)) else { continue };
            if synchronises(word) || is_eret(word) && kind.eret {
                continue;
            }
            if is_eret(word) {
                ways.events.insert((Event::Erets, at));
                continue;
            }
            if opens_d(word) {
                ways.events.insert((Event::Opens, at));
                continue;
            }
            match code::branch(at, word) {
                None => next.push(at + 4),
                Some(Branch::Always(target)) if ends(self.functions.name(target)) => {}
                Some(Branch::Always(target)) => next.push(target),
                Some(Branch::Perhaps(target)) => {
                    if !(kind.owed && (self.pays(kind, at + 4) || self.pays(kind, target))) {
                        next.extend([at + 4, target]);
                    }
                }
                Some(Branch::Call(target)) => {
                    let called = self.ways_of(kind, target);
                    ways.events.extend(called.events);
                    if called.returns {
                        next.push(at + 4);
                    }
                }
                Some(Branch::Return) => ways.returns = true,
                Some(Branch::CallRegister) => {
                    ways.events.insert((Event::Calls, at));
                }
                Some(Branch::Register(register)) => match self.table(at, register) {
                    Some(targets) => next.extend(targets),
                    None => {
                        ways.events.insert((Event::Jumps, at));
                    }
                },
            }
        }
        ways
    }

    /// Whether the ISB that is owed follows soon, or the call of a function that has an ISB on every way.
    fn pays(&mut self, kind: Write, at: u64) -> bool {
        // Room for the call itself, and for an epilogue in front of a tail call.
        const NEAR: u64 = 10;
        let text = self.text;
        for (at, word) in text.words(at..at + NEAR * 4) {
            match code::branch(at, word) {
                _ if is_isb(word) => return true,
                _ if opens_d(word) => return false,
                // A check of the rules may come in between. Its other way ends the kernel.
                None | Some(Branch::Perhaps(_)) => {}
                // A tail call counts as a call. A branch inside of the function looks the same here, and counts too: all ways
                // from its target are followed, as those of a function are.
                Some(Branch::Call(target) | Branch::Always(target)) => {
                    let called = self.ways_of(kind, target);
                    return !called.returns && called.events.is_empty() && !ends(self.functions.name(target));
                }
                Some(_) => return false,
            }
        }
        false
    }

    /// Whether the function of a write stores all ones near the write, or on the way from the write, and so records that it owes an ISB.
    fn is_recorded(&self, write: u64) -> bool {
        // Room for a row of writes to numbered registers, and a little more.
        const NEAR: u64 = 96 * 4;
        let function = self.functions.range(write);
        let near = function.start.max(write.saturating_sub(NEAR))..function.end.min(write + NEAR);
        let words = self.text.words(near).chain(self.way_from(write));
        // STR (immediate, unsigned offset), 64 bits.
        let stored = words.filter(|(_, word)| word & 0xffc0_0000 == 0xf900_0000);
        let stored: BTreeSet<u32> = stored.map(|(_, word)| word & 31).collect();
        // All ones are made by MOVN Xn, #0.
        self.text.words(function).any(|(_, word)| word & !31 == 0x9280_0000 && stored.contains(&(word & 31)))
    }

    /// The instructions after `at` up to the first one after which there is more than one way, or a few of them.
    fn way_from(&self, mut at: u64) -> Vec<(u64, u32)> {
        const FEW: usize = 16;
        let mut way = Vec::new();
        while way.len() < FEW {
            at = match self.text.word(at).and_then(|word| code::branch(at, word)) {
                None => at + 4,
                Some(Branch::Always(target)) => target,
                Some(_) => break,
            };
            let Some(word) = self.text.word(at) else { break };
            way.push((at, word));
        }
        way
    }

    /// The targets of the BR at `at`, if the BR chooses one of several accesses to numbered registers as `arch/sysreg.rs` does
    /// it: ADR gives the address of the first access, ADD adds the register's number times the size of an access, BR goes there;
    /// each access ends with a B. None for every other BR, such as one of the tables that LLVM makes of a `match`.
    fn table(&self, at: u64, register: u32) -> Option<Vec<u64>> {
        let add = self.text.word(at - 4)?;
        let shift = add >> 10 & 0x3f;
        if add & 0xffe0_001f != 0x8b00_0000 | register || !(3..=4).contains(&shift) {
            return None;
        }
        let function = self.functions.range(at);
        let size = 1 << shift;
        let base = add >> 5 & 31;
        let (place, adr) = (function.start.max(at.saturating_sub(80))..at)
            .step_by(4)
            .filter_map(|at| Some((at, self.text.word(at)?)))
            .filter(|(_, word)| word & 0x9f00_001f == 0x1000_0000 | base)
            .last()?;
        let offset = (adr >> 5 & 0x7_ffff) << 2 | adr >> 29 & 3;
        let first = place.wrapping_add_signed(i64::from((offset << 11) as i32 >> 11));
        let leaves = |&entry: &u64| {
            let mut words = self.text.words(entry..entry + size);
            words.any(|(at, word)| matches!(code::branch(at, word), Some(Branch::Always(_))))
        };
        let entries: Vec<u64> =
            (first..function.end).step_by(size as usize).take_while(leaves).take(16).collect();
        (!entries.is_empty()).then_some(entries)
    }
}

/// Functions that do not return, because they end the kernel.
fn ends(name: &str) -> bool {
    let last = name.rsplit("::").next().unwrap_or(name);
    name.starts_with("core::panicking")
        || last.contains("panic")
        || last.ends_with("_fail")
        || last.ends_with("_failed")
}

/// Functions that lack an ordered access.
fn unordered(text: &Text<'_>, functions: &Functions<'_>, list: &List) -> Vec<String> {
    let mut missing = Vec::new();
    for line in &list.ordered {
        let symbols = functions.symbols.iter().filter(|symbol| symbol.kind == Kind::Text);
        for symbol in symbols.filter(|symbol| line.says.function.covers(&symbol.name)) {
            let start = functions.start + u64::from(symbol.offset);
            let words = text.words(start..start + u64::from(symbol.size));
            let found = words.filter(|&(_, word)| line.says.needs.is(word)).count();
            if found < line.says.count {
                let Ordered { count, needs, .. } = &line.says;
                missing.push(format!("{} has {found} of {count} {needs}", symbol.name));
            }
        }
    }
    missing
}

impl Needed {
    fn is(self, word: u32) -> bool {
        // Sizes are in bits 31 and 30.
        let acquire = word & 0x3fff_fc00 == 0x08df_fc00;
        let acquire_exclusive = word & 0x3fff_fc00 == 0x085f_fc00;
        let acquire_pc = word & 0x3fff_fc00 == 0x38bf_c000;
        let release = word & 0x3fff_fc00 == 0x089f_fc00;
        let release_exclusive = word & 0x3fe0_fc00 == 0x0800_fc00;
        match self {
            Self::Acquire => acquire || acquire_exclusive || acquire_pc,
            Self::Release => release || release_exclusive,
            Self::Barrier => word & 0xffff_f0ff == 0xd503_30bf,
        }
    }
}
