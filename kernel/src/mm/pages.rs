//! Counted physical pages: what user memory, the contents of files, and user translation tables are made of.
//!
//! Each page of the pool has one word in [`COUNTS`]. While somebody has the page, the word counts the references to it. While nobody has
//! it, the word is the number of the next free page, so the list of free pages needs no memory of its own. Pages that nobody has had since
//! boot are *fresh*: they are in no list, and their words have no value, so that boot need not touch a word of each page.
//!
//! Programs at EL0 read and write pages at any moment, so the kernel never makes a Rust reference to the content of a page: contents
//! are copied by [`Page::read`], [`Page::write`] and [`Page::fill`], in assembly.

use super::layout::PAGE;
use crate::arch::copy;
use crate::sync::IrqMutex;
use core::ops::Range;
use core::sync::atomic::{
    AtomicPtr, AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// In [`Pool::free`] and in the words of free pages: there is no further free page.
const NONE: u32 = u32::MAX;

/// How many ranges of RAM the pool can have.
pub const MAX_RANGES: usize = 8;

/// All pages lie in so many times the length of the first range: the words then take a sixteenth of that range at most.
const FARTHEST: usize = PAGE / size_of::<AtomicU32>() / 16;

struct Pool {
    /// The number of the first page in the list of free pages.
    free: u32,
    /// The numbers of fresh pages, in ranges.
    fresh: [Range<u32>; MAX_RANGES],
    /// How many pages are free, the fresh ones included.
    left: usize,
}

impl Pool {
    /// Takes a page out of the list, or a fresh one. A page that was used is more likely to be in a cache.
    fn take(&mut self) -> Option<u32> {
        let number = if self.free != NONE {
            let number = self.free;
            self.free = word(number).load(Relaxed);
            number
        } else {
            self.fresh.iter_mut().find_map(Iterator::next)?
        };
        self.left -= 1;
        Some(number)
    }
}

static POOL: IrqMutex<Pool> =
    IrqMutex::new(Pool { free: NONE, fresh: [const { 0..0 }; MAX_RANGES], left: 0 });
/// One word for each page of the pool.
static COUNTS: AtomicPtr<AtomicU32> = AtomicPtr::new(core::ptr::null_mut());
/// How many pages the pool has.
static PAGES: AtomicUsize = AtomicUsize::new(0);
/// The physical address of page 0, and one more than the highest number.
static FIRST: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

/// Gives the pool its memory, ranges of physical addresses in ascending order. Called once, at boot. The words of the pages lie at the
/// beginning of the first range; what lies between the ranges has words too, which nobody uses. Ranges that are too far away for that, or
/// more than [`MAX_RANGES`], are not used.
pub fn init(ranges: impl Iterator<Item = Range<usize>> + Clone) {
    let whole = |range: Range<usize>| range.start.next_multiple_of(PAGE)..range.end & !(PAGE - 1);
    let mut ranges = ranges.map(whole).filter(|range| !range.is_empty()).take(MAX_RANGES);
    let Some(first) = ranges.next() else { return };
    let reach = first.start.saturating_add(first.len().saturating_mul(FARTHEST));
    let ranges = ranges.filter(|range| range.end <= reach);
    let end = ranges.clone().last().map_or(first.end, |last| last.end);
    let words = ((end - first.start) / PAGE * size_of::<AtomicU32>()).next_multiple_of(PAGE);
    let start = first.start + words;
    if start >= first.end || (end - start) / PAGE >= NONE as usize {
        return;
    }
    COUNTS.store(super::linear(first.start) as *mut AtomicU32, Relaxed);
    FIRST.store(start, Relaxed);
    END.store((end - start) / PAGE, Relaxed);
    let mut pool = POOL.lock();
    for (place, range) in pool.fresh.iter_mut().zip(core::iter::once(start..first.end).chain(ranges)) {
        *place = ((range.start - start) / PAGE) as u32..((range.end - start) / PAGE) as u32;
    }
    pool.left = pool.fresh.iter().map(ExactSizeIterator::len).sum();
    PAGES.store(pool.left, Relaxed);
}

/// The word of a page.
fn word(number: u32) -> &'static AtomicU32 {
    debug_assert!((number as usize) < END.load(Relaxed));
    // SAFETY: the numbers of pages come from the pool, so each has a word, which stays where it is. Any bits are a value of the word.
    unsafe { &*COUNTS.load(Relaxed).add(number as usize) }
}

/// How many pages nobody has. Thread and interrupt context.
pub fn free() -> usize {
    POOL.lock().left
}

/// Whether so few pages are free that no new process should take of them: those that exist need pages to go on. Thread and interrupt
/// context.
pub fn are_low() -> bool {
    free() < total() / 16
}

/// How many pages there are. Any context.
pub fn total() -> usize {
    PAGES.load(Relaxed)
}

/// A reference to a physical page. A clone is another reference to the same page, and the page becomes free when the last reference
/// is dropped. Not in debug or NMI context, where the pool's lock may be held.
#[derive(Debug, PartialEq, Eq)]
pub struct Page(u32);

impl Page {
    /// A free page, with what its last user has left in it; None if no page is free.
    pub(super) fn uninitialised() -> Option<Self> {
        let number = POOL.lock().take()?;
        word(number).store(1, Relaxed);
        Some(Self(number))
    }

    /// A page of zeros; None if no page is free.
    pub fn zeroed() -> Option<Self> {
        let page = Self::uninitialised()?;
        page.fill(0, PAGE);
        Some(page)
    }

    /// A page with the content of this page; None if no page is free.
    pub fn duplicate(&self) -> Option<Self> {
        let page = Self::uninitialised()?;
        // SAFETY: both pages are mapped read-write by the linear map, and a reference to each of them is held.
        unsafe { copy::copy(page.address(), self.address(), PAGE) };
        Some(page)
    }

    /// The page's physical address.
    pub fn physical(&self) -> usize {
        FIRST.load(Relaxed) + self.0 as usize * PAGE
    }

    /// The page's address in the linear map.
    pub fn address(&self) -> *mut u8 {
        super::linear(self.physical()) as *mut u8
    }

    /// How many references to the page there are, this one included.
    pub fn references(&self) -> u32 {
        word(self.0).load(Acquire)
    }

    /// Gives up the value without giving up its reference to the page: a table entry with this physical address has the reference.
    pub fn into_physical(self) -> usize {
        let physical = self.physical();
        core::mem::forget(self);
        physical
    }

    /// The reference that a table entry had.
    ///
    /// # Safety
    /// `physical` comes from [`Page::into_physical`], and is made into a page once.
    pub unsafe fn from_physical(physical: usize) -> Self {
        Self(((physical - FIRST.load(Relaxed)) / PAGE) as u32)
    }

    /// One more reference to the page whose reference a table entry has.
    ///
    /// # Safety
    /// `physical` comes from [`Page::into_physical`], and the entry keeps its reference during the call.
    pub unsafe fn of_entry(physical: usize) -> Self {
        // SAFETY: the value made here is given up by `forget`, so the entry keeps its reference.
        let page = unsafe { Self::from_physical(physical) };
        let clone = page.clone();
        core::mem::forget(page);
        clone
    }

    /// The part of the page from `offset` on that is at most `length` bytes long.
    fn part(&self, offset: usize, length: usize) -> (*mut u8, usize) {
        let offset = offset.min(PAGE);
        (self.address().wrapping_add(offset), length.min(PAGE - offset))
    }

    /// Copies from the page, from `offset` on. Returns how many bytes there were.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> usize {
        let (from, length) = self.part(offset, to.len());
        // SAFETY: `part` stays inside of the page, and `to` is at least as long.
        unsafe { copy::copy(to.as_mut_ptr(), from, length) };
        length
    }

    /// Copies to the page, from `offset` on. Returns for how many bytes there was room.
    pub fn write(&self, offset: usize, from: &[u8]) -> usize {
        let (to, length) = self.part(offset, from.len());
        // SAFETY: as in `read`.
        unsafe { copy::copy(to, from.as_ptr(), length) };
        length
    }

    /// Writes zeros from `offset` on.
    pub fn fill(&self, offset: usize, length: usize) {
        let (to, length) = self.part(offset, length);
        // SAFETY: `part` stays inside of the page.
        unsafe { copy::zero(to, length) };
    }
}

impl Clone for Page {
    fn clone(&self) -> Self {
        // A page has at most one reference for each table entry and each place in a file, of which there is no room for 2^32.
        word(self.0).fetch_add(1, Relaxed);
        Self(self.0)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let word = word(self.0);
        if word.fetch_sub(1, Release) != 1 {
            return;
        }
        // What others did with the page comes before what its next user does.
        fence(Acquire);
        let mut pool = POOL.lock();
        word.store(pool.free, Relaxed);
        pool.free = self.0;
        pool.left += 1;
    }
}
