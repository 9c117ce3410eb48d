//! ASIDs: the numbers by which the TLB tells address spaces apart (DDI 0487 D8, "Address space identifiers").
//!
//! There are fewer ASIDs than there may be address spaces, so an address space has an ASID only until all are used up. Then a new
//! *generation* begins: the address spaces that run keep their ASIDs, all others get a new one when they run next, and each CPU empties
//! its TLB before it runs another address space. An address space that never runs again need not give its ASID back.
//!
//! ASID 0 belongs to the empty tables that a CPU has while it runs no program.

use crate::arch::barrier;
use crate::mm::pages::Page;
use crate::percpu::{self, MAX_CPUS, PerCpu};
use crate::sync::IrqMutex;
use core::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use spin::Once;

/// The most ASIDs that an implementation has.
const MOST: usize = 1 << 16;

/// The generation and the ASID of an address space in one word: `generation << 16 | asid`. 0 if it has none yet.
pub struct Context(AtomicU64);

impl Context {
    /// No ASID.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The ASID that the TLB may hold translations of; None if the address space has never run.
    pub fn asid(&self) -> Option<u64> {
        Some(self.0.load(Acquire)).filter(|&word| word != 0).map(|word| word & (MOST as u64 - 1))
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

struct Asids {
    generation: u64,
    /// One bit for each ASID, set if it is used in this generation.
    used: [u64; MOST / 64],
    /// Where the search for a free ASID begins.
    next: usize,
    /// For each CPU the context that it runs, or ran when the generation began.
    running: [u64; MAX_CPUS],
    /// One bit for each CPU that has to empty its TLB before it runs another address space.
    to_flush: u64,
}

static ASIDS: IrqMutex<Asids> = IrqMutex::new(Asids {
    generation: 1,
    used: [0; MOST / 64],
    next: 1,
    running: [0; MAX_CPUS],
    to_flush: 0,
});
/// How many ASIDs this machine has: the smallest number of all CPUs.
static LIMIT: AtomicU32 = AtomicU32::new(MOST as u32);

/// Empty tables, for a CPU that runs no program.
static EMPTY: Once<Page> = Once::new();

/// The value of TTBR0_EL1 on each CPU.
static TTBR0: PerCpu<AtomicU64> = crate::per_cpu!(AtomicU64::new(0));

/// Prepares this CPU for programs: TTBR0_EL1 gets the empty tables. D, A, I, F are masked, or the CPU comes up.
pub fn init_cpu() {
    let empty = EMPTY.call_once(|| Page::zeroed().expect("no page for the empty tables"));
    // ID_AA64MMFR0_EL1.ASIDBits: 2 for 16 bits, else 8 bits. `head.S` has set TCR_EL1.AS accordingly.
    let bits = if crate::read_sysreg!("id_aa64mmfr0_el1") >> 4 & 0xf == 2 { 16 } else { 8 };
    LIMIT.fetch_min(1 << bits, Relaxed);
    set_ttbr0(empty.physical() as u64);
}

fn set_ttbr0(value: u64) {
    TTBR0.this().store(value, Relaxed);
    crate::write_sysreg!("ttbr0_el1", value);
    barrier::isb();
}

impl Asids {
    /// An ASID of this generation, and the generation itself, in one word.
    fn assign(&mut self, old: u64) -> u64 {
        // After a new generation the address spaces that run keep their ASIDs.
        if let Some(running) = self.running.iter().position(|&word| word == old && old != 0) {
            let kept = self.generation << 16 | old & (MOST as u64 - 1);
            self.running.iter_mut().filter(|word| **word == old).for_each(|word| *word = kept);
            debug_assert_eq!(self.running[running], kept);
            return kept;
        }
        let asid = self.free().unwrap_or_else(|| {
            self.begin_generation();
            self.free().expect("there are more ASIDs than CPUs")
        });
        self.used[asid / 64] |= 1 << (asid % 64);
        self.next = asid + 1;
        self.generation << 16 | asid as u64
    }

    fn free(&self) -> Option<usize> {
        let limit = LIMIT.load(Relaxed) as usize;
        (self.next.max(1)..limit).find(|&asid| self.used[asid / 64] & 1 << (asid % 64) == 0)
    }

    fn begin_generation(&mut self) {
        self.generation += 1;
        self.used.fill(0);
        self.next = 1;
        for word in self.running {
            let asid = word as usize & (MOST - 1);
            self.used[asid / 64] |= 1 << (asid % 64);
        }
        self.to_flush = u64::MAX;
    }
}

/// Has this CPU use an address space, or the empty tables. `root` is the physical address of its root table. I is masked.
pub fn switch(space: Option<(&Context, usize)>) {
    let cpu = percpu::index();
    let Some((context, root)) = space else {
        let empty = EMPTY.get().map_or(0, |page| page.physical() as u64);
        if TTBR0.this().load(Relaxed) != empty {
            ASIDS.lock().running[cpu] = 0;
            set_ttbr0(empty);
        }
        return;
    };
    let mut asids = ASIDS.lock();
    let mut word = context.0.load(Relaxed);
    if word >> 16 != asids.generation {
        word = asids.assign(word);
        context.0.store(word, Release);
        // Before this CPU walks the tables with the new ASID, all others see that the address space has it. Either `flush` on another CPU
        // finds the new ASID, or this CPU's walks find what that CPU has changed in the tables.
        barrier::dsb_ish();
    }
    asids.running[cpu] = word;
    let flush = asids.to_flush & 1 << cpu != 0;
    asids.to_flush &= !(1 << cpu);
    drop(asids);
    if flush {
        // SAFETY: drops cached translations, which are walked for again.
        unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags)) };
    }
    set_ttbr0((word & (MOST as u64 - 1)) << 48 | root as u64);
}

/// How many pages are invalidated one by one; for more the whole ASID is.
const ONE_BY_ONE: u64 = 64;

/// Waits until no CPU uses translations any more that the tables of `context` had for this range of addresses.
pub fn flush(context: &Context, range: core::ops::Range<u64>) {
    // The changes of the tables are visible to walks before the ASID is read: if the address space gets another ASID meanwhile, walks with
    // that one find the changed tables.
    // SAFETY: a barrier.
    unsafe { core::arch::asm!("dsb ishst", options(nostack, preserves_flags)) };
    let Some(asid) = context.asid() else { return };
    let asid = asid << 48;
    // SAFETY: drops cached translations. The DSB behind waits for the other CPUs (DDI 0487 D8, "TLB maintenance").
    unsafe {
        let pages = range.start >> 12..range.end.div_ceil(4096);
        if pages.end.saturating_sub(pages.start) > ONE_BY_ONE {
            core::arch::asm!("tlbi aside1is, {}", in(reg) asid, options(nostack, preserves_flags));
        } else {
            for page in pages {
                let what = asid | page & 0xfff_ffff_ffff;
                core::arch::asm!("tlbi vae1is, {}", in(reg) what, options(nostack, preserves_flags));
            }
        }
        core::arch::asm!("dsb ish", "isb", options(nostack, preserves_flags));
    }
}
