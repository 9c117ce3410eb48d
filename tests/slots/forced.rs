//! Slots that rule H6 refuses are set nevertheless: the kernel must survive them.

use super::attribution::Watched;
use super::bringup::control;
use super::spurious::arm_by_hand;
use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at, on_every_cpu, watchpoint_at};
use ::slots::{Access, Cpus, Request, SlotError};
use core::sync::atomic::Ordering::Relaxed;
use harness::ktest::{Ended, Outcome, clean};
use harness::{check, check_eq};
use kernel::debug::slots::{self, Disposition};
use kernel::debug::stats;
use kernel::report::symbols;

specimen! {
    fn target() {
        "nop", "ret"
    }
}

static WATCHED: Watched = Watched::new();

fn forced(request: &Request) -> Result<Slot, Ended> {
    slots::install_despite_no_probe(request, Cpus::ALL, Disposition::Count)
        .map(|id| Slot(id.into()))
        .map_err(failed)
}

/// Makes the slot manager do everything that it can do, and checks the counts.
fn work() -> Outcome {
    for round in 1..=10 {
        let breakpoint = Slot::counting(&breakpoint_at(address_of!(target)))?;
        let watchpoint = Slot::counting(&watchpoint_at(WATCHED.address(0), 8, Access::Write))?;
        for n in 1..=round {
            target();
            WATCHED.0[0].store(n, Relaxed);
        }
        check_eq!((breakpoint.hits(), watchpoint.hits()), (Some(round), Some(round)));
    }
    on_every_cpu(|| {
        target();
        Ok(())
    })
}

pub fn breakpoints_in_the_slot_manager_are_survived_when_forced() -> Outcome {
    let everywhere = symbols::by_name("debug::slots::apply::sync_cpus").map_err(failed)?.address;
    for function in [address_of!(slots::sync_local), everywhere] {
        let slot = forced(&breakpoint_at(function))?;
        work()?;
        check!(slot.hits().is_some_and(|hits| hits >= 40), "{:?} hits at {function:#x}", slot.hits());
    }
    // The dispatcher and the way out run with D masked, so slots there cannot hit.
    let vectors = kernel::read_sysreg!("vbar_el1");
    for masked in [vectors + 0x200, vectors + 0x280, address_of!(slots::spurious)] {
        let slot = forced(&breakpoint_at(masked))?;
        work()?;
        check_eq!(slot.hits(), Some(0));
    }
    Ok(())
}

pub fn watchpoints_on_the_slot_managers_data_are_survived_when_forced() -> Outcome {
    let address = |name| symbols::by_name(name).map(|symbol| symbol.address).map_err(failed);
    // These are parts of the first breakpoint's record. The state word is left out, because exclusives change it.
    let record = address("SLOTS")?;
    // This is all of the first CPU's debug state: owners, depth, the value of MDSCR_EL1, the stash.
    let cpu = address("CPU_DEBUG")?;
    let debug_state = size_of::<kernel::debug::CpuDebug>() as u64;
    for (address, length) in [(record + 8, 8), (record + 16, 8), (cpu, debug_state)] {
        let slot = forced(&watchpoint_at(address, length, Access::ReadWrite))?;
        work()?;
        check!(slot.hits().is_some_and(|hits| hits >= 10), "{:?} hits at {address:#x}", slot.hits());
    }
    Ok(())
}

/// Slots without a record, on the function that writes the slot registers and on the manager's data. If nothing switched such a
/// slot off, it would be hit again and again without end. The manager refuses to set such slots. A slot that is armed by hand is
/// counted and switched off at its first hit.
pub fn slots_without_a_record_in_the_slot_manager_are_counted_and_switched_off() -> Outcome {
    let record = symbols::by_name("SLOTS").map_err(failed)?.address;
    let on_text = breakpoint_at(address_of!(slots::sync_local));
    let on_data = watchpoint_at(record + 8, 8, Access::ReadWrite);
    // A proper slot keeps MDE and KDE set: without them a slot that is armed by hand would not hit.
    let _proper = Slot::counting(&watchpoint_at(WATCHED.address(1), 8, Access::Write))?;
    for request in [on_text, on_data] {
        let refused = slots::install(&request, Cpus::ALL, Disposition::Count).err();
        let address = request.address();
        check!(
            matches!(refused, Some(SlotError::NoProbeText { address: at } | SlotError::NoProbeData { address: at }) if at == address),
            "{refused:?}"
        );
        let before = stats::SPURIOUS.here();
        arm_by_hand(&request)?;
        work()?;
        check_eq!(stats::SPURIOUS.here() - before, 1);
        clean::forgive(1);
        check_eq!(control(request.kind(), slots::count(request.kind()) - 1), 0, "switched off");
        work()?;
        check_eq!(stats::SPURIOUS.here() - before, 1);
    }
    Ok(())
}
