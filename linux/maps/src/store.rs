use alloc::vec::Vec;
use core::ops::Range;

use crate::{
    error::Error,
    layout::Limits,
    mapping::{Backing, Mapping, is_data},
    page::PAGE,
    prot::Prot,
};

/// The pages that RLIMIT_AS and RLIMIT_DATA count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// All mapped pages (Linux: total_vm).
    pub pages: u64,
    /// The pages that [`Mapping::is_data`] (Linux: data_vm).
    pub data: u64,
}

impl Usage {
    fn of<B>(mapping: &Mapping<B>) -> Self {
        let pages = mapping.pages();
        Self { pages, data: if mapping.is_data() { pages } else { 0 } }
    }

    fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.data += other.data;
    }

    pub fn remove(&mut self, other: Self) {
        self.pages -= other.pages;
        self.data -= other.data;
    }

    /// Whether the limits allow so many more pages (Linux: may_expand_vm).
    pub fn may_add(&self, pages: u64, data: bool, limits: &Limits) -> bool {
        let within = |used: u64, limit: u64| used.saturating_add(pages) <= limit / PAGE;
        within(self.pages, limits.address_space) && (!data || within(self.data, limits.data))
    }
}

/// The mappings in the order of their addresses, without overlap, and how much they are.
///
/// A caller that can fail calls [`Store::reserve`] first; after that `carve` and `insert` do not allocate.
pub(crate) struct Store<B> {
    list: Vec<Mapping<B>>,
    usage: Usage,
}

impl<B> Store<B> {
    pub const fn new() -> Self {
        Self { list: Vec::new(), usage: Usage { pages: 0, data: 0 } }
    }

    pub fn list(&self) -> &[Mapping<B>] {
        &self.list
    }

    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The index of the first mapping that ends above the address: the one that contains it, or the next one.
    pub fn first_above(&self, addr: u64) -> usize {
        self.list.partition_point(|mapping| mapping.end <= addr)
    }

    /// The mapping that contains the address.
    pub fn find(&self, addr: u64) -> Option<&Mapping<B>> {
        self.list.get(self.first_above(addr)).filter(|mapping| mapping.start <= addr)
    }

    /// The mappings that overlap the range, in the order of their addresses.
    pub fn overlapping(&self, range: &Range<u64>) -> &[Mapping<B>] {
        let from = self.first_above(range.start);
        let to = self.list.partition_point(|mapping| mapping.start < range.end);
        self.list.get(from..to).unwrap_or_default()
    }

    /// Makes room for so many more mappings.
    pub fn reserve(&mut self, more: usize) -> Result<(), Error> {
        self.list.try_reserve(more).map_err(|_| Error::NoMemory)
    }

    /// Moves the start of a mapping down to the address; nothing may be mapped in between. Only for anonymous mappings, whose
    /// offset stays 0.
    pub fn extend_down(&mut self, index: usize, start: u64) {
        let mapping = &mut self.list[index];
        self.usage.remove(Usage::of(mapping));
        mapping.start = start;
        self.usage.add(Usage::of(mapping));
    }

    /// Takes everything out, `removed` sees each mapping.
    pub fn take_all(&mut self, mut removed: impl FnMut(&Mapping<B>)) {
        self.usage = Usage::default();
        for mapping in core::mem::take(&mut self.list) {
            removed(&mapping);
        }
    }
}

impl<B: Backing> Store<B> {
    /// What of the usage lies in the range.
    pub fn usage_in(&self, range: &Range<u64>) -> Usage {
        let mut usage = Usage::default();
        for mapping in self.overlapping(range) {
            let pages = (mapping.end.min(range.end) - mapping.start.max(range.start)) / PAGE;
            usage.add(Usage { pages, data: if is_data(mapping.prot, mapping.flags) { pages } else { 0 } });
        }
        usage
    }

    /// Whether the range lies inside one mapping and touches neither of its ends, so that removing it makes one mapping two.
    pub fn splits(&self, range: &Range<u64>) -> bool {
        self.find(range.start).is_some_and(|mapping| mapping.start < range.start && range.end < mapping.end)
    }

    /// Removes what is mapped in the range, cutting the mappings at its ends. `removed` sees each removed part, in the order of the
    /// addresses. Needs room for one more mapping.
    pub fn carve(&mut self, range: &Range<u64>, mut removed: impl FnMut(&Mapping<B>)) {
        if range.is_empty() {
            return;
        }
        let mut at = self.first_above(range.start);
        if let Some(mapping) = self.list.get_mut(at)
            && mapping.start < range.start
        {
            let cut = mapping.clipped(range);
            let above = (range.end < mapping.end).then(|| mapping.clipped(&(range.end..mapping.end)));
            mapping.end = range.start;
            self.usage.remove(Usage::of(&cut));
            removed(&cut);
            at += 1;
            if let Some(above) = above {
                self.list.insert(at, above);
                return;
            }
        }
        let whole = self.list[at..].partition_point(|mapping| mapping.end <= range.end);
        for mapping in self.list.drain(at..at + whole) {
            self.usage.remove(Usage::of(&mapping));
            removed(&mapping);
        }
        if let Some(mapping) = self.list.get_mut(at)
            && mapping.start < range.end
        {
            let cut = mapping.clipped(range);
            mapping.offset = mapping.offset_of(range.end);
            mapping.start = range.end;
            self.usage.remove(Usage::of(&cut));
            removed(&cut);
        }
    }

    /// Adds a mapping where nothing is mapped, as one with the neighbours that are alike. Needs room for one more mapping.
    pub fn insert(&mut self, new: Mapping<B>) {
        self.usage.add(Usage::of(&new));
        let at = self.first_above(new.start);
        let joins_below = at.checked_sub(1).filter(|&below| self.list[below].joins(&new));
        let joins_above = self.list.get(at).is_some_and(|above| new.joins(above));
        match (joins_below, joins_above) {
            (Some(below), true) => self.list[below].end = self.list.remove(at).end,
            (Some(below), false) => self.list[below].end = new.end,
            (None, true) => {
                let above = &mut self.list[at];
                above.start = new.start;
                above.offset = new.offset;
            }
            (None, false) => self.list.insert(at, new),
        }
    }

    /// By how much the number of mappings changes if the part of the mapping at `index` that lies in the range gets another
    /// permission: cutting adds mappings, merging with neighbours removes some.
    pub fn change_of_count(&self, index: usize, range: &Range<u64>, prot: Prot) -> isize {
        let mapping = &self.list[index];
        let part = Mapping { prot, ..mapping.clipped(range) };
        let mut change = 0;
        if mapping.start < part.start {
            change += 1;
        } else if index.checked_sub(1).is_some_and(|below| self.list[below].joins(&part)) {
            change -= 1;
        }
        if part.end < mapping.end {
            change += 1;
        } else if self.list.get(index + 1).is_some_and(|above| part.joins(above)) {
            change -= 1;
        }
        change
    }

    /// A copy, with room for nothing more.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let mut list = Vec::new();
        list.try_reserve_exact(self.list.len()).map_err(|_| Error::NoMemory)?;
        list.extend(self.list.iter().cloned());
        Ok(Self { list, usage: self.usage })
    }
}
