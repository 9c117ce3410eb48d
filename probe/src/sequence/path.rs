//! Whether a place still belongs to a sequence: whether a store-exclusive can be reached from it before the monitor is set
//! or cleared again.

use super::Memory;
use crate::exclusive::{
    Outcome, is_clear_exclusive, is_load_exclusive, is_store_exclusive, reaches_store, successors,
};

/// Instructions looked at before the whole function is.
const NEAR: usize = 64;

/// What lies ahead of a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// A store-exclusive, by direct branches.
    Store,
    /// None.
    Nothing,
    /// None that direct branches lead to, but not every way can be followed.
    Unknown,
}

/// Breadth first, so that a store-exclusive that is near is found near.
pub fn reach(memory: &impl Memory, from: u64) -> Reach {
    let mut seen = [from; NEAR];
    let (mut looked, mut known) = (0, 1);
    let mut lost = false;
    while looked < known {
        let address = seen[looked];
        looked += 1;
        let Some(word) = memory.word(address) else {
            lost = true;
            continue;
        };
        if is_store_exclusive(word) {
            return Reach::Store;
        }
        if is_load_exclusive(word) || is_clear_exclusive(word) {
            continue;
        }
        let ways = successors(word);
        lost |= ways.anywhere;
        let next = ways.next.then(|| address.wrapping_add(4));
        let target = ways.branch.map(|offset| address.wrapping_add_signed(i64::from(offset)));
        for way in next.into_iter().chain(target) {
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
