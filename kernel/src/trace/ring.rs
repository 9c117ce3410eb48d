//! The rings: where the records of each CPU go.
//!
//! A record gets the next number of the CPU's ring in one atomic step, so a writer that is interrupted by another one, in an NMI or in a probe inside of
//! a probe, keeps its place. No lock is taken, and nothing waits: if the ring is full, the oldest record goes. A record is whole before exceptions
//! are opened, with the masks that the rule wants; only if the CPU then has others is it corrected.

use crate::mm;
use crate::percpu;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{
    AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};
use rules::pstate::Daif;
use trace::{Record, layout};

/// The header, with the rings behind it; null as long as there is none.
#[unsafe(link_section = ".noprobe.data")]
static RINGS: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());

/// How many records a ring has room for.
#[unsafe(link_section = ".noprobe.data")]
static CAPACITY: AtomicUsize = AtomicUsize::new(0);

/// The fewest records that a ring may have room for.
const FEWEST: usize = 1024;

/// Takes the upper half of `free`, physical memory that nobody uses, for the rings of so many CPUs. Returns what is left; None if it is
/// too little. Called once, at boot.
pub fn init(free: &Range<usize>, cpus: usize) -> Option<Range<usize>> {
    let room = (free.len() / 2).checked_sub(layout::PAGE)? / cpus / layout::RECORD;
    let capacity = 1 << room.checked_ilog2()?;
    if capacity < FEWEST || cpus > layout::MOST_CPUS {
        return None;
    }
    let start = (free.end - layout::size(cpus, capacity)) & !(layout::PAGE - 1);
    let rings = mm::linear(start) as *mut u8;
    // SAFETY: nobody else uses this memory, which the linear map has.
    unsafe { rings.write_bytes(0, layout::PAGE) };
    CAPACITY.store(capacity, Relaxed);
    RINGS.store(rings, Release);
    let header = [
        (0, layout::MAGIC[0]),
        (8, layout::MAGIC[1]),
        (layout::CPUS, cpus as u64),
        (layout::CAPACITY, capacity as u64),
        (layout::FREQUENCY, crate::read_sysreg!("cntfrq_el0")),
    ];
    for (offset, value) in header {
        word(rings, offset).store(value, Relaxed);
    }
    Some(free.start..start)
}

/// A word of the header or of a ring.
#[inline(always)]
fn word(rings: *mut u8, offset: usize) -> &'static AtomicU64 {
    // SAFETY: the offset is one of `layout` within what `init` has taken for good, and all access is atomic.
    unsafe { &*rings.add(offset).cast::<AtomicU64>() }
}

/// A record that was written: its place, its number, and what it says.
#[must_use]
pub struct Begun {
    place: usize,
    number: u64,
    record: Record,
}

/// Writes a record into this CPU's ring. Its CPU and time are filled in. D is masked, or I is, so the caller stays on this CPU.
#[inline(always)]
pub fn begin(mut record: Record) -> Begun {
    let cpu = percpu::index();
    let rings = RINGS.load(Relaxed);
    let number = word(rings, layout::count(cpu)).fetch_add(1, Relaxed);
    let place = layout::place(cpu, CAPACITY.load(Relaxed), number);
    // What was here is no record any more, before anything of the new one is.
    word(rings, place).store(0, Relaxed);
    fence(Release);
    record.cpu = cpu as u8;
    record.time = crate::read_sysreg!("cntvct_el0");
    for (n, value) in record.pack().into_iter().enumerate() {
        word(rings, place + 8 * (n + 1)).store(value, Relaxed);
    }
    word(rings, place).store(number + 1, Release);
    Begun { place, number, record }
}

/// The last whole records of the CPU that this is called on, `most` at most, the oldest first. Empty if the kernel does not trace. Thread context.
pub fn last(most: usize) -> Vec<Record> {
    let rings = RINGS.load(Relaxed);
    if rings.is_null() {
        return Vec::new();
    }
    let (cpu, capacity) = (percpu::index(), CAPACITY.load(Relaxed));
    let count = word(rings, layout::count(cpu)).load(Acquire);
    let from = count.saturating_sub(most.min(capacity) as u64);
    let whole = |number: u64| {
        let place = layout::place(cpu, capacity, number);
        let is_whole = || word(rings, place).load(Acquire) == number + 1;
        let words =
            is_whole().then(|| core::array::from_fn(|n| word(rings, place + 8 * (n + 1)).load(Relaxed)))?;
        // Not if a later record has taken the place meanwhile.
        fence(Acquire);
        Record::unpack(words).filter(|_| is_whole())
    };
    (from..count).filter_map(whole).collect()
}

impl Begun {
    /// Says which masks the CPU has behind what the record is about. Any context: the caller may have gone on on another CPU, and a later record may have
    /// taken the place.
    #[inline(always)]
    pub fn finish(mut self, masks: Daif) {
        if masks == self.record.after.masks {
            return;
        }
        let rings = RINGS.load(Relaxed);
        self.record.after.masks = masks;
        // The second word of a record has its masks.
        if word(rings, self.place).load(Relaxed) == self.number + 1 {
            word(rings, self.place + 16).store(self.record.pack()[1], Relaxed);
        }
    }
}
