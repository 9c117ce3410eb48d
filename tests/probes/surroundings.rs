//! Probes on functions that run in debug context but do not belong to the engine. H6 allows such probes, and by M14 they are hit in
//! debug context too.

use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::debug::session::{self, Wish};
use kernel::exception::DebugFrame;
use kernel::kprobe::{self, ProbeError, Wanted};
use kernel::mm::layout;
use kernel::report::symbols::{self, Kind};

/// Beginnings of the names of functions that steps, breakpoints and exclusive sequences go through.
const NAMES: &[&str] = &[
    "stepwell_probe::classify::",
    "stepwell_probe::exclusive::",
    "stepwell_probe::sequence::",
    "<stepwell_probe::sequence::",
    "<kernel::debug::exclusive::memory::Native as ",
    "kernel::report::symbols::",
    "kernel::debug::session::",
    "kernel::debug::debugger::",
    "kernel::debug::runs::",
    "kernel::drivers::gic::send_sgi",
    "stepwell_slots::request::",
    "core::slice::",
];

specimen! {
    /// Adds 1 with an exclusive sequence that no other function has.
    fn add_one(to: &AtomicU64) {
        "2: ldxr x9, [x0]", "add x9, x9, #1", "stxr w10, x9, [x0]", "cbnz w10, 2b", "ret"
    }
}

static CELL: AtomicU64 = AtomicU64::new(0);
static STEPS: AtomicU64 = AtomicU64::new(0);

fn forty(_: &mut DebugFrame) -> Wish {
    if STEPS.fetch_add(1, Relaxed) < 39 { Wish::Step } else { Wish::Run }
}

pub fn what_debug_contexts_run_through_can_be_probed() -> Outcome {
    const ROUNDS: u64 = 20;
    let no_probe = layout::noprobe_text_start() as u64..layout::noprobe_text_end() as u64;
    let named = |name: &str| NAMES.iter().any(|beginning| name.starts_with(beginning));
    let mut places: Vec<u64> = symbols::all()
        .filter(|symbol| {
            symbol.kind == Kind::Text && named(symbol.name) && !no_probe.contains(&symbol.address)
        })
        .map(|symbol| symbol.address)
        .collect();
    places.dedup();
    let mut wrong = None;
    let probes = kprobe::register_possible(places.into_iter().map(Wanted::at), |_, error| {
        if !matches!(error, ProbeError::Refused(..)) {
            wrong = Some(error);
        }
    });
    CELL.store(0, Relaxed);
    let mut hits = 0;
    let mut stepped = Ok(());
    {
        let breakpoint = Slot::counting(&breakpoint_at(address_of!(add_one)))?;
        for _ in 0..ROUNDS {
            add_one(&CELL);
            STEPS.store(0, Relaxed);
            stepped = stepped.and(session::step_with(forty, || add_one(&CELL)).map(drop));
            hits = breakpoint.hits().unwrap_or(0);
        }
    }
    let counts = kprobe::remove_all(&probes);
    check_eq!(wrong, None);
    stepped.map_err(failed)?;
    check_eq!((CELL.load(Relaxed), hits), (2 * ROUNDS, 2 * ROUNDS));
    let hit = counts.iter().filter(|(hits, missed)| *hits >= ROUNDS && *missed == 0).count();
    check!(hit >= 3, "{hit} of {} were hit in each round: {counts:?}", counts.len());
    check!(counts.iter().all(|(_, missed)| *missed == 0), "{counts:?}");
    Ok(())
}
