use core::ops::Range;

use crate::{mapping::Mapping, prot::Prot};

/// What the caller has to do to its page tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a, B> {
    /// These pages are mapped no more: remove their entries and drop what only the entries hold. The mapping is as it was, cut to the
    /// range that is unmapped.
    Unmapped(&'a Mapping<B>),
    /// These pages of one mapping have this permission now: existing entries must not permit more. An entry that permits less than
    /// `prot` stays correct if the page fault repairs it; private pages that are shared with another process since a fork
    /// must stay read-only.
    Protected {
        /// The pages.
        range: Range<u64>,
        /// Their new permission.
        prot: Prot,
    },
    /// These entries belong to another address now: move them, with the pages that they hold. No entry exists at the destination;
    /// none may remain at the source. Source and destination do not overlap. The permission stays.
    Moved {
        /// The first address before.
        from: u64,
        /// The first address now.
        to: u64,
        /// How many bytes, a multiple of a page, above 0.
        len: u64,
    },
}
