use crate::{error::Error, maps::Maps};

impl<B> Maps<B> {
    /// A free range for a mapping of this length, a multiple of a page: at `hint`, a multiple of a page, if that is free (0: no
    /// hint), otherwise as high as possible below `mmap_base`, otherwise as low as possible from a quarter of the address space on
    /// (Linux: arch_get_unmapped_area_topdown).
    pub(crate) fn place(&self, hint: u64, len: u64) -> Result<u64, Error> {
        if len > self.layout.top - self.layout.min {
            return Err(Error::NoMemory);
        }
        if hint != 0 && self.is_free(hint, len) {
            return Ok(hint);
        }
        self.place_top_down(len).or_else(|| self.place_bottom_up(len)).ok_or(Error::NoMemory)
    }

    fn is_free(&self, start: u64, len: u64) -> bool {
        let next = self.store.list().get(self.store.first_above(start));
        self.layout.fits(start, len)
            && start >= self.layout.min
            && next.is_none_or(|next| start + len <= next.start_with_guard(self.layout.guard))
    }

    /// The highest free range below `mmap_base`.
    ///
    /// Only the guard of the next mapping above a range counts: a mapping between a range and a stack takes the stack's room
    /// anyway. But once the guard of a stack has refused a range, nothing is placed above the guard's lower end, not even below
    /// another mapping. Linux has both properties.
    fn place_top_down(&self, len: u64) -> Option<u64> {
        let list = self.store.list();
        let mut limit = self.layout.mmap_base;
        for above in (0..=list.len()).rev() {
            let next = list.get(above);
            let floor = above.checked_sub(1).map_or(self.layout.min, |below| list[below].end);
            let free = |limit: u64| {
                let ceiling = next.map_or(limit, |next| limit.min(next.start));
                ceiling.checked_sub(len).filter(|&start| start >= floor)
            };
            let Some(start) = free(limit) else { continue };
            let Some(next) = next else { return Some(start) };
            let guard = next.start_with_guard(self.layout.guard);
            if start + len <= guard {
                return Some(start);
            }
            limit = guard;
            if let Some(start) = free(limit) {
                return Some(start);
            }
        }
        None
    }

    /// The lowest free range from [`Layout::bottom_up_base`](crate::Layout) on.
    fn place_bottom_up(&self, len: u64) -> Option<u64> {
        let base = self.layout.bottom_up_base();
        let list = self.store.list();
        let mut start = base;
        for next in &list[self.store.first_above(base)..] {
            if start.checked_add(len).is_some_and(|end| end <= next.start_with_guard(self.layout.guard)) {
                return Some(start);
            }
            start = next.end.max(base);
        }
        self.layout.fits(start, len).then_some(start)
    }
}
