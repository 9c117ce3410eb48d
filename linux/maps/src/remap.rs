use core::ops::Range;

use linux_raw_sys::general::{MREMAP_FIXED, MREMAP_MAYMOVE};

use crate::{
    change::Change,
    error::Error,
    layout::Limits,
    mapping::{Backing, Flags, Mapping},
    maps::Maps,
    page::{PAGE, align_up, is_aligned},
};

const MAY_MOVE: u64 = MREMAP_MAYMOVE as u64;
const FIXED: u64 = MREMAP_FIXED as u64;

/// The arguments of mremap, as the program gave them.
#[derive(Clone, Copy, Debug)]
pub struct Remap {
    /// Where the pages are.
    pub addr: u64,
    /// Their length in bytes; 0 to map a shared mapping a second time.
    pub old_len: u64,
    /// The length to be, in bytes.
    pub new_len: u64,
    /// MREMAP_MAYMOVE, MREMAP_FIXED.
    pub flags: u64,
    /// Where to, with MREMAP_FIXED.
    pub new_addr: u64,
}

/// A move that is decided but for the caller's page tables. All ranges are multiples of a page.
struct Move {
    /// What is mapped here goes away first: the destination of MREMAP_FIXED, otherwise empty.
    cleared: Range<u64>,
    /// What of the old range is given up, because the new length is less.
    tail: Range<u64>,
    /// The pages that move. Empty if a shared mapping is mapped a second time.
    from: Range<u64>,
    /// Where the mapping is to be; not shorter than `from`.
    to: Range<u64>,
}

impl<B: Backing> Maps<B> {
    /// mremap. Returns the address. Before a move changes anything, `prepare` gets the range to which page table entries will move, so
    /// that the caller can allocate page tables there; if it fails, so does mremap, without any change. `changes` gets, in this order,
    /// [`Change::Unmapped`] for what the destination replaces, [`Change::Unmapped`] for what a shorter length
    /// gives up, and [`Change::Moved`].
    ///
    /// # Errors
    /// As mremap(2): [`Error::Invalid`] for unknown or impossible flags (MREMAP_DONTUNMAP is not supported), unaligned addresses, a
    /// new length of 0, an old length of 0 for a private mapping, a destination that overlaps the old range or exceeds `top`;
    /// [`Error::Fault`] if the old range is not within one mapping, or the mapping is [`Flags::DONT_EXPAND`] and would grow;
    /// [`Error::NoMemory`] without room to grow or move, beyond a limit, or with too many mappings; [`Error::NotPermitted`] for a
    /// destination below `min`. An error of `prepare` is returned as it is.
    pub fn remap(
        &mut self,
        request: Remap,
        limits: &Limits,
        prepare: impl FnOnce(Range<u64>) -> Result<(), Error>,
        mut changes: impl FnMut(Change<'_, B>),
    ) -> Result<u64, Error> {
        let Remap { addr, flags, new_addr, .. } = request;
        let (old_len, new_len) = (align_up(request.old_len), align_up(request.new_len));
        if flags & !(MAY_MOVE | FIXED) != 0 || flags == FIXED || !is_aligned(addr) || new_len == 0 {
            return Err(Error::Invalid);
        }
        let mapping = self.find(addr).ok_or(Error::Fault)?;
        let plan = if flags & FIXED != 0 {
            self.plan_fixed(mapping, request.addr, old_len, new_addr, new_len, limits)?
        } else if old_len >= new_len {
            if old_len > new_len {
                let kept_end = addr.checked_add(new_len).ok_or(Error::Invalid)?;
                self.unmap(kept_end, old_len - new_len, changes)?;
            }
            return Ok(addr);
        } else {
            self.check_resize(mapping, addr, old_len, new_len)?;
            if !self.store.usage().may_add((new_len - old_len) / PAGE, mapping.is_data(), limits) {
                return Err(Error::NoMemory);
            }
            if old_len == mapping.end - addr && self.is_expandable(mapping, new_len - old_len) {
                self.grow_in_place(addr, new_len - old_len)?;
                return Ok(addr);
            }
            if flags & MAY_MOVE == 0 {
                return Err(Error::NoMemory);
            }
            let to = self.place(0, new_len)?;
            if self.len() >= self.layout.max_mappings.saturating_sub(3) {
                return Err(Error::NoMemory);
            }
            Move { cleared: to..to, tail: addr..addr, from: addr..addr + old_len, to: to..to + new_len }
        };
        self.carry_out(addr, plan, prepare, &mut changes)
    }

    /// Decides a move to a fixed address, on the state before its destination is cleared.
    fn plan_fixed(
        &self,
        mapping: &Mapping<B>,
        addr: u64,
        old_len: u64,
        to: u64,
        new_len: u64,
        limits: &Limits,
    ) -> Result<Move, Error> {
        if !is_aligned(to) || !self.layout.fits(to, new_len) {
            return Err(Error::Invalid);
        }
        // The old length is the program's and may wrap. If it does, and is to shrink, giving up the tail fails as in munmap; if it is
        // not to shrink, it is no longer than the address space.
        let old_end = addr.checked_add(old_len).ok_or(Error::Invalid)?;
        if old_end > to && to + new_len > addr {
            return Err(Error::Invalid);
        }
        if self.len().saturating_add(2) >= self.layout.max_mappings.saturating_sub(3) {
            return Err(Error::NoMemory);
        }
        if old_len > new_len && !self.layout.fits(addr, old_len) {
            return Err(Error::Invalid);
        }
        // Linux has unmapped the destination by now. Only an old range without length can lie in it.
        if to == addr {
            return Err(Error::Fault);
        }
        let kept = old_len.min(new_len);
        self.check_resize(mapping, addr, kept, new_len)?;
        let plan = Move {
            cleared: to..to + new_len,
            tail: addr + kept..old_end,
            from: addr..addr + kept,
            to: to..to + new_len,
        };
        let mut usage = self.store.usage();
        usage.remove(self.store.usage_in(&plan.cleared));
        if new_len > kept && !usage.may_add((new_len - kept) / PAGE, mapping.is_data(), limits) {
            return Err(Error::NoMemory);
        }
        self.check_fixed(to, new_len)?;
        Ok(plan)
    }

    /// Whether a part of the mapping may get another length (Linux: vma_to_resize, but for the limits).
    fn check_resize(&self, mapping: &Mapping<B>, addr: u64, old_len: u64, new_len: u64) -> Result<(), Error> {
        if old_len == 0 && !mapping.flags.contains(Flags::SHARED) {
            return Err(Error::Invalid);
        }
        if old_len > mapping.end - addr {
            return Err(Error::Fault);
        }
        if new_len == old_len {
            return Ok(());
        }
        if mapping.offset_of(addr).checked_add(new_len).is_none() {
            return Err(Error::Invalid);
        }
        if mapping.flags.contains(Flags::DONT_EXPAND) { Err(Error::Fault) } else { Ok(()) }
    }

    /// Whether so many bytes above the mapping are free. The guard of a stack above does not count, as on Linux.
    fn is_expandable(&self, mapping: &Mapping<B>, more: u64) -> bool {
        self.layout.fits(mapping.end, more)
            && self.store.overlapping(&(mapping.end..mapping.end + more)).is_empty()
    }

    /// Adds free pages above the mapping that contains the address.
    fn grow_in_place(&mut self, addr: u64, more: u64) -> Result<(), Error> {
        self.store.reserve(1)?;
        let mapping = self.store.find(addr).ok_or(Error::Fault)?;
        let start = mapping.end;
        let added = Mapping { start, end: start + more, offset: mapping.offset_of(start), ..mapping.clone() };
        self.store.insert(added);
        Ok(())
    }

    fn carry_out(
        &mut self,
        addr: u64,
        plan: Move,
        prepare: impl FnOnce(Range<u64>) -> Result<(), Error>,
        changes: &mut impl FnMut(Change<'_, B>),
    ) -> Result<u64, Error> {
        // Clearing the destination, the tail and the source can cut one mapping each; the new mapping is the fourth.
        self.store.reserve(4)?;
        let len = plan.from.end - plan.from.start;
        if len > 0 {
            prepare(plan.to.start..plan.to.start + len)?;
        }
        let mapping = self.store.find(addr).ok_or(Error::Fault)?;
        let moved = Mapping {
            start: plan.to.start,
            end: plan.to.end,
            offset: mapping.offset_of(addr),
            ..mapping.clone()
        };
        self.store.carve(&plan.cleared, |part| changes(Change::Unmapped(part)));
        self.store.carve(&plan.tail, |part| changes(Change::Unmapped(part)));
        self.store.carve(&plan.from, |_| ());
        self.store.insert(moved);
        if len > 0 {
            changes(Change::Moved { from: addr, to: plan.to.start, len });
        }
        Ok(plan.to.start)
    }
}
