use core::ops::Range;

use linux_raw_sys::general::{PROT_GROWSDOWN, PROT_GROWSUP, PROT_SEM};

use crate::{
    change::Change,
    error::Error,
    layout::Limits,
    mapping::{Backing, Flags, Mapping, is_data},
    maps::Maps,
    page::{align_up, is_aligned},
    prot::Prot,
};

const GROWS_DOWN: u64 = PROT_GROWSDOWN as u64;
const GROWS_UP: u64 = PROT_GROWSUP as u64;
const VALID: u64 = Prot::all().bits() as u64 | PROT_SEM as u64;

impl<B: Backing> Maps<B> {
    /// mprotect. `bits` is the program's `prot` argument, with PROT_GROWSDOWN for "from the start of the stack that contains the
    /// address on". `changes` gets [`Change::Protected`] for each part whose permission changes, in the order of the addresses.
    ///
    /// # Errors
    /// Before any change: [`Error::Invalid`] for an unaligned address, unknown bits, PROT_GROWSDOWN where no stack is, PROT_GROWSUP;
    /// [`Error::NoMemory`] for a range that wraps or whose first page is not mapped.
    ///
    /// After the pages below have changed: [`Error::NoMemory`] at a hole, at RLIMIT_DATA, at too many mappings, or if the kernel is out of
    /// memory; [`Error::Access`] at a mapping whose `may` does not permit it.
    pub fn protect(
        &mut self,
        addr: u64,
        len: u64,
        bits: u64,
        limits: &Limits,
        mut changes: impl FnMut(Change<'_, B>),
    ) -> Result<(), Error> {
        let grows = bits & (GROWS_DOWN | GROWS_UP);
        let bits = bits & !grows;
        if grows == GROWS_DOWN | GROWS_UP || !is_aligned(addr) {
            return Err(Error::Invalid);
        }
        if len == 0 {
            return Ok(());
        }
        let end = addr.checked_add(align_up(len)).filter(|&end| end > addr).ok_or(Error::NoMemory)?;
        if bits & !VALID != 0 {
            return Err(Error::Invalid);
        }
        let prot = Prot::from_mmap(bits);
        let mut at = self.start_of_protect(addr, end, grows)?;
        while at < end {
            let index = self.store.first_above(at);
            let part_end = match self.store.list().get(index) {
                Some(mapping) if mapping.start <= at => mapping.end.min(end),
                _ => return Err(Error::NoMemory),
            };
            self.protect_part(index, &(at..part_end), prot, limits, &mut changes)?;
            at = part_end;
        }
        Ok(())
    }

    /// Where the change begins: at the address, or at the start of a stack.
    fn start_of_protect(&self, addr: u64, end: u64, grows: u64) -> Result<u64, Error> {
        let first = self.store.overlapping(&(addr..end)).first().ok_or(Error::NoMemory)?;
        match grows {
            GROWS_DOWN if first.flags.contains(Flags::GROWS_DOWN) => Ok(first.start),
            GROWS_DOWN => Err(Error::Invalid),
            _ if first.start > addr => Err(Error::NoMemory),
            GROWS_UP => Err(Error::Invalid),
            _ => Ok(addr),
        }
    }

    /// Changes a range that lies within the mapping at `index`, or nothing.
    fn protect_part(
        &mut self,
        index: usize,
        range: &Range<u64>,
        prot: Prot,
        limits: &Limits,
        changes: &mut impl FnMut(Change<'_, B>),
    ) -> Result<(), Error> {
        let mapping = &self.store.list()[index];
        if !mapping.may.contains(prot) {
            return Err(Error::Access);
        }
        if mapping.prot == prot {
            return Ok(());
        }
        let part = Mapping { prot, ..mapping.clipped(range) };
        // Linux asks as if the pages came on top of those that are there, and refuses only what the old permission would not have
        // been refused for.
        let may_add = |data| self.store.usage().may_add(part.pages(), data, limits);
        if prot.contains(Prot::WRITE) && !may_add(is_data(prot, part.flags)) && may_add(mapping.is_data()) {
            return Err(Error::NoMemory);
        }
        let change = self.store.change_of_count(index, range, prot);
        if change > 0 && self.len().saturating_add_signed(change) > self.layout.max_mappings {
            return Err(Error::NoMemory);
        }
        self.store.reserve(2)?;
        self.store.carve(range, |_| ());
        self.store.insert(part);
        changes(Change::Protected { range: range.clone(), prot });
        Ok(())
    }
}
