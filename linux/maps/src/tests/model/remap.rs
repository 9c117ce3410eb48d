//! The model's mremap.

use super::*;
use crate::Remap;

impl Model {
    pub fn remap(&mut self, request: &Remap, limits: &Limits) -> Result<u64, Error> {
        let &Remap { addr, flags, new_addr, .. } = request;
        let (old_len, new_len) = (align(request.old_len), align(request.new_len));
        check(flags <= 3 && flags != 2 && addr.is_multiple_of(PAGE) && new_len != 0, Error::Invalid)?;
        let mapped = |model: &Self| model.pages.get(number(addr)).is_some_and(Option::is_some);
        check(mapped(self), Error::Fault)?;
        // Done on a copy, so that a failure leaves everything as it was.
        let mut after = self.clone();
        if flags == 3 {
            let end = |start: u64, len: u64| u128::from(start) + u128::from(len);
            check(new_addr.is_multiple_of(PAGE), Error::Invalid)?;
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
}
