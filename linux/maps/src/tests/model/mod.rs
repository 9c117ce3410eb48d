//! The model: an array with one entry for each page of a small address space. Slow, and without any notion of a mapping but the
//! one derived from neighbouring pages.

mod fault;
mod map;
mod remap;

use std::ops::Range;

use super::Back;
use crate::{Error, Flags, Layout, Limits, Mapping, PAGE, Prot};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub prot: Prot,
    pub may: Prot,
    pub flags: Flags,
    pub back: Back,
    /// In bytes.
    pub offset: u64,
    /// Begins a mapping although the page below is alike: a stack grew down to another one.
    pub seam: bool,
    /// What the page holds, if it was touched.
    pub stamp: Option<u32>,
}

impl Page {
    fn continues(&self, below: &Page) -> bool {
        let offset = if self.back == Back::Anonymous { 0 } else { below.offset + PAGE };
        !self.seam
            && (self.prot, self.may, self.flags, self.back, self.offset)
                == (below.prot, below.may, below.flags, below.back, offset)
    }

    fn is_stack(&self) -> bool {
        self.flags.contains(Flags::GROWS_DOWN)
    }

    fn is_data(&self) -> bool {
        self.prot.contains(Prot::WRITE) && self.flags.is_empty()
    }
}

type Pages = Range<usize>;

#[derive(Clone)]
pub struct Model {
    min: usize,
    top: usize,
    base: usize,
    guard: usize,
    max: usize,
    pub pages: Vec<Option<Page>>,
    pub brk_start: u64,
    pub brk_data: u64,
    pub brk: u64,
}

fn align(value: u64) -> u64 {
    value.checked_add(PAGE - 1).map_or(0, |sum| sum / PAGE * PAGE)
}

fn number(value: u64) -> usize {
    (value / PAGE) as usize
}

fn check(holds: bool, error: Error) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(error) }
}

impl Model {
    pub fn new(layout: &Layout) -> Self {
        Self {
            min: number(layout.min),
            top: number(layout.top),
            base: number(layout.mmap_base),
            guard: number(layout.guard),
            max: layout.max_mappings,
            pages: vec![None; number(layout.top)],
            brk_start: 0,
            brk_data: 0,
            brk: 0,
        }
    }

    /// Whether a mapping begins at this page, which is mapped.
    fn begins(&self, at: usize) -> bool {
        let below = at.checked_sub(1).and_then(|below| self.pages[below].as_ref());
        !below.is_some_and(|below| self.pages[at].as_ref().unwrap().continues(below))
    }

    /// The mapping that contains the page, which is mapped.
    fn extent(&self, at: usize) -> Pages {
        let start = (0..=at).rev().find(|&page| self.begins(page)).unwrap();
        let end = (at + 1..self.top).find(|&page| self.pages[page].is_none() || self.begins(page));
        start..end.unwrap_or(self.top)
    }

    fn extents(&self) -> Vec<Pages> {
        let first = |&page: &usize| self.pages[page].is_some() && self.begins(page);
        (0..self.top).filter(first).map(|page| self.extent(page)).collect()
    }

    pub fn mappings(&self) -> Vec<Mapping<Back>> {
        let mapping = |extent: Pages| {
            let page = self.pages[extent.start].clone().unwrap();
            Mapping {
                start: extent.start as u64 * PAGE,
                end: extent.end as u64 * PAGE,
                prot: page.prot,
                may: page.may,
                flags: page.flags,
                offset: page.offset,
                backing: page.back,
            }
        };
        self.extents().into_iter().map(mapping).collect()
    }

    fn count(&self) -> usize {
        self.extents().len()
    }

    pub fn mapped(&self) -> u64 {
        self.pages.iter().flatten().count() as u64
    }

    pub fn data(&self) -> u64 {
        self.pages.iter().flatten().filter(|page| page.is_data()).count() as u64
    }

    fn may_add(&self, pages: usize, data: bool, limits: &Limits) -> bool {
        let within = |count: u64, limit: u64| {
            (u128::from(count) + pages as u128) * u128::from(PAGE) <= u128::from(limit)
        };
        within(self.mapped(), limits.address_space) && (!data || within(self.data(), limits.data))
    }

    fn is_free(&self, range: Pages) -> bool {
        self.pages[range].iter().all(Option::is_none)
    }

    fn next_mapped(&self, from: usize) -> Option<usize> {
        (from..self.top).find(|&page| self.pages[page].is_some())
    }

    /// The first page above `end` that the next mapping keeps for itself, its guard included.
    fn ceiling(&self, end: usize) -> usize {
        let Some(next) = self.next_mapped(end) else { return self.top };
        if self.pages[next].as_ref().unwrap().is_stack() { next.saturating_sub(self.guard) } else { next }
    }

    fn remove(&mut self, range: Pages) {
        self.pages[range].fill(None);
    }

    fn put(&mut self, start: usize, pages: Vec<Page>) {
        let end = start + pages.len();
        for (at, page) in (start..).zip(pages) {
            self.pages[at] = Some(Page { seam: false, ..page });
        }
        if let Some(Some(above)) = self.pages.get_mut(end) {
            above.seam = false;
        }
    }

    /// Checks that unmapping the range does not cut a mapping in three while there are as many as may be.
    fn check_split(&self, range: &Pages) -> Result<(), Error> {
        let splits = self.pages[range.start].is_some() && {
            let extent = self.extent(range.start);
            extent.start < range.start && range.end < extent.end
        };
        check(!splits || self.count() < self.max, Error::NoMemory)
    }

    fn place(&self, len: usize) -> Result<usize, Error> {
        let mut end = self.base;
        while end >= self.min + len {
            if !self.is_free(end - len..end) {
                end -= 1;
            } else if self.ceiling(end) < end {
                end = self.ceiling(end);
            } else {
                return Ok(end - len);
            }
        }
        let mut start = self.min.max(self.top / 4);
        while start + len <= self.top {
            if !self.is_free(start..start + len) {
                start += 1;
            } else if self.ceiling(start + len) < start + len {
                start = self.extent(self.next_mapped(start).unwrap()).end;
            } else {
                return Ok(start);
            }
        }
        Err(Error::NoMemory)
    }

    fn fixed(&self, addr: u64, len: usize) -> Result<usize, Error> {
        let top = self.top as u64 * PAGE;
        check(u128::from(addr) + len as u128 * u128::from(PAGE) <= u128::from(top), Error::NoMemory)?;
        check(len <= self.top - self.min, Error::NoMemory)?;
        check(addr.is_multiple_of(PAGE), Error::Invalid)?;
        check(number(addr) >= self.min, Error::NotPermitted)?;
        Ok(number(addr))
    }
}
