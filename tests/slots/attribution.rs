//! Rule H7: to which slots a watchpoint hit belongs.

use super::counts::Area;
use crate::address_of;
use crate::support::{Slot, breakpoint_at, watchpoint_at};
use ::slots::Access;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, skip};
use kernel::arch::barrier;
use kernel::debug::slots::Hit;
use kernel::exception::DebugFrame;
use kernel::irq::off::IrqOff;
use kernel::watcher;
use kernel::{read_sysreg, write_sysreg};

/// Words to watch, on a cache line of their own.
#[repr(align(64))]
pub struct Watched(pub [AtomicU64; 8]);

impl Watched {
    /// The words are 0 at first.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 8])
    }

    /// The address of word `n`.
    pub fn address(&self, n: usize) -> u64 {
        &raw const self.0[n] as u64
    }
}

specimen! {
    fn target() {
        "nop", "ret"
    }
}

/// One exception matches several slots. Each hit is counted and each handler is called; none of them is lost because of the others.
pub fn every_matching_slot_gets_its_own_disposition() -> Outcome {
    static WATCHED: Watched = Watched::new();
    static CALLS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    fn first(_: &Hit, _: &mut DebugFrame) {
        CALLS[0].fetch_add(1, Relaxed);
    }
    fn second(_: &Hit, frame: &mut DebugFrame) {
        CALLS[1].fetch_add(frame.far & 0xff, Relaxed);
    }
    CALLS.iter().for_each(|calls| calls.store(0, Relaxed));
    let at = WATCHED.address(0);
    check_eq!(at & 0xff & 0x3f, 0);
    let slots = [
        Slot::calling(&watchpoint_at(at, 8, Access::Write), watcher!(first))?,
        Slot::counting(&watchpoint_at(at, 4, Access::ReadWrite))?,
        Slot::calling(&watchpoint_at(at, 16, Access::Write), watcher!(second))?,
        Slot::counting(&watchpoint_at(at + 8, 8, Access::Write))?,
    ];
    for n in 0..10 {
        WATCHED.0[0].store(n, Relaxed);
    }
    check_eq!(slots.each_ref().map(Slot::hits), [Some(10), Some(10), Some(10), Some(0)]);
    check_eq!(CALLS.each_ref().map(|calls| calls.load(Relaxed)), [10, 10 * (at & 0xff)]);
    WATCHED.0[1].store(1, Relaxed);
    check_eq!(slots.each_ref().map(Slot::hits), [Some(10), Some(10), Some(11), Some(1)]);

    let breakpoints = [
        Slot::calling(&breakpoint_at(address_of!(target)), watcher!(first))?,
        Slot::counting(&breakpoint_at(address_of!(target)))?,
    ];
    for _ in 0..10 {
        target();
    }
    check_eq!(breakpoints.each_ref().map(Slot::hits), [Some(10), Some(10)]);
    check_eq!(CALLS[0].load(Relaxed), 20);
    Ok(())
}

static AREA: Area = Area::new();

/// DC ZVA may report a FAR outside the watched range. The hit belongs to the nearest slot in the block that is zeroed.
pub fn dc_zva_hits_what_it_zeroes() -> Outcome {
    let id = read_sysreg!("dczid_el0");
    if id & 0x10 != 0 {
        skip!("DC ZVA is prohibited");
    }
    let block = 4 << (id & 0xf);
    check!(block <= 1024);
    let first = Slot::counting(&watchpoint_at(AREA.at(block + 8), 8, Access::Write))?;
    let last = Slot::counting(&watchpoint_at(AREA.at(2 * block - 1), 1, Access::Write))?;
    let elsewhere = Slot::counting(&watchpoint_at(AREA.at(3 * block), 8, Access::Write))?;
    for (n, offset) in [0, block, 2 * block].into_iter().enumerate() {
        AREA.access(block + 8, 8, true);
        let hits = first.hits();
        // SAFETY: zeroes a block of the area.
        unsafe { asm!("dc zva, {}", in(reg) AREA.at(offset), options(nostack, preserves_flags)) };
        let expected = u64::from(offset == block);
        check_eq!(first.hits().zip(hits).map(|(now, then)| now - then), Some(expected), "block {n}");
        check_eq!(last.hits(), Some(u64::from(n >= 1)), "block {n}");
    }
    check_eq!(elsewhere.hits(), Some(0));
    Ok(())
}

pub fn pairs_hit_what_they_touch() -> Outcome {
    let watched = |offset| Slot::counting(&watchpoint_at(AREA.at(offset), 8, Access::ReadWrite));
    let (low, high) = (watched(64)?, watched(72)?);
    let counts = || (low.hits(), high.hits());
    let mut expected = (0, 0);
    for (offset, touches) in [(48, (0, 0)), (56, (1, 0)), (64, (1, 1)), (72, (0, 1)), (80, (0, 0))] {
        // SAFETY: a pair of doublewords of the area.
        unsafe { asm!("stp xzr, xzr, [{}]", in(reg) AREA.at(offset), options(nostack, preserves_flags)) };
        expected = (expected.0 + touches.0, expected.1 + touches.1);
        check_eq!(counts(), (Some(expected.0), Some(expected.1)), "STP at {offset}");
        // SAFETY: as above.
        unsafe {
            asm!("ldp {0}, {1}, [{2}]", out(reg) _, out(reg) _, in(reg) AREA.at(offset), options(nostack, preserves_flags))
        };
        expected = (expected.0 + touches.0, expected.1 + touches.1);
        check_eq!(counts(), (Some(expected.0), Some(expected.1)), "LDP at {offset}");
    }
    Ok(())
}

/// For as long as this lives EL1 may use the vector registers. Interrupts are off meanwhile, because nothing saves these registers.
struct Vectors {
    before: u64,
    _off: IrqOff,
}

impl Vectors {
    fn new() -> Self {
        const FPEN: u64 = 3 << 20;
        let _off = IrqOff::new();
        let before = read_sysreg!("cpacr_el1");
        write_sysreg!("cpacr_el1", before | FPEN);
        barrier::isb();
        Self { before, _off }
    }
}

impl Drop for Vectors {
    fn drop(&mut self) {
        write_sysreg!("cpacr_el1", self.before);
        barrier::isb();
    }
}

specimen! {
    /// Stores 32 bytes with one instruction.
    fn store_vectors(at: u64) {
        ".arch_extension fp", ".arch_extension simd", "stp q0, q1, [x0]", "ret"
    }

    fn load_vectors(at: u64) {
        ".arch_extension fp", ".arch_extension simd", "ldp q2, q3, [x0]", "ret"
    }
}

/// One instruction accesses 32 bytes. The watched bytes may be far behind the address that the instruction names, and FAR may be
/// anywhere in between. Slots of several lengths are set in each doubleword of the access, and other slots beside the access. No
/// slot beside the access may be taken for the slot that was hit.
pub fn pairs_of_vector_registers_hit_what_they_touch() -> Outcome {
    const BASE: u64 = 512;
    let run = |write: bool, at: u64| {
        let _vectors = Vectors::new();
        if write { store_vectors(AREA.at(at)) } else { load_vectors(AREA.at(at)) }
    };
    let before = read_sysreg!("cpacr_el1");
    for (first, length) in [(16, 8), (24, 8), (16, 16), (31, 1), (20, 4), (27, 3), (0, 8), (15, 1), (0, 32)] {
        let watched = slot_at(BASE + first, length)?;
        // These slots are nearer to the address of the access, or to its end, and one is in the block that DC ZVA would zero.
        let near = [(BASE - 1, 1), (BASE + 32, 8), (BASE + 40, 8)].map(|(at, length)| slot_at(at, length));
        let [left, right, further] = near;
        let (left, right, further) = (left?, right?, further?);
        let mut hits = [0; 4];
        for write in [true, false] {
            for offset in [-32i64, -16, 0, 16, 32] {
                let at = BASE.wrapping_add_signed(offset);
                let touches = |first: u64, length| u64::from(at < first + length && first < at + 32);
                run(write, at);
                let ranges = [(BASE + first, length), (BASE - 1, 1), (BASE + 32, 8), (BASE + 40, 8)];
                for (hits, (first, length)) in hits.iter_mut().zip(ranges) {
                    *hits += touches(first, length);
                }
                let seen = [&watched, &left, &right, &further].map(Slot::hits);
                check_eq!(
                    seen,
                    hits.map(Some),
                    "{length} bytes at {first}, access at {offset}, write: {write}"
                );
            }
        }
    }
    check_eq!(read_sysreg!("cpacr_el1"), before);
    Ok(())
}

fn slot_at(offset: u64, length: u64) -> Result<Slot, harness::ktest::Ended> {
    Slot::counting(&watchpoint_at(AREA.at(offset), length, Access::ReadWrite))
}

specimen! {
    fn add_atomically(at: u64) {
        ".arch_extension lse", "mov x1, #1", "ldadd x1, x2, [x0]", "ret"
    }
}

/// An atomic both reads and writes. If it hits a slot for reads, WnR is clear in the architecture, but QEMU sets it. A slot for
/// stores in the same block must not be taken for the slot that was hit.
pub fn an_atomic_hits_the_slot_on_its_word_and_no_neighbour() -> Outcome {
    if read_sysreg!("id_aa64isar0_el1") >> 20 & 0xf == 0 {
        skip!("there are no atomic instructions (FEAT_LSE)");
    }
    if kernel::smp::online_count() > 1 {
        // Where CPUs run at the same time, QEMU 7.2 executes atomics with the host's atomic instructions, and then checks no
        // watchpoint on reads.
        skip!("where several CPUs run, QEMU's atomics hit no watchpoint on reads");
    }
    static WATCHED: Watched = Watched::new();
    let before = WATCHED.0[2].load(Relaxed);
    for (access, others) in [(Access::Read, Access::Write), (Access::Write, Access::Read)] {
        let on = Slot::counting(&watchpoint_at(WATCHED.address(2), 8, access))?;
        let low = Slot::counting(&watchpoint_at(WATCHED.address(1), 8, others))?;
        let high = Slot::counting(&watchpoint_at(WATCHED.address(3), 8, others))?;
        for n in 1..=10 {
            add_atomically(WATCHED.address(2));
            check_eq!([&on, &low, &high].map(Slot::hits), [Some(n), Some(0), Some(0)], "{access:?}");
        }
    }
    check_eq!(WATCHED.0[2].load(Relaxed), before + 20);
    Ok(())
}
