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

fn ahead(memory: &impl Memory, address: u64) -> Ahead {
    let none = Ahead { is_store: false, lost: false, next: None, target: None };
    let Some(word) = memory.word(address) else { return Ahead { lost: true, ..none } };
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
        let ahead = ahead(memory, seen[looked]);
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

/// Tells `each` of the instructions of the sequence whose load-exclusive is at `load`: that, every instruction from which a
/// store-exclusive can be reached before the monitor is set or cleared again, and the store-exclusives. Nothing where there is no
/// store-exclusive. Where not every way can be followed, every instruction that was met. Bounded in time; thread context.
pub fn members(memory: &impl Memory, load: u64, mut each: impl FnMut(u64)) {
    let first = load.wrapping_add(4);
    let mut seen = [first; NEAR];
    // Bits of `seen`: from here a store-exclusive is reached.
    let mut leads = 0_u64;
    let (mut looked, mut known, mut lost) = (0, 1, false);
    while looked < known {
        let ahead = ahead(memory, seen[looked]);
        lost |= ahead.lost;
        leads |= u64::from(ahead.is_store) << looked;
        looked += 1;
        for way in ahead.ways() {
            if seen[..known].contains(&way) {
                continue;
            }
            if known == NEAR {
                lost = true;
                break;
            }
            seen[known] = way;
            known += 1;
        }
    }
    let mut found = true;
    while found && !lost {
        found = false;
        for index in (0..known).rev() {
            let reaches =
                |way| seen[..known].iter().position(|at| *at == way).is_some_and(|at| leads >> at & 1 != 0);
            if leads >> index & 1 == 0 && ahead(memory, seen[index]).ways().any(reaches) {
                leads |= 1 << index;
                found = true;
            }
        }
    }
    if lost || leads & 1 != 0 {
        each(load);
    }
    for (index, at) in seen[..known].iter().enumerate() {
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
