//! ASIDs, which [`protocols::Asids`] gives out: what a CPU does to use an address space, and to forget translations.
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
use protocols::{Asids, MOST_ASIDS, Run, asid_of};
use spin::Once;

/// The word ([`protocols::AsidWord`]) of an address space.
pub struct Context(AtomicU64);

impl Context {
    /// No ASID.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The ASID that the TLB may hold translations of; None if the address space has never run.
    fn asid(&self) -> Option<u64> {
        Some(self.0.load(Acquire)).filter(|&word| word != 0).map(asid_of)
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

static ASIDS: IrqMutex<Asids<MAX_CPUS>> = IrqMutex::new(Asids::new());
/// How many ASIDs this machine has: the smallest number of all CPUs.
static LIMIT: AtomicU32 = AtomicU32::new(MOST_ASIDS as u32);

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
    limit(0);
    set_ttbr0(empty.physical() as u64);
}

fn set_ttbr0(value: u64) {
    TTBR0.this().store(value, Relaxed);
    crate::write_sysreg!("ttbr0_el1", value);
    // Walks use the new value from here on (DDI 0487 D24.1.2.2).
    barrier::isb();
}

/// Uses only ASIDs below `limit` from now on, for a test; 0 stands for all that the machine has. Thread context.
pub fn limit(limit: usize) {
    let all = LIMIT.load(Relaxed) as usize;
    ASIDS.lock().limit(if limit == 0 { all } else { limit.min(all) });
}

/// How often all ASIDs were used up so far, and one more. Thread context.
pub fn generations() -> u64 {
    ASIDS.lock().generations()
}

/// Has this CPU use an address space, or the empty tables. `root` is the physical address of its root table. I is masked.
#[inline]
pub fn switch(space: Option<(&Context, usize)>) {
    let Some((context, root)) = space else {
        let empty = EMPTY.get().map_or(0, |page| page.physical() as u64);
        if TTBR0.this().load(Relaxed) != empty {
            ASIDS.lock_masked().run_none(percpu::index());
            set_ttbr0(empty);
        }
        return;
    };
    let ttbr0 = |word| asid_of(word) << 48 | root as u64;
    let before = context.0.load(Relaxed);
    if TTBR0.this().load(Relaxed) == ttbr0(before) && before != 0 {
        // The CPU has used this address space all the time: what has no address space in between, it would have used the empty tables for.
        // A new generation of ASIDs has kept this one.
        return;
    }
    let cpu = percpu::index();
    let again = {
        let mut asids = crate::arch::in_register(&ASIDS).lock_masked();
        let word = context.0.load(Relaxed);
        asids.run_again(cpu, word).then_some(word)
    };
    set_ttbr0(ttbr0(again.unwrap_or_else(|| run(context, cpu))));
}

/// Gives an address space the ASID by which a CPU is about to run it, and empties the CPU's TLB if need be. Returns the address space's word.
#[cold]
#[inline(never)]
fn run(context: &Context, cpu: usize) -> u64 {
    let Run { word, flush } = {
        let mut asids = ASIDS.lock_masked();
        let before = context.0.load(Relaxed);
        let run = asids.run(cpu, before);
        if run.word != before {
            context.0.store(run.word, Release);
            // Before this CPU walks the tables: a CPU that changes them either reads this word and invalidates what was walked, or has
            // changed them before the walk (see `flush`).
            barrier::dsb_ish();
        }
        run
    };
    if flush {
        // SAFETY: drops cached translations, which are walked for again.
        unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack, preserves_flags)) };
    }
    word
}

/// How many pages are invalidated one by one; for more the whole ASID is.
const ONE_BY_ONE: u64 = 64;

/// Waits until no CPU uses translations any more that the tables of `context` had for this range of addresses.
pub fn flush(context: &Context, range: core::ops::Range<u64>) {
    // Makes the changes of the tables visible to walks (DDI 0487 D8, "TLB maintenance"), before the ASID is read: a CPU that runs the address
    // space by a newer ASID has walked the changed tables.
    barrier::dsb_ishst();
    let Some(asid) = context.asid() else { return };
    let asid = asid << 48;
    // SAFETY: drops cached translations. The DSB behind waits for the other CPUs, and the ISB for this one (the same section).
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
