//! What the model knows of page faults and madvise.

use super::*;
use crate::Access;

impl Model {
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
        if !addr.is_multiple_of(PAGE) || (len != 0 && align(len) == 0) || wide_end >= 1 << 64 {
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
