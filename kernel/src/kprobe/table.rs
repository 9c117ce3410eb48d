//! The probed addresses: a page of pointers for each page of the kernel's text, so that a hit finds its site with the same few
//! loads however many there are. Read without a lock.
//!
//! A site is published by the store of its pointer. One that is taken off stays readable until every CPU has passed a
//! rendezvous: a CPU that reads the table does so masked, and takes no part in one meanwhile. Pages stay.

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

/// Bits of an address that say which page, and which word of it. `hit.S` takes the page from the address alone, whatever lies
/// above; what it finds says which address it is for.
pub const PAGE_BITS: u32 = 12;
const WORDS: usize = PAGE / 4;
const _: () = assert!(layout::IMAGE.is_multiple_of(PAGE << PAGE_BITS));

type Page = [AtomicPtr<Site>; WORDS];

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
    // SAFETY: it points to `NOTHING` or to a page that was leaked.
    let page = unsafe { &*page(address).load(Acquire) };
    page[address as usize / 4 % WORDS].load(Acquire)
}

/// The site at this address. Any context; the reference must not outlive the masked section it was got in.
#[inline(always)]
pub fn find(address: u64) -> Option<&'static Site> {
    // SAFETY: a published site is alive, and one that was taken off until the rendezvous that its removal waits for.
    match unsafe { get(address).as_ref() } {
        Some(site) if site.address == address => Some(site),
        _ => None,
    }
}

/// The instruction at this address, whatever probe stands there; None if it cannot be read. Any context.
#[inline(never)]
#[unsafe(link_section = ".noprobe.text")]
pub fn original(address: u64) -> Option<u32> {
    let _masked = AllMasked::new();
    // Read first: a probe that is not found any more has its instruction back in place.
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

/// Takes a site off. One caller at a time.
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
