//! Whether an instruction belongs to an exclusive sequence: whether a store-exclusive can be reached from it before another
//! load-exclusive sets the monitor or a CLREX clears it.

use super::Memory;
use crate::bits::bits;
use crate::exclusive::{Outcome, reaches_store, successors};
use crate::monitor::{is_clear_exclusive, is_load_exclusive, is_store_exclusive};

/// How many instructions ahead are looked at first. Only if that does not decide is the whole function looked at.
const NEAR: usize = 64;

/// What lies ahead of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// A store-exclusive that straight-line code or direct branches lead to.
    Store,
    /// No store-exclusive.
    Nothing,
    /// No store-exclusive by direct branches, but one of the ways goes through an indirect branch or to text that cannot be read.
    Unknown,
}

/// The instructions that one instruction can lead to while the monitor stays set, and whether they are all known.
struct Ahead {
    is_store: bool,
    /// The instruction may lead to places that cannot be found out: it branches indirectly, or cannot be read.
    lost: bool,
    next: Option<u64>,
    target: Option<u64>,
}

impl Ahead {
    fn ways(self) -> impl Iterator<Item = u64> {
        self.next.into_iter().chain(self.target)
    }
}

fn ahead(word: Option<u32>, address: u64) -> Ahead {
    let none = Ahead { is_store: false, lost: false, next: None, target: None };
    let Some(word) = word else { return Ahead { lost: true, ..none } };
    if is_store_exclusive(word) {
        return Ahead { is_store: true, ..none };
    }
    if is_load_exclusive(word) || is_clear_exclusive(word) {
        return none;
    }
    // All branches are in one group of the encoding. UDF (upper half 0) is in no group; `successors` decides about UDF too.
    if bits(word, 26, 3) != 0b101 && word >> 16 != 0 {
        return Ahead { next: Some(address.wrapping_add(4)), ..none };
    }
    let ways = successors(word);
    Ahead {
        is_store: false,
        lost: ways.anywhere,
        next: ways.next.then(|| address.wrapping_add(4)),
        target: ways.branch.map(|offset| address.wrapping_add_signed(i64::from(offset))),
    }
}

/// What lies ahead of the instruction at `from`. Searches breadth first, so that a near store-exclusive is found with few steps.
pub fn reach(memory: &impl Memory, from: u64) -> Reach {
    let mut seen = [from; NEAR];
    let (mut looked, mut known) = (0, 1);
    let mut lost = false;
    while looked < known {
        let ahead = ahead(memory.word(seen[looked]), seen[looked]);
        looked += 1;
        if ahead.is_store {
            return Reach::Store;
        }
        lost |= ahead.lost;
        for way in ahead.ways() {
            if seen[..known].contains(&way) {
                continue;
            }
            if known == NEAR {
                return far(memory, from);
            }
            seen[known] = way;
            known += 1;
        }
    }
    if lost { Reach::Unknown } else { Reach::Nothing }
}

/// The addresses that [`members`] has met, at most [`NEAR`], each with its place in the order in which they were met.
struct Met {
    at: [u64; NEAR],
    known: usize,
    /// The address of the first entry of `places`.
    window: u64,
    /// For each word of the window: its place plus one, or 0 if it was not met. For a word outside of the window, which is rare,
    /// `at` is searched.
    places: [u8; WINDOW],
}

/// The size of the window in words. The sequences that compilers emit stay inside of it, except for paths out of line.
const WINDOW: usize = 128;

impl Met {
    /// A list in which no address was met yet, with the window around the given address.
    #[inline(always)]
    fn around(load: u64) -> Self {
        let window = load.wrapping_sub(2 * WINDOW as u64);
        Self { at: [0; NEAR], known: 0, window, places: [0; WINDOW] }
    }

    /// The place of an address. Enters the address if it was not met before. None if there is no room for it.
    fn place(&mut self, address: u64) -> Option<usize> {
        let near = self.places.get_mut((address.wrapping_sub(self.window) / 4) as usize);
        let place = match &near {
            Some(place) => usize::from(**place).checked_sub(1),
            None => self.at[..self.known].iter().position(|at| *at == address),
        };
        if place.is_some() || self.known == NEAR {
            return place;
        }
        self.at[self.known] = address;
        self.known += 1;
        if let Some(near) = near {
            *near = self.known as u8;
        }
        Some(self.known - 1)
    }
}

/// Calls `each` with the address of every instruction of the sequence whose load-exclusive is at `load`: the load-exclusive itself,
/// every instruction from which a store-exclusive can be reached before the monitor is set or cleared again, and the
/// store-exclusives.
///
/// Calls `each` for no instruction if there is no store-exclusive. If not every way can be followed, calls it for every instruction
/// met, because each of them might belong to the sequence. `fetch` gives the word at an address, or `None` if the address cannot be
/// read. Takes bounded time. Meant for thread context, not for a handler.
pub fn members(fetch: impl Fn(u64) -> Option<u32>, load: u64, mut each: impl FnMut(u64)) {
    if let Some(store) = straight(&fetch, load) {
        (load..=store).step_by(4).for_each(each);
        return;
    }
    const NOWHERE: u8 = u8::MAX;
    let mut met = Met::around(load);
    met.place(load.wrapping_add(4));
    // `ways` holds the places that each instruction leads to. A second set has a bit for each place from which a store-exclusive is
    // reached.
    let mut ways = [[NOWHERE; 2]; NEAR];
    let mut leads = 0_u64;
    let (mut looked, mut lost) = (0, false);
    while looked < met.known {
        let ahead = ahead(fetch(met.at[looked]), met.at[looked]);
        lost |= ahead.lost;
        leads |= u64::from(ahead.is_store) << looked;
        for (to, way) in ways[looked].iter_mut().zip(ahead.ways()) {
            match met.place(way) {
                Some(place) => *to = place as u8,
                None => lost = true,
            }
        }
        looked += 1;
    }
    let ways = &ways[..looked];
    let mut before = 0;
    while leads != before && !lost {
        before = leads;
        for (index, to) in ways.iter().enumerate().rev() {
            let reached = to.iter().any(|&to| to != NOWHERE && leads >> to & 1 != 0);
            leads |= u64::from(reached) << index;
        }
    }
    if lost || leads & 1 != 0 {
        each(load);
    }
    for (index, at) in met.at[..looked].iter().enumerate() {
        if lost || leads >> index & 1 != 0 {
            each(*at);
        }
    }
}

/// The store-exclusive of a sequence in the shapes that compilers emit most often: straight-line code, perhaps with branches out of the
/// sequence to a CLREX, for a comparison that fails. All instructions up to the store-exclusive then belong to the sequence. None for any
/// other shape.
fn straight(fetch: &impl Fn(u64) -> Option<u32>, load: u64) -> Option<u64> {
    const LONGEST: u64 = 8;
    for number in 1..LONGEST {
        let at = load.wrapping_add(4 * number);
        let word = fetch(at)?;
        if is_store_exclusive(word) {
            return Some(at);
        }
        // Most words are neither exclusives nor branches, nor UDF (see `ahead`).
        if bits(word, 26, 3) != 0b101 && word >> 16 != 0 && !is_load_exclusive(word) {
            continue;
        }
        let ahead = ahead(Some(word), at);
        let leaves = |target| fetch(target).is_some_and(is_clear_exclusive);
        if ahead.lost || ahead.next.is_none() || !ahead.target.is_none_or(leaves) {
            return None;
        }
    }
    None
}

/// Searches the whole function, for a function with more code ahead than [`NEAR`]. An indirect branch that is not near counts as
/// the end of a path here, since compilers make indirect branches of `match` expressions, but not inside of exclusive sequences.
#[cold]
fn far(memory: &impl Memory, from: u64) -> Reach {
    let Some((start, end)) = memory.function(from) else { return Reach::Unknown };
    match reaches_store(|address| memory.word(address), from, start, end) {
        Some(Outcome::Done) => Reach::Store,
        Some(Outcome::Exhausted | Outcome::Lost) => Reach::Nothing,
        None => Reach::Unknown,
    }
}
