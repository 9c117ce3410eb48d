//! Translation tables of a user address space: four levels of tables of 512 entries, 48 bits (DDI 0487 D8.2), pages of 4 KiB.
//!
//! The crate that makes the kernel's tables cannot report that there is no memory for a table, so user tables are made here. An entry
//! of the last level has one reference to its page. Tables change under the lock of their address space; the hardware reads them at
//! any moment, so each change is one store. Who changes or removes an entry owes a TLBI.

use crate::mm::layout::PAGE;
use crate::mm::pages::Page;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use maps::Prot;

/// There is no memory for a table or a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Bits of an entry (DDI 0487 D8.3).
const VALID: u64 = 1 << 0;
const TABLE_OR_PAGE: u64 = 1 << 1;
/// EL0 may access the page.
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const INNER_SHAREABLE: u64 = 3 << 8;
const ACCESSED: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const ADDRESS: u64 = 0xffff_ffff_f000;

const ENTRIES: usize = 512;
/// How many levels there are; the last one has pages.
const LEVELS: u32 = 4;

/// Log2 of the bytes that an entry of a level covers; level 0 is the root.
const fn shift(level: u32) -> u32 {
    12 + 9 * (LEVELS - 1 - level)
}

/// The bits of an entry for a page with these permissions. EL1 never executes it. A page that cannot be accessed keeps its
/// entry without [`USER`], so that EL0 faults and the page stays.
fn attributes(prot: Prot, writable: bool) -> u64 {
    let mut bits = VALID | TABLE_OR_PAGE | INNER_SHAREABLE | ACCESSED | NOT_GLOBAL | PXN;
    if !prot.is_empty() {
        bits |= USER;
    }
    if !writable || !prot.contains(Prot::WRITE) {
        bits |= READ_ONLY;
    }
    if !prot.contains(Prot::EXEC) {
        bits |= UXN;
    }
    bits
}

/// An entry of the last level that has a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry(u64);

impl Entry {
    /// The page's physical address.
    pub fn physical(self) -> usize {
        (self.0 & ADDRESS) as usize
    }

    /// The page's address in the linear map.
    pub fn address(self) -> usize {
        crate::mm::linear(self.physical())
    }

    /// Whether EL0 may write the page.
    pub fn is_writable(self) -> bool {
        self.0 & (READ_ONLY | USER) == USER
    }

    /// Whether EL0 may execute the page.
    pub fn is_executable(self) -> bool {
        self.0 & (UXN | USER) == USER
    }

    /// One more reference to the page. The caller has the lock of the address space, so the entry keeps its own.
    pub fn page(self) -> Page {
        // SAFETY: every entry of the last level has a page's reference, which only `clear` and `put` take out, under the lock.
        unsafe { Page::of_entry(self.physical()) }
    }
}

/// Pages that were taken out of the tables, and are kept until no CPU can reach them any more. So few at once that the list needs no
/// memory of the heap, of which there may be none.
#[derive(Default)]
pub struct Gone {
    pages: [Option<Page>; Self::ROOM],
    length: usize,
}

impl Gone {
    const ROOM: usize = 32;

    /// Whether no page was taken out.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn is_full(&self) -> bool {
        self.length == Self::ROOM
    }

    fn push(&mut self, page: Page) {
        self.pages[self.length] = Some(page);
        self.length += 1;
    }
}

/// The tables of one address space.
pub struct Tables {
    root: Page,
    /// Pages of zeros for tables, for operations that may not fail any more.
    spare: Vec<Page>,
}

impl Tables {
    /// Empty tables.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn new() -> Result<Self, NoMemory> {
        Page::zeroed().map(|root| Self { root, spare: Vec::new() }).ok_or(NoMemory)
    }

    /// Sets pages aside for all tables that a range of so many bytes can need, wherever it lies.
    ///
    /// # Errors
    /// [`NoMemory`].
    pub fn reserve(&mut self, length: u64) -> Result<(), NoMemory> {
        let tables: u64 = (0..LEVELS - 1).map(|level| (length >> shift(level)) + 2).sum();
        self.spare.try_reserve(tables as usize).map_err(|_| NoMemory)?;
        while self.spare.len() < tables as usize {
            self.spare.push(Page::zeroed().ok_or(NoMemory)?);
        }
        Ok(())
    }

    /// Gives back what [`Tables::reserve`] has set aside.
    pub fn release(&mut self) {
        self.spare = Vec::new();
    }

    /// The physical address of the root table, for TTBR0_EL1.
    pub fn root(&self) -> usize {
        self.root.physical()
    }

    fn at(table: usize, index: usize) -> &'static AtomicU64 {
        debug_assert!(index < ENTRIES);
        // SAFETY: `table` is the physical address of a table, which the linear map has; all accesses to its entries are atomic. The
        // callers use the reference only while the table exists.
        unsafe { &*(crate::mm::linear(table) as *const AtomicU64).add(index) }
    }

    /// The entry of the last level for an address; None if a table on the way is missing.
    fn find(&self, address: u64) -> Option<&AtomicU64> {
        let mut table = self.root.physical();
        for level in 0..LEVELS - 1 {
            let value = Self::at(table, index(address, level)).load(Relaxed);
            if value & VALID == 0 {
                return None;
            }
            table = (value & ADDRESS) as usize;
        }
        Some(Self::at(table, index(address, LEVELS - 1)))
    }

    /// The entry of the last level for an address. Tables on the way that are missing are made.
    fn place(&mut self, address: u64) -> Result<&AtomicU64, NoMemory> {
        let mut table = self.root.physical();
        for level in 0..LEVELS - 1 {
            let entry = Self::at(table, index(address, level));
            let mut value = entry.load(Relaxed);
            if value & VALID == 0 {
                let next = self.spare.pop().or_else(Page::zeroed).ok_or(NoMemory)?;
                value = next.into_physical() as u64 | VALID | TABLE_OR_PAGE;
                publish(entry, value);
            }
            table = (value & ADDRESS) as usize;
        }
        Ok(Self::at(table, index(address, LEVELS - 1)))
    }

    /// The entry of the page at an address.
    pub fn get(&self, address: u64) -> Option<Entry> {
        let value = self.find(address)?.load(Relaxed);
        (value & VALID != 0).then_some(Entry(value))
    }

    /// Puts a page at an address. An entry that was there is taken out before the new one goes in (break-before-make, DDI 0487 D8.16.1):
    /// `flush` is called between, and does the TLBI.
    ///
    /// `writable` says whether the page may be written now, if the permissions allow it: it is false for a page that is shared
    /// until somebody writes.
    ///
    /// # Errors
    /// [`NoMemory`], with nothing changed.
    pub fn put(
        &mut self,
        address: u64,
        page: Page,
        prot: Prot,
        writable: bool,
        flush: impl FnOnce(),
    ) -> Result<(), NoMemory> {
        let place = self.place(address)?;
        let old = place.swap(0, Relaxed);
        let value = page.into_physical() as u64 | attributes(prot, writable);
        if old & VALID != 0 {
            flush();
            // SAFETY: the reference of the entry that was taken out.
            drop(unsafe { Page::from_physical((old & ADDRESS) as usize) });
        }
        publish(place, value);
        Ok(())
    }

    /// Calls `change` with every entry that has a page, in a range; what it returns becomes the entry's permissions: the permissions of the
    /// mapping, and whether the page may be written now. Returns whether anything was changed, for which a TLBI is owed.
    pub fn protect(&mut self, range: Range<u64>, change: impl Fn(Entry) -> (Prot, bool)) -> bool {
        let mut changed = false;
        self.walk(range, &mut |_, place| {
            let old = Entry(place.load(Relaxed));
            let (prot, writable) = change(old);
            let new = old.physical() as u64 | attributes(prot, writable);
            changed |= new != old.0;
            place.store(new, Relaxed);
            true
        });
        changed
    }

    /// Calls `see` with the address and the entry of every page in a range.
    pub fn for_each(&self, range: Range<u64>, mut see: impl FnMut(u64, Entry)) {
        self.walk(range, &mut |address, place| {
            see(address, Entry(place.load(Relaxed)));
            true
        });
    }

    /// Takes pages out of a range until `gone` is full. Returns where it has stopped: the end of the range if no page is left. The
    /// caller keeps `gone` until it has done the TLBI that it owes.
    pub fn clear(&mut self, range: Range<u64>, gone: &mut Gone) -> u64 {
        let mut stopped = range.end;
        self.walk(range, &mut |address, place| {
            if gone.is_full() {
                stopped = address;
                return false;
            }
            let old = place.swap(0, Relaxed);
            // SAFETY: the reference of the entry that was taken out.
            gone.push(unsafe { Page::from_physical((old & ADDRESS) as usize) });
            true
        });
        stopped
    }

    /// Moves the pages of a range of `length` bytes to other addresses, where no entry is. `reserve` has set tables aside. A TLBI is owed
    /// for the old addresses, before which the pages may be reached at both.
    pub fn move_pages(&mut self, from: u64, to: u64, length: u64) {
        let mut address = from;
        while address < from + length {
            let mut found = None;
            self.walk(address..from + length, &mut |at, place| {
                found = Some((at, place.swap(0, Relaxed)));
                false
            });
            let Some((at, value)) = found else { return };
            match self.place(to + (at - from)) {
                Ok(place) => publish(place, value),
                // `reserve` has set enough aside.
                Err(NoMemory) => unreachable!("no table for memory that moves"),
            }
            address = at + PAGE as u64;
        }
    }

    /// Calls `see` with the address and the place of every entry with a page in a range, until it returns false.
    fn walk(&self, range: Range<u64>, see: &mut dyn FnMut(u64, &AtomicU64) -> bool) {
        let mut address = range.start & !(PAGE as u64 - 1);
        while address < range.end {
            let mut table = self.root.physical();
            let mut level = 0;
            // Goes down as far as there are tables.
            let entry = loop {
                let entry = Self::at(table, index(address, level));
                let value = entry.load(Relaxed);
                if value & VALID == 0 || level == LEVELS - 1 {
                    break (value & VALID != 0).then_some(entry);
                }
                table = (value & ADDRESS) as usize;
                level += 1;
            };
            if entry.is_some_and(|entry| !see(address, entry)) {
                return;
            }
            // The next address that this entry does not cover.
            let covers = 1 << shift(level);
            let Some(next) = (address & !(covers - 1)).checked_add(covers) else { return };
            address = next;
        }
    }

    /// Gives back the tables below `table`, which is of this level, and the pages that are still in them.
    fn free_below(table: usize, level: u32) {
        for index in 0..ENTRIES {
            let value = Self::at(table, index).load(Relaxed);
            if value & VALID == 0 {
                continue;
            }
            let physical = (value & ADDRESS) as usize;
            if level + 1 < LEVELS {
                Self::free_below(physical, level + 1);
            }
            // SAFETY: the reference of an entry in a table that nobody uses any more.
            drop(unsafe { Page::from_physical(physical) });
        }
    }
}

impl Drop for Tables {
    /// No CPU uses the tables any more, and the ASID was given up or is flushed before it is used again.
    fn drop(&mut self) {
        Self::free_below(self.root.physical(), 0);
    }
}

fn index(address: u64, level: u32) -> usize {
    (address >> shift(level)) as usize % ENTRIES
}

/// Stores an entry that the hardware may walk at once. The content of the page or table that it names is written before it is seen,
/// and the walk that follows an access by this CPU sees the entry (DDI 0487 D8.2, "Translation table walks").
fn publish(place: &AtomicU64, value: u64) {
    // SAFETY: barriers.
    unsafe { core::arch::asm!("dmb ishst", options(nostack, preserves_flags)) };
    place.store(value, Relaxed);
    // SAFETY: barriers.
    unsafe { core::arch::asm!("dsb ishst", "isb", options(nostack, preserves_flags)) };
}
