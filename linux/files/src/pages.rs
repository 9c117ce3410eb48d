//! The pages of one file, found by their index. Missing pages are holes.
//!
//! A sorted vector of groups of 64 pages. `alloc`'s B-tree has no fallible insertion, and a program chooses how many pages its
//! files have; here running out of memory is an error.

use alloc::vec::Vec;

use crate::{FileError, Result, bytes};

const GROUP: u64 = 64;

pub(crate) struct Pages<P> {
    groups: Vec<Group<P>>,
    count: u64,
}

struct Group<P> {
    /// The index of the group's first page divided by 64.
    number: u64,
    used: u32,
    /// Always of length 64.
    pages: Vec<Option<P>>,
}

impl<P> Pages<P> {
    pub(crate) const fn new() -> Self {
        Self { groups: Vec::new(), count: 0 }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Where the group is, or where it would have to be.
    fn position(&self, number: u64) -> core::result::Result<usize, usize> {
        // Files are mostly read from front to back without holes: the group is then at its own number.
        match self.groups.get(number as usize) {
            Some(group) if group.number == number => Ok(number as usize),
            _ => self.groups.binary_search_by_key(&number, |group| group.number),
        }
    }

    pub(crate) fn get(&self, index: u64) -> Option<&P> {
        let group = self.groups.get(self.position(index / GROUP).ok()?)?;
        group.pages.get((index % GROUP) as usize)?.as_ref()
    }

    /// Puts a page where there is a hole.
    ///
    /// # Errors
    /// `NoMemory`; nothing has changed then.
    pub(crate) fn insert(&mut self, index: u64, page: P) -> Result<()> {
        let number = index / GROUP;
        let at = match self.position(number) {
            Ok(at) => at,
            Err(at) => {
                let mut pages = Vec::new();
                pages.try_reserve_exact(GROUP as usize).map_err(|_| FileError::NoMemory)?;
                pages.resize_with(GROUP as usize, || None);
                bytes::room_for_one(&mut self.groups)?;
                self.groups.insert(at, Group { number, used: 0, pages });
                at
            }
        };
        let group = &mut self.groups[at];
        if group.pages[(index % GROUP) as usize].replace(page).is_none() {
            group.used += 1;
            self.count += 1;
        }
        Ok(())
    }

    /// Makes a hole of one page.
    pub(crate) fn remove(&mut self, index: u64) {
        let Ok(at) = self.position(index / GROUP) else { return };
        let group = &mut self.groups[at];
        if group.pages[(index % GROUP) as usize].take().is_some() {
            group.used -= 1;
            self.count -= 1;
            if group.used == 0 {
                self.groups.remove(at);
            }
        }
    }

    /// Drops the pages from `first` on. Returns how many there were.
    pub(crate) fn cut(&mut self, first: u64) -> u64 {
        let before = self.count;
        let number = first / GROUP;
        let whole = match self.position(number) {
            Ok(at) => {
                let group = &mut self.groups[at];
                for page in &mut group.pages[(first % GROUP) as usize..] {
                    if page.take().is_some() {
                        group.used -= 1;
                        self.count -= 1;
                    }
                }
                if group.used == 0 { at } else { at + 1 }
            }
            Err(at) => at,
        };
        self.count -= self.groups[whole..].iter().map(|group| u64::from(group.used)).sum::<u64>();
        self.groups.truncate(whole);
        if self.groups.is_empty() {
            self.groups = Vec::new();
        }
        before - self.count
    }

    /// The index of the first page at `from` or behind.
    pub(crate) fn next_page(&self, from: u64) -> Option<u64> {
        let first = match self.position(from / GROUP) {
            Ok(at) | Err(at) => at,
        };
        self.groups[first..].iter().find_map(|group| {
            let base = group.number * GROUP;
            let skip = from.saturating_sub(base) as usize;
            let within = group.pages.iter().skip(skip).position(Option::is_some)?;
            Some(base + (skip + within) as u64)
        })
    }

    /// The index of the first hole at `from` or behind.
    pub(crate) fn next_hole(&self, from: u64) -> u64 {
        let Ok(first) = self.position(from / GROUP) else { return from };
        let mut index = from;
        for group in &self.groups[first..] {
            let base = group.number * GROUP;
            if base > index {
                break;
            }
            match group.pages[(index - base) as usize..].iter().position(Option::is_none) {
                Some(within) => return index + within as u64,
                None => index = base + GROUP,
            }
        }
        index
    }

    /// How many pages have an index from `first` up to, not including, `end`.
    pub(crate) fn count_between(&self, first: u64, end: u64) -> u64 {
        let start = match self.position(first / GROUP) {
            Ok(at) | Err(at) => at,
        };
        let groups = self.groups[start..].iter().take_while(|group| group.number * GROUP < end);
        groups
            .map(|group| {
                let base = group.number * GROUP;
                let (from, to) = (first.saturating_sub(base).min(GROUP), (end - base).min(GROUP));
                group.pages[from as usize..to.max(from) as usize].iter().flatten().count() as u64
            })
            .sum()
    }
}
