//! The model: an array with one entry for each page of a small address space. Slow, and without any notion of a mapping but the
//! one derived from neighbouring pages.

use std::ops::Range;

use super::Back;
use crate::{Access, Error, Flags, Layout, Limits, Mapping, PAGE, Placement, Prot, Remap, Request};

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
        check(addr % PAGE == 0, Error::Invalid)?;
        check(number(addr) >= self.min, Error::NotPermitted)?;
        Ok(number(addr))
    }

    pub fn map(&mut self, request: &Request<Back>, limits: &Limits) -> Result<u64, Error> {
        check(request.offset % PAGE == 0 && request.len != 0, Error::Invalid)?;
        let len = number(align(request.len));
        check(len != 0 && self.count() <= self.max, Error::NoMemory)?;
        let start = if request.placement == Placement::Hint {
            check(len <= self.top - self.min, Error::NoMemory)?;
            let hint = number(request.hint);
            let hint = if hint == 0 { 0 } else { hint.max(self.min) };
            let fits = hint != 0 && hint + len <= self.top;
            if fits && self.is_free(hint..hint + len) && self.ceiling(hint + len) >= hint + len {
                hint
            } else {
                self.place(len)?
            }
        } else {
            self.fixed(request.hint, len)?
        };
        let range = start..start + len;
        let no_replace = request.placement == Placement::FixedNoReplace;
        check(!no_replace || self.is_free(range.clone()), Error::Exists)?;
        let anonymous = request.backing == Back::Anonymous;
        let offset = if anonymous { 0 } else { request.offset };
        let size = u128::from(offset) + len as u128 * u128::from(PAGE);
        check(size < 1 << 63, Error::Overflow)?;
        check((request.prot - request.may).is_empty(), Error::Access)?;
        let can_grow = anonymous && !request.flags.contains(Flags::SHARED);
        check(can_grow || !request.flags.contains(Flags::GROWS_DOWN), Error::Invalid)?;
        let page = |index: usize| Page {
            prot: request.prot,
            may: request.may,
            flags: request.flags,
            back: request.backing,
            offset: if anonymous { 0 } else { offset + index as u64 * PAGE },
            seam: false,
            stamp: None,
        };
        let replaced = self.pages[range.clone()].iter().flatten().count();
        check(self.may_add(len - replaced, page(0).is_data(), limits), Error::NoMemory)?;
        self.check_split(&range)?;
        self.put(start, (0..len).map(page).collect());
        Ok(start as u64 * PAGE)
    }

    pub fn unmap(&mut self, addr: u64, len: u64) -> Result<(), Error> {
        let end = u128::from(addr) + u128::from(len);
        let top = self.top as u128 * u128::from(PAGE);
        check(addr % PAGE == 0 && len != 0 && end <= top, Error::Invalid)?;
        let range = number(addr)..number(align(addr + len));
        self.check_split(&range)?;
        self.remove(range);
        Ok(())
    }

    pub fn protect(&mut self, addr: u64, len: u64, bits: u64, limits: &Limits) -> Result<(), Error> {
        let (down, up) = (bits & 0x0100_0000 != 0, bits & 0x0200_0000 != 0);
        check(!(down && up) && addr % PAGE == 0, Error::Invalid)?;
        if len == 0 {
            return Ok(());
        }
        let wide_end = u128::from(addr) + u128::from(align(len));
        check(align(len) != 0 && wide_end < 1 << 64, Error::NoMemory)?;
        check(bits & !0x0300_000f == 0, Error::Invalid)?;
        let (mut at, end) = (number(addr), number(wide_end as u64));
        let first = self.next_mapped(at).filter(|&first| first < end).ok_or(Error::NoMemory)?;
        if down {
            check(self.pages[first].as_ref().unwrap().is_stack(), Error::Invalid)?;
            at = self.extent(first).start;
        } else {
            check(first == at, Error::NoMemory)?;
            check(!up, Error::Invalid)?;
        }
        let prot = Prot::from_bits_truncate(bits as u32);
        while at < end {
            let page = self.pages.get(at).cloned().flatten().ok_or(Error::NoMemory)?;
            let part_end = self.extent(at).end.min(end);
            check((prot - page.may).is_empty(), Error::Access)?;
            if page.prot != prot {
                let data = Page { prot, ..page.clone() }.is_data();
                let allowed = |data| !prot.contains(Prot::WRITE) || self.may_add(part_end - at, data, limits);
                check(allowed(data) || !allowed(page.is_data()), Error::NoMemory)?;
                let mut after = self.clone();
                let changed = |page: &Option<Page>| Page { prot, ..page.clone().unwrap() };
                after.put(at, self.pages[at..part_end].iter().map(changed).collect());
                check(after.count() <= self.count().max(self.max), Error::NoMemory)?;
                *self = after;
            }
            at = part_end;
        }
        Ok(())
    }

    pub fn remap(&mut self, request: &Remap, limits: &Limits) -> Result<u64, Error> {
        let &Remap { addr, flags, new_addr, .. } = request;
        let (old_len, new_len) = (align(request.old_len), align(request.new_len));
        check(flags <= 3 && flags != 2 && addr % PAGE == 0 && new_len != 0, Error::Invalid)?;
        let mapped = |model: &Self| model.pages.get(number(addr)).is_some_and(Option::is_some);
        check(mapped(self), Error::Fault)?;
        // Done on a copy, so that a failure leaves everything as it was.
        let mut after = self.clone();
        if flags == 3 {
            let end = |start: u64, len: u64| u128::from(start) + u128::from(len);
            check(new_addr % PAGE == 0, Error::Invalid)?;
            check(end(new_addr, new_len) <= self.top as u128 * u128::from(PAGE), Error::Invalid)?;
            check(end(addr, old_len) < 1 << 64, Error::Invalid)?;
            let apart =
                end(addr, old_len) <= u128::from(new_addr) || end(new_addr, new_len) <= u128::from(addr);
            check(apart, Error::Invalid)?;
            check(self.count() + 5 < self.max, Error::NoMemory)?;
            after.unmap(new_addr, new_len)?;
            if old_len > new_len {
                after.unmap(addr + new_len, old_len - new_len)?;
            }
            check(mapped(&after), Error::Fault)?;
            let kept = old_len.min(new_len);
            after.check_resize(addr, kept, new_len, limits)?;
            let to = self.fixed(new_addr, number(new_len))?;
            after.shift(number(addr), number(kept), to, number(new_len));
            *self = after;
            return Ok(new_addr);
        }
        if old_len == new_len {
            return Ok(addr);
        }
        if old_len > new_len {
            let from = addr.checked_add(new_len).ok_or(Error::Invalid)?;
            self.unmap(from, old_len - new_len)?;
            return Ok(addr);
        }
        self.check_resize(addr, old_len, new_len, limits)?;
        let (at, old, new) = (number(addr), number(old_len), number(new_len));
        if self.extent(at).end == at + old && at + new <= self.top && self.is_free(at + old..at + new) {
            after.shift(at, old, at, new);
            *self = after;
            return Ok(addr);
        }
        check(flags == 1 && new <= self.top - self.min, Error::NoMemory)?;
        let to = self.place(new)?;
        check(self.count() + 3 < self.max, Error::NoMemory)?;
        after.shift(at, old, to, new);
        *self = after;
        Ok(to as u64 * PAGE)
    }

    fn check_resize(&self, addr: u64, old_len: u64, new_len: u64, limits: &Limits) -> Result<(), Error> {
        let at = number(addr);
        let page = self.pages[at].as_ref().unwrap();
        check(old_len != 0 || page.flags.contains(Flags::SHARED), Error::Invalid)?;
        check(number(old_len) <= self.extent(at).end - at, Error::Fault)?;
        if old_len == new_len {
            return Ok(());
        }
        check(page.offset.checked_add(new_len).is_some(), Error::Invalid)?;
        let more = number(new_len) - number(old_len);
        check(self.may_add(more, page.is_data(), limits), Error::NoMemory)
    }

    /// Moves `old` pages, and adds alike ones behind up to `new` pages.
    fn shift(&mut self, from: usize, old: usize, to: usize, new: usize) {
        let first = self.pages[from].clone().unwrap();
        let page = |index: usize| {
            let stamp = if index < old { self.pages[from + index].as_ref().unwrap().stamp } else { None };
            let distance = if first.back == Back::Anonymous { 0 } else { index as u64 * PAGE };
            Page { offset: first.offset + distance, stamp, ..first.clone() }
        };
        let pages = (0..new).map(page).collect();
        let seam = from == to && first.seam;
        self.remove(from..from + old);
        self.put(to, pages);
        self.pages[to].as_mut().unwrap().seam = seam;
    }

    pub fn set_brk(&mut self, wanted: u64, limits: &Limits) -> u64 {
        if self.try_brk(wanted, limits).is_ok() {
            self.brk = wanted;
        }
        self.brk
    }

    fn try_brk(&mut self, wanted: u64, limits: &Limits) -> Result<(), Error> {
        check(wanted >= self.brk_start, Error::Invalid)?;
        let size = u128::from(wanted - self.brk_start) + u128::from(self.brk_data);
        check(size <= u128::from(limits.data), Error::NoMemory)?;
        let (old, new) = (align(self.brk), align(wanted));
        if wanted <= self.brk && new < old {
            check(!self.is_free(number(new)..number(old)), Error::Invalid)?;
            return self.unmap(new, old - new);
        }
        if old == new {
            return Ok(());
        }
        check(new > old, Error::NoMemory)?;
        let len = number(new) - number(old);
        let start = self.fixed(old, len)?;
        check(self.is_free(start..start + len), Error::NoMemory)?;
        let next = self.next_mapped(start);
        check(next.is_none() || self.ceiling(start) > start + len, Error::NoMemory)?;
        check(self.may_add(len, true, limits) && self.count() <= self.max, Error::NoMemory)?;
        let (prot, may) = (Prot::READ | Prot::WRITE, Prot::all());
        let flags = Flags::empty();
        let page = Page { prot, may, flags, back: Back::Anonymous, offset: 0, seam: false, stamp: None };
        self.put(start, vec![page; len]);
        Ok(())
    }

    pub fn grow_stack(&mut self, addr: u64, limits: &Limits) -> Result<(), Error> {
        let at = number(addr);
        let next = self.next_mapped(at).ok_or(Error::Fault)?;
        if next == at {
            return Ok(());
        }
        let stack = self.pages[next].clone().unwrap();
        check(stack.is_stack(), Error::Fault)?;
        check(at >= self.min, Error::NotPermitted)?;
        let blocks = |page: &Option<Page>| page.as_ref().is_some_and(|p| !p.is_stack() && !p.prot.is_empty());
        if let Some(below) = (0..at).rev().find(|&below| self.pages[below].is_some()) {
            check(!blocks(&self.pages[below]) || at - below > self.guard, Error::NoMemory)?;
        }
        let size = (self.extent(next).end - at) as u64 * PAGE;
        check(size <= limits.stack && self.may_add(next - at, false, limits), Error::NoMemory)?;
        self.put(at, vec![Page { stamp: None, ..stack }; next - at]);
        self.pages[at].as_mut().unwrap().seam = true;
        Ok(())
    }

    /// The pages that madvise reaches.
    pub fn advise(&self, addr: u64, len: u64) -> (Vec<usize>, Result<(), Error>) {
        let wide_end = u128::from(addr) + u128::from(align(len));
        if addr % PAGE != 0 || (len != 0 && align(len) == 0) || wide_end >= 1 << 64 {
            return (Vec::new(), Err(Error::Invalid));
        }
        let range = number(addr)..number(wide_end as u64);
        let mapped: Vec<_> = (range.start.min(self.top)..range.end.min(self.top))
            .filter(|&at| self.pages[at].is_some())
            .collect();
        let all = mapped.len() == range.len();
        (mapped, check(all, Error::NoMemory))
    }

    /// How many bytes from the address on permit the access, counted one page at a time.
    pub fn accessible(&self, addr: u64, len: u64, access: Access) -> u64 {
        let allows = |at: u64| {
            let page = self.pages.get(number(at)).and_then(Option::as_ref);
            page.is_some_and(|page| match access {
                Access::Read => page.prot != Prot::empty(),
                Access::Write => page.prot.contains(Prot::WRITE),
                Access::Execute => page.prot.contains(Prot::EXEC),
            })
        };
        let mut done = 0;
        while done < len && addr.checked_add(done).is_some_and(allows) {
            done += (PAGE - (addr + done) % PAGE).min(len - done);
        }
        done
    }
}
