//! The registered probes: a hash table of chains that are read without a lock.
//!
//! A probe is published by the store that links it. One that is unlinked stays readable until every CPU has passed a
//! rendezvous: a CPU that reads a chain does so in debug context, masked, and takes no part in one meanwhile.

use super::Kprobe;
use crate::arch::daif::AllMasked;
use crate::arch::uaccess;
use core::ptr;
use core::sync::atomic::{
    AtomicPtr,
    Ordering::{Acquire, Release},
};

const BUCKETS: usize = 1024;

#[unsafe(link_section = ".noprobe.data")]
static HEADS: [AtomicPtr<Kprobe>; BUCKETS] = [const { AtomicPtr::new(ptr::null_mut()) }; BUCKETS];

#[inline(always)]
fn bucket(address: u64) -> &'static AtomicPtr<Kprobe> {
    // Fibonacci hashing of the word's number.
    let hash = (address >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKETS.ilog2());
    &HEADS[hash as usize % BUCKETS]
}

/// The probe at this address. Any context; the reference must not outlive the masked section it was got in.
#[inline(always)]
pub fn find(address: u64) -> Option<&'static Kprobe> {
    let mut at = bucket(address).load(Acquire);
    // SAFETY: a linked probe is alive, and an unlinked one until the rendezvous that its removal waits for.
    while let Some(probe) = unsafe { at.as_ref() } {
        if probe.address == address {
            return Some(probe);
        }
        at = probe.next.load(Acquire);
    }
    None
}

/// The instruction at this address, whatever probe stands there; None if it cannot be read. Any context.
#[inline(never)]
pub fn original(address: u64) -> Option<u32> {
    const PROBED: u32 = probe::ool::brk(probe::ool::KPROBE);
    let word = uaccess::read_u32(address).ok()?;
    if word != PROBED {
        return Some(word);
    }
    let _masked = AllMasked::new();
    // A probe that is not found any more has its instruction back in place.
    find(address).map_or_else(|| uaccess::read_u32(address).ok(), |probe| Some(probe.word))
}

/// Links a probe. One caller at a time.
pub fn link(probe: &'static Kprobe) {
    let head = bucket(probe.address);
    probe.next.store(head.load(Acquire), Release);
    head.store(ptr::from_ref(probe).cast_mut(), Release);
}

/// Unlinks a probe. One caller at a time.
pub fn unlink(probe: &Kprobe) {
    let mut link = bucket(probe.address);
    loop {
        let at = link.load(Acquire);
        // SAFETY: as in `find`.
        let Some(here) = (unsafe { at.as_ref() }) else { return };
        if ptr::eq(here, probe) {
            link.store(here.next.load(Acquire), Release);
            return;
        }
        link = &here.next;
    }
}

/// All probes. Thread context, while nobody removes one.
pub fn list() -> impl Iterator<Item = &'static Kprobe> {
    HEADS.iter().flat_map(|head| {
        // SAFETY: as in `find`.
        core::iter::successors(unsafe { head.load(Acquire).as_ref() }, |probe| unsafe {
            // SAFETY: as in `find`.
            probe.next.load(Acquire).as_ref()
        })
    })
}
