//! Rule H3: hits and steps that nobody has asked for. The tests cause them by register writes that the slot manager does not know
//! of.

use super::attribution::Watched;
use super::bringup::{control, set};
use crate::address_of;
use crate::support::{Slot, breakpoint_at};
use ::slots::{Access, Kind, Request};
use core::sync::atomic::Ordering::Relaxed;
use harness::ktest::{Outcome, clean};
use harness::{check, check_eq};
use kernel::arch::{barrier, daif, mdscr};
use kernel::debug::{self, control as mdscr_control, record, stats};

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "ret"
    }

    fn another() {
        "nop", "ret"
    }
}

static WATCHED: Watched = Watched::new();

/// Arms the last slot of the request's kind on this CPU, without the slot manager.
pub fn arm_by_hand(request: &Request) -> Outcome {
    let encoding = request.encode().map_err(crate::failed)?;
    let last = kernel::debug::slots::count(request.kind()) - 1;
    let _masked = daif::AllMasked::new();
    set(request.kind(), last, encoding.value, encoding.enabled());
    barrier::isb();
    Ok(())
}

/// `provoke` hits the slot that was armed by hand. After one hit the slot is switched off.
fn switched_off(request: &Request, provoke: fn()) -> Outcome {
    // A proper slot keeps MDE and KDE set: without them the slot that is armed by hand would not hit.
    let proper = Slot::counting(&breakpoint_at(address_of!(another)))?;
    let before = stats::SPURIOUS.here();
    arm_by_hand(request)?;
    provoke();
    check_eq!(stats::SPURIOUS.here() - before, 1);
    clean::forgive(1);
    check_eq!(control(request.kind(), debug::slots::count(request.kind()) - 1), 0, "switched off");
    provoke();
    check_eq!(stats::SPURIOUS.here() - before, 1);
    another();
    check_eq!(proper.hits(), Some(1), "the slot with a record is as it was");
    Ok(())
}

pub fn a_breakpoint_without_record_is_switched_off() -> Outcome {
    switched_off(&breakpoint_at(address_of!(target)), || {
        core::hint::black_box(target(1));
    })
}

pub fn a_watchpoint_without_record_is_switched_off() -> Outcome {
    let request = crate::support::watchpoint_at(WATCHED.address(0), 8, Access::Write);
    check_eq!(request.kind(), Kind::Watchpoint);
    switched_off(&request, || WATCHED.0[0].store(1, Relaxed))
}

pub fn a_step_without_owner_is_cleared() -> Outcome {
    let (spurious, steps) = (stats::SPURIOUS.here(), stats::STEPS.here());
    // Interrupts stay masked: the way out of an interrupt would clear MDSCR_EL1.SS before a step could be taken.
    daif::set::<{ daif::ALL }>();
    record::foreign();
    // SAFETY: D is masked, above.
    mdscr_control::force(unsafe { debug::masked() }, mdscr::SS | mdscr::KDE);
    daif::clear::<{ daif::D }>();
    daif::clear::<{ daif::ALL }>();
    // The step exception was taken when D was opened.
    check_eq!(stats::SPURIOUS.here() - spurious, 1);
    check_eq!(stats::STEPS.here() - steps, 1);
    clean::forgive(1);
    check!(mdscr::read() & mdscr::SS == 0);
    Ok(())
}
