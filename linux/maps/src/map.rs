use core::ops::Range;

use crate::{
    change::Change,
    error::Error,
    layout::Limits,
    mapping::{Backing, Flags, Mapping, is_data},
    maps::Maps,
    page::{PAGE, align_down, align_up, is_aligned},
    prot::Prot,
};

/// How far a new mapping must lie at the address given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// There if it is free, otherwise elsewhere.
    Hint,
    /// MAP_FIXED: there; what is mapped there goes away.
    Fixed,
    /// MAP_FIXED_NOREPLACE: there, or not at all.
    FixedNoReplace,
}

/// The arguments of mmap.
#[derive(Clone, Debug)]
pub struct Request<B> {
    /// The address asked for; 0 with [`Placement::Hint`] for any.
    pub hint: u64,
    /// The length in bytes, as the program gave it.
    pub len: u64,
    /// What the address means.
    pub placement: Placement,
    /// The permission. For mmap: [`Prot::from_mmap`].
    pub prot: Prot,
    /// What `prot` may ever be. All for anonymous memory; for a file no WRITE if the mapping is shared and the file is not open
    /// for writing, nothing if it is not open for reading, no EXEC if its mount is noexec.
    pub may: Prot,
    /// The kind.
    pub flags: Flags,
    /// What lies behind.
    pub backing: B,
    /// Where in the backing the mapping begins, in bytes. Ignored, but for its alignment, for anonymous memory.
    pub offset: u64,
}

/// The largest size of a file, as of all of Linux's file systems on 64-bit machines.
const MAX_FILE: u64 = i64::MAX as u64;

impl<B: Backing> Maps<B> {
    /// mmap. Returns the address. `changes` gets [`Change::Unmapped`] for each part that [`Placement::Fixed`] replaces.
    ///
    /// # Errors
    /// As mmap(2): [`Error::Invalid`] for a length of 0, an unaligned offset or fixed address, or a stack
    /// ([`Flags::GROWS_DOWN`]) that is shared or not anonymous; [`Error::NoMemory`] without room, beyond `top`, beyond a limit or with
    /// too many mappings; [`Error::Exists`]; [`Error::Access`] if `prot` is not within `may`; [`Error::NotPermitted`] for a fixed
    /// address below `min`; [`Error::Overflow`] if offset and length exceed the size that a file may have.
    pub fn map(
        &mut self,
        request: Request<B>,
        limits: &Limits,
        mut changes: impl FnMut(Change<'_, B>),
    ) -> Result<u64, Error> {
        let Request { prot, may, flags, backing, .. } = request;
        if !is_aligned(request.offset) || request.len == 0 {
            return Err(Error::Invalid);
        }
        let len = align_up(request.len);
        if len == 0 || self.len() > self.layout.max_mappings {
            return Err(Error::NoMemory);
        }
        let start = match request.placement {
            Placement::Hint => self.place(self.round_hint(request.hint), len)?,
            Placement::Fixed | Placement::FixedNoReplace => self.check_fixed(request.hint, len)?,
        };
        let range = start..start + len;
        if request.placement == Placement::FixedNoReplace && !self.store.overlapping(&range).is_empty() {
            return Err(Error::Exists);
        }
        let offset = if backing.is_anonymous() { 0 } else { request.offset };
        if offset.checked_add(len).is_none_or(|end| end > MAX_FILE) {
            return Err(Error::Overflow);
        }
        if !may.contains(prot) {
            return Err(Error::Access);
        }
        if flags.contains(Flags::GROWS_DOWN) && (flags.contains(Flags::SHARED) || !backing.is_anonymous()) {
            return Err(Error::Invalid);
        }
        // Linux takes all replaced pages off the new ones, whether RLIMIT_DATA counts the replaced ones or not.
        let more = len / PAGE - self.store.usage_in(&range).pages;
        if !self.store.usage().may_add(more, is_data(prot, flags), limits) {
            return Err(Error::NoMemory);
        }
        self.check_split(&range)?;
        self.store.reserve(2)?;
        self.store.carve(&range, |part| changes(Change::Unmapped(part)));
        self.store.insert(Mapping { start, end: range.end, prot, may, flags, offset, backing });
        Ok(start)
    }

    /// munmap. `changes` gets [`Change::Unmapped`] for each part, in the order of the addresses; none if nothing is mapped there.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unaligned address, a length of 0 or a range beyond `top`; [`Error::NoMemory`] if the range is the middle
    /// of a mapping and there are too many mappings.
    pub fn unmap(
        &mut self,
        addr: u64,
        len: u64,
        mut changes: impl FnMut(Change<'_, B>),
    ) -> Result<(), Error> {
        if !is_aligned(addr) || len == 0 || !self.layout.fits(addr, len) {
            return Err(Error::Invalid);
        }
        let range = addr..addr + align_up(len);
        self.check_split(&range)?;
        self.store.reserve(1)?;
        self.store.carve(&range, |part| changes(Change::Unmapped(part)));
        Ok(())
    }

    /// Fails if unmapping the range makes one mapping too many.
    pub(crate) fn check_split(&self, range: &Range<u64>) -> Result<(), Error> {
        if self.store.splits(range) && self.len() >= self.layout.max_mappings {
            return Err(Error::NoMemory);
        }
        Ok(())
    }

    /// Checks a fixed address. `len` is a multiple of a page.
    pub(crate) fn check_fixed(&self, addr: u64, len: u64) -> Result<u64, Error> {
        if len > self.layout.top - self.layout.min || !self.layout.fits(addr, len) {
            Err(Error::NoMemory)
        } else if !is_aligned(addr) {
            Err(Error::Invalid)
        } else if addr < self.layout.min {
            Err(Error::NotPermitted)
        } else {
            Ok(addr)
        }
    }

    /// Linux's round_hint_to_min: a hint within page 0 is no hint, a low one becomes the lowest address.
    fn round_hint(&self, hint: u64) -> u64 {
        let hint = align_down(hint);
        if hint == 0 { 0 } else { hint.max(self.layout.min) }
    }
}
