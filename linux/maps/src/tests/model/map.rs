//! The model's mmap, munmap, mprotect and brk.

use super::*;
use crate::{Placement, Request};

impl Model {
    pub fn map(&mut self, request: &Request<Back>, limits: &Limits) -> Result<u64, Error> {
        check(request.offset.is_multiple_of(PAGE) && request.len != 0, Error::Invalid)?;
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
        check(addr.is_multiple_of(PAGE) && len != 0 && end <= top, Error::Invalid)?;
        let range = number(addr)..number(align(addr + len));
        self.check_split(&range)?;
        self.remove(range);
        Ok(())
    }

    pub fn protect(&mut self, addr: u64, len: u64, bits: u64, limits: &Limits) -> Result<(), Error> {
        let (down, up) = (bits & 0x0100_0000 != 0, bits & 0x0200_0000 != 0);
        check(!(down && up) && addr.is_multiple_of(PAGE), Error::Invalid)?;
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
}
