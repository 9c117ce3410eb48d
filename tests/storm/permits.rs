//! Who has a permit for a slot must be able to have it: a slot is free again as soon as its removal returns.

use crate::debug::slots;
use ::slots::Kind;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static TAKEN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Takes so many, or none.
pub fn take(kind: Kind, count: u64) -> bool {
    let all = u64::from(slots::count(kind));
    let more = |taken| (taken + count <= all).then_some(taken + count);
    TAKEN[kind as usize].fetch_update(Relaxed, Relaxed, more).is_ok()
}

/// Gives them back.
pub fn give(kind: Kind, count: u64) {
    TAKEN[kind as usize].fetch_sub(count, Relaxed);
}
