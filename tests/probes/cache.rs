//! Cache maintenance after a change of text. Emulators work the same without cache maintenance, so the test records which
//! operations are executed.

use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::Outcome;
use kernel::debug::slots::Hit;
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, Wanted};
use kernel::mm::patch;
use kernel::report::symbols;
use kernel::watcher;

specimen! {
    fn target() {
        "add x0, x0, #1", "ret"
    }
}

static ORDER: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];
static NEXT: AtomicUsize = AtomicUsize::new(0);

fn note(hit: &Hit, _: &mut DebugFrame) {
    if let Some(entry) = ORDER.get(NEXT.fetch_add(1, Relaxed)) {
        entry.store(hit.address, Relaxed);
    }
}

/// The name of the operation that a word is (DC CVAU and IC IVAU of any register, DSB ISH, ISB), or None.
fn name(word: u32) -> Option<&'static str> {
    match (word, word & !0x1f) {
        (0xd503_3b9f, _) => Some("dsb ish"),
        (0xd503_3fdf, _) => Some("isb"),
        (_, 0xd50b_7b20) => Some("dc cvau"),
        (_, 0xd50b_7520) => Some("ic ivau"),
        _ => None,
    }
}

/// DDI 0487 B2, "Synchronization and coherency issues between data and instruction accesses": the data cache is cleaned to the
/// point of unification, the instruction cache is invalidated, and a barrier follows each of the two. The ISB comes where the alias
/// is removed; `bench.barriers` of xtask checks it.
pub fn text_is_patched_with_cache_maintenance_in_order() -> Outcome {
    let function = symbols::at(address_of!(patch::Patch::write)).ok_or_else(|| failed("no symbol"))?;
    let words = (function.address..function.address + function.size).step_by(4);
    let operations = words.filter_map(|at| Some((at, name(kprobe::original(at)?)?)));
    let operations: alloc::vec::Vec<(u64, &str)> = operations.collect();
    let from = operations.iter().position(|(_, name)| *name == "dc cvau").unwrap_or(0);
    let mut slots = alloc::vec::Vec::new();
    for &(at, _) in operations.iter().skip(from).take(4) {
        slots.push(Slot::calling(&breakpoint_at(at), watcher!(note))?);
    }
    NEXT.store(0, Relaxed);
    // The registration writes the line of copies with D open, so that the breakpoints hit. The exchange of the probed word calls
    // the same function, but with D masked.
    let plain = Wanted { optimise: Some(false), ..Wanted::at(address_of!(target)) };
    kprobe::register_all([plain]).map_err(failed)?;
    let noted = NEXT.swap(0, Relaxed);
    let order = ORDER.each_ref().map(|entry| entry.load(Relaxed));
    kprobe::unregister(address_of!(target)).map_err(failed)?;
    let done = order
        .iter()
        .take(noted)
        .filter_map(|at| operations.iter().find(|(a, _)| a == at).map(|(_, name)| *name));
    let done: alloc::vec::Vec<&str> = done.collect();
    check_eq!(done, ["dc cvau", "dsb ish", "ic ivau", "dsb ish"]);
    Ok(())
}
