//! The exception levels that a slot is for, as far as EL1 can tell: the fields PMC and PAC, with HMC and SSC zero.

use super::attribution::Watched;
use super::bringup::{control, set};
use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at};
use ::slots::{Access, Privilege, Request};
use core::sync::atomic::Ordering::Relaxed;
use harness::check_eq;
use harness::ktest::{Outcome, clean};
use kernel::arch::{barrier, daif};
use kernel::debug::{slots, stats};

specimen! {
    fn target() {
        "nop", "ret"
    }

    fn another() {
        "nop", "ret"
    }
}

static WATCHED: Watched = Watched::new();

fn breakpoint(address: u64, privilege: Privilege) -> Request {
    Request::Breakpoint { address, privilege }
}

fn watchpoint(address: u64, privilege: Privilege) -> Request {
    Request::Watchpoint { address, length: 8, access: Access::ReadWrite, privilege }
}

fn touch() {
    target();
    WATCHED.0[0].store(1, Relaxed);
}

pub fn slots_for_both_levels_hit_at_el1() -> Outcome {
    let slots = [
        Slot::counting(&breakpoint(address_of!(target), Privilege::Both))?,
        Slot::counting(&watchpoint(WATCHED.address(0), Privilege::Both))?,
    ];
    (0..10).for_each(|_| touch());
    check_eq!(slots.each_ref().map(Slot::hits), [Some(10), Some(10)]);
    Ok(())
}

/// The slots are armed by hand, because the manager accepts no kernel address for EL0. A hit shows as a spurious exception (H3).
pub fn slots_for_el0_do_not_hit_at_el1() -> Outcome {
    // A proper slot keeps MDE and KDE set.
    let _proper = Slot::counting(&breakpoint_at(address_of!(another)))?;
    for (privilege, expected) in [(Privilege::El0, 0), (Privilege::El1, 1), (Privilege::Both, 1)] {
        for (request, address) in [
            (breakpoint(0x1000, privilege), address_of!(target)),
            (watchpoint(0x1000, privilege), WATCHED.address(0)),
        ] {
            let kind = request.kind();
            let enabled = request.encode().map_err(failed)?.enabled();
            let last = slots::count(kind) - 1;
            let before = stats::SPURIOUS.here();
            {
                let _masked = daif::AllMasked::new();
                set(kind, last, address, enabled);
                barrier::isb();
            }
            touch();
            let hits = stats::SPURIOUS.here() - before;
            {
                let _masked = daif::AllMasked::new();
                check_eq!(control(kind, last) != 0, expected == 0, "switched off by the hit");
                set(kind, last, 0, 0);
                barrier::isb();
            }
            clean::forgive(hits);
            check_eq!(hits, expected, "{kind}, {privilege:?}");
        }
    }
    Ok(())
}
