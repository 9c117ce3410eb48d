//! Steps of instructions that have a slot: the debugger and the step-over both own the step.

use super::trace::{trace, trace_with};
use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at, watchpoint_at};
use ::slots::Access;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::mdscr;
use kernel::exception::Frame;
use kernel::kprobe;

specimen! {
    fn stores(to: *const AtomicU64) {
        "mov x1, #5", "str x1, [x0]", "ldr x1, [x0]", "add x1, x1, #1", "str x1, [x0]", "ret"
    }
}

pub fn a_step_over_a_breakpoint_is_one_step_and_one_hit() -> Outcome {
    static CELL: AtomicU64 = AtomicU64::new(0);
    let entry = address_of!(stores);
    let first = Slot::counting(&breakpoint_at(entry))?;
    let third = Slot::counting(&breakpoint_at(entry + 12))?;
    let trace = trace(entry, || stores(&CELL))?;
    check_eq!(trace.words(), [0, 1, 2, 3, 4, 5]);
    check!(trace.complete);
    check_eq!((first.hits(), third.hits()), (Some(1), Some(1)));
    check_eq!(CELL.load(Relaxed), 6);
    stores(&CELL);
    check_eq!((first.hits(), third.hits()), (Some(2), Some(2)), "both are armed again");
    Ok(())
}

pub fn a_step_over_a_watchpoint_is_one_step_and_one_hit() -> Outcome {
    static CELL: AtomicU64 = AtomicU64::new(0);
    let entry = address_of!(stores);
    let writes = Slot::counting(&watchpoint_at(&raw const CELL as u64, 8, Access::Write))?;
    let reads = Slot::counting(&watchpoint_at(&raw const CELL as u64, 8, Access::Read))?;
    let trace = trace(entry, || stores(&CELL))?;
    check_eq!(trace.words(), [0, 1, 2, 3, 4, 5]);
    check!(trace.complete);
    check_eq!((writes.hits(), reads.hits()), (Some(2), Some(1)));
    check_eq!(CELL.load(Relaxed), 6);
    Ok(())
}

pub fn a_step_over_a_breakpoint_on_a_probe_hits_both_once() -> Outcome {
    static CELL: AtomicU64 = AtomicU64::new(0);
    let entry = address_of!(stores);
    let breakpoint = Slot::counting(&breakpoint_at(entry + 4))?;
    let watchpoint = Slot::counting(&watchpoint_at(&raw const CELL as u64, 8, Access::Write))?;
    kprobe::register(entry + 4, None, None).map_err(failed)?;
    let trace = trace(entry, || stores(&CELL));
    let counts = kprobe::unregister(entry + 4);
    check_eq!(trace?.words(), [0, 1, 2, 3, 4, 5]);
    check_eq!(counts, Ok((1, 0)));
    check_eq!((breakpoint.hits(), watchpoint.hits()), (Some(1), Some(2)));
    check_eq!(CELL.load(Relaxed), 6);
    Ok(())
}

specimen! {
    fn reads_mdscr() -> u64 {
        "mrs x0, mdscr_el1", "ret"
    }
}

/// Rule H8: a step needs KDE and not MDE. The hook runs with D masked, so it is not stepped itself.
pub fn a_step_needs_kde_and_no_mde() -> Outcome {
    static IN_HOOK: AtomicU64 = AtomicU64::new(0);
    fn look(_: &Frame) {
        IN_HOOK.fetch_or(u64::from(!kernel::arch::daif::read().contains(rules::pstate::Daif::D)), Relaxed);
    }
    IN_HOOK.store(0, Relaxed);
    let mut seen = 0;
    let trace = trace_with(address_of!(reads_mdscr), look, || seen = reads_mdscr())?;
    check_eq!(trace.words(), [0, 1]);
    check_eq!(seen & (mdscr::SS | mdscr::KDE | mdscr::MDE), mdscr::SS | mdscr::KDE);
    check_eq!(mdscr::read(), mdscr::TDCC, "nothing needs a bit any more");
    check_eq!(IN_HOOK.load(Relaxed), 0, "the hook is debug context: D is masked");
    Ok(())
}
