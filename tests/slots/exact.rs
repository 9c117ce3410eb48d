//! The instruction from which on a slot is in force. Before the write of its control register a slot never hits, after the ISB it
//! always does. In between it may hit, and on an emulator it does. The removal of a slot is the reverse.

use super::bringup::set;
use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at, watchpoint_at};
use ::slots::{Access, Cpus, Kind, Request};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::arch::{barrier, daif};
use kernel::debug::slots::Watcher;
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::exception::DebugFrame;
use kernel::percpu;
use kernel::watcher;

/// The hits before the write of the control register, between the write and the ISB, and after the ISB.
static HITS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
static DISABLING: AtomicBool = AtomicBool::new(false);
static CELL: AtomicU64 = AtomicU64::new(0);

specimen! {
    /// Reads a doubleword before the write of the control register, between the write and the ISB, and after the ISB.
    fn reads(control: u64, cell: &AtomicU64) {
        "ldr x9, [x1]", "msr dbgwcr0_el1, x0", "ldr x9, [x1]", "isb", "ldr x9, [x1]", "ret"
    }

    fn called() {
        "nop", "ret"
    }

    /// Calls `called` before the write of the control register, between the write and the ISB, and after the ISB.
    fn calls(control: u64, cell: &AtomicU64) {
        "stp x29, x30, [sp, #-16]!",
        "bl {called}",
        "msr dbgbcr0_el1, x0",
        "bl {called}",
        "isb",
        "bl {called}",
        "ldp x29, x30, [sp], #16",
        "ret",
        called = sym called,
    }
}

/// Counts a hit. `place` says at which of the three accesses it was: 0, 8 or 16, the distance from the first one in bytes.
fn note(hit: &Hit, place: u64) {
    let hits = HITS.get(place as usize / 8);
    hits.unwrap_or(&HITS[0]).fetch_add(1, Relaxed);
    if place == 8 && DISABLING.load(Relaxed) {
        // The slot is removed, because the end of the step-over would arm it again.
        let _ = slots::remove(hit.id);
    }
}

fn at_a_read(hit: &Hit, frame: &mut DebugFrame) {
    note(hit, frame.pc.wrapping_sub(address_of!(reads)));
}

fn at_a_call(hit: &Hit, frame: &mut DebugFrame) {
    note(hit, frame.x[30].wrapping_sub(address_of!(calls) + 8));
}

/// Sets a slot for the request, and runs `sequence`, which writes the control register of slot 0. Returns the hits.
fn written(
    request: &Request,
    watcher: &'static Watcher,
    sequence: extern "C" fn(u64, &AtomicU64),
    enabling: bool,
) -> Result<[u64; 3], Ended> {
    let encoding = request.encode().map_err(failed)?;
    let slot = Slot::on(request, Cpus::of(percpu::index() as u32), Disposition::Call(watcher))?;
    check_eq!(slot.0.id().index, 0, "the only slot");
    HITS.iter().for_each(|hits| hits.store(0, Relaxed));
    DISABLING.store(!enabling, Relaxed);
    if enabling {
        let _masked = daif::AllMasked::new();
        set(request.kind(), 0, encoding.value, 0);
        barrier::isb();
    }
    sequence(if enabling { encoding.enabled().into() } else { 0 }, &CELL);
    let hits = [0, 1, 2].map(|n| HITS[n].load(Relaxed));
    check!(enabling || slot.hits().is_none_or(|counted| counted == hits.iter().sum()), "{hits:?}");
    check!(!enabling || slot.hits() == Some(hits.iter().sum()), "{hits:?}, and {:?} counted", slot.hits());
    Ok(hits)
}

fn in_force_from_the_isb_on(
    request: &Request,
    watcher: &'static Watcher,
    sequence: extern "C" fn(u64, &AtomicU64),
) -> Outcome {
    for _ in 0..20 {
        let [before, between, behind] = written(request, watcher, sequence, true)?;
        check_eq!((before, behind), (0, 1), "enabled by the write");
        check!(between <= 1);
        let [before, between, behind] = written(request, watcher, sequence, false)?;
        check_eq!((before, behind), (1, 0), "disabled by the write");
        check!(between <= 1);
    }
    Ok(())
}

pub fn a_watchpoint_is_in_force_from_the_isb_behind_its_write_and_never_before_the_write() -> Outcome {
    let request = watchpoint_at(&raw const CELL as u64, 8, Access::Read);
    check_eq!(request.kind(), Kind::Watchpoint);
    in_force_from_the_isb_on(&request, watcher!(at_a_read), reads)
}

pub fn a_breakpoint_is_in_force_from_the_isb_behind_its_write_and_never_before_the_write() -> Outcome {
    in_force_from_the_isb_on(&breakpoint_at(address_of!(called)), watcher!(at_a_call), calls)
}
