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

/// What a place is and leads to, as long as the monitor is held.
struct Ahead {
    is_store: bool,
    /// Not all that it leads to can be told.
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
    // All that branches is in one group; UDF is in none.
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

/// Breadth first, so that a store-exclusive that is near is found near.
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
    /// Of each word of the window: its place plus one, or 0 if it was not met. Of a word elsewhere `at` has to be searched, which is rare.
    places: [u8; WINDOW],
}

/// Words around a load-exclusive that compilers' sequences do not leave, but for paths out of line.
const WINDOW: usize = 128;

impl Met {
    /// With nothing met, for addresses around this one.
    #[inline(always)]
    fn around(load: u64) -> Self {
        let window = load.wrapping_sub(2 * WINDOW as u64);
        Self { at: [0; NEAR], known: 0, window, places: [0; WINDOW] }
    }

    /// The place of an address, which is met now if it was not before. None if there is no room.
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

/// Tells `each` of the instructions of the sequence whose load-exclusive is at `load`: that, every instruction from which a
/// store-exclusive can be reached before the monitor is set or cleared again, and the store-exclusives. Nothing where there is no
/// store-exclusive. Where not every way can be followed, every instruction that was met. `fetch` gives the word at an address, or
/// `None` if it cannot be read. Bounded in time; thread context.
pub fn members(fetch: impl Fn(u64) -> Option<u32>, load: u64, mut each: impl FnMut(u64)) {
    const NOWHERE: u8 = u8::MAX;
    let mut met = Met::around(load);
    met.place(load.wrapping_add(4));
    // The places that each instruction leads to. And a bit for each place: from there a store-exclusive is reached.
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

/// In a function with more code ahead than [`NEAR`]: all of it. An indirect branch that is not near ends a path here, since
/// compilers make one of every `match` and none of a sequence.
#[cold]
fn far(memory: &impl Memory, from: u64) -> Reach {
    let Some((start, end)) = memory.function(from) else { return Reach::Unknown };
    match reaches_store(|address| memory.word(address), from, start, end) {
        Some(Outcome::Done) => Reach::Store,
        Some(Outcome::Exhausted | Outcome::Lost) => Reach::Nothing,
        None => Reach::Unknown,
    }
}
