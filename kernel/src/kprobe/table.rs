//! The table of probed addresses: one page of pointers for each page of the kernel's text. A hit finds its site with two loads,
//! however many sites there are, and without a lock.
//!
//! The store of a site's pointer publishes the site. A CPU reads the table with all exceptions masked, and so takes part in no
//! rendezvous while it uses a site. So a site that is taken off while a rendezvous holds all other CPUs can be freed after that
//! rendezvous. Pages of pointers are never freed.

use super::{probe::Kprobe, site::Site};
use crate::arch::daif::AllMasked;
use crate::arch::uaccess;
use crate::mm::layout::{self, PAGE};
use alloc::boxed::Box;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};

/// How many bits of an address, above those of the offset in a page, select the page of pointers. `hit.S` ignores the bits above
/// these: it compares the probed address in the site that it finds.
pub const PAGE_BITS: u32 = 12;
const WORDS: usize = PAGE / 4;
const _: () = assert!(layout::IMAGE.is_multiple_of(PAGE << PAGE_BITS));

type Page = [AtomicPtr<Site>; WORDS];

/// The page of pointers that stands for every page of text without a site. All its pointers are null for ever.
#[unsafe(link_section = ".noprobe.data")]
static NOTHING: Page = [const { AtomicPtr::new(ptr::null_mut()) }; WORDS];

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.data")]
static KPROBE_PAGES: [AtomicPtr<Page>; 1 << PAGE_BITS] =
    [const { AtomicPtr::new((&raw const NOTHING).cast_mut()) }; 1 << PAGE_BITS];

#[inline(always)]
fn page(address: u64) -> &'static AtomicPtr<Page> {
    &KPROBE_PAGES[address as usize / PAGE % (1 << PAGE_BITS)]
}

#[inline(always)]
fn get(address: u64) -> *mut Site {
    // SAFETY: the pointer is that of `NOTHING` or of a page that was leaked.
    let page = unsafe { &*page(address).load(Acquire) };
    page[address as usize / 4 % WORDS].load(Acquire)
}

/// The site at this address. The caller makes sure that no site is removed while it uses the reference: by masking all
/// exceptions, or by holding the registration's lock.
#[inline(always)]
pub fn find(address: u64) -> Option<&'static Site> {
    // SAFETY: a published site is alive. A site that was taken off is freed only after a rendezvous, in which this CPU takes no
    // part yet.
    match unsafe { get(address).as_ref() } {
        Some(site) if site.address == address => Some(site),
        _ => None,
    }
}

/// The original instruction at this address, also where a probe has replaced it in the text. None if the address cannot
/// be read. Any context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn original(address: u64) -> Option<u32> {
    let _masked = AllMasked::new();
    // The text is read before the table, because a removal changes the text first. If a BRK was read but no site is found, the
    // removal is complete meanwhile, and the text, read once more, holds the instruction.
    let word = uaccess::read_u32(address).ok()?;
    match find(address) {
        Some(site) => Some(site.word),
        None if word == probe::ool::brk(probe::ool::KPROBE) => uaccess::read_u32(address).ok(),
        None => Some(word),
    }
}

/// Publishes a site. One caller at a time; thread context.
pub fn put(site: &'static Site) {
    let page = page(site.address);
    if ptr::eq(page.load(Acquire), &NOTHING) {
        let fresh: Box<Page> = Box::new([const { AtomicPtr::new(ptr::null_mut()) }; WORDS]);
        page.store(Box::into_raw(fresh), Release);
    }
    // SAFETY: as in `get`.
    let page = unsafe { &*page.load(Acquire) };
    page[site.address as usize / 4 % WORDS].store(ptr::from_ref(site).cast_mut(), Release);
}

/// Takes a site out of the table. One caller at a time, while all other CPUs are held.
pub fn take(site: &Site) {
    // SAFETY: as in `get`.
    let page = unsafe { &*page(site.address).load(Acquire) };
    page[site.address as usize / 4 % WORDS].store(ptr::null_mut(), Release);
}

/// All sites, in the order of their addresses. Thread context, while nobody removes one.
pub fn sites() -> impl Iterator<Item = &'static Site> {
    let pages = KPROBE_PAGES.iter().map(|page| page.load(Acquire)).filter(|&page| !ptr::eq(page, &NOTHING));
    // SAFETY: as in `get` and `find`.
    let words = pages.flat_map(|page| unsafe { &*page });
    // SAFETY: as above.
    words.filter_map(|word| unsafe { word.load(Acquire).as_ref() })
}

impl Kprobe {
    /// How the displaced instruction runs, as listings say it.
    pub fn how(&self) -> &'static str {
        // While all exceptions are masked no rendezvous ends, so the site is not freed (K4).
        let _masked = AllMasked::new();
        if self.optimise && find(self.address).is_some_and(Site::is_optimised) {
            "optimised"
        } else if self.is_simulated() {
            "simulated"
        } else {
            "out of line"
        }
    }
}

/// All probes, in the order of their addresses. Thread context, while nobody removes one.
pub fn list() -> impl Iterator<Item = &'static Kprobe> {
    sites().flat_map(Site::probes)
}
