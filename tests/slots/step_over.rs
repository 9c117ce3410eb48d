//! An interrupt in the middle of a step-over (M8, M9).

use super::attribution::Watched;
use crate::address_of;
use crate::failed;
use crate::support::{OnDemand, Slot, breakpoint_at, interrupt_me, nmi_me, watchpoint_at};
use ::slots::{Access, Cpus, Request, SlotId};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq};
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::debug::stats;
use kernel::exception::{DebugFrame, Frame};
use kernel::watcher;
use kernel::{arch, debug};
use rules::pstate::Daif;

const ROUNDS: u64 = 100;

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "ret"
    }

    fn other(n: u64) -> u64 {
        "add x0, x0, #2", "ret"
    }
}

static INTERRUPTS: AtomicU64 = AtomicU64::new(0);
/// How many interrupts have found an empty stash, or MDSCR_EL1.SS set.
static WRONG: AtomicU64 = AtomicU64::new(0);

fn counted() {
    INTERRUPTS.fetch_add(1, Relaxed);
    let stashed = debug::this().stash_len.get() == 1;
    let ss = arch::mdscr::read() & arch::mdscr::SS != 0;
    WRONG.fetch_add(u64::from(!stashed || ss), Relaxed);
}

fn reset() {
    INTERRUPTS.store(0, Relaxed);
    WRONG.store(0, Relaxed);
}

/// A slot's handler. Outside of interrupts, each call makes an interrupt pending, which is taken before the stepped-over
/// instruction.
fn raise(_: &Hit, frame: &mut DebugFrame) {
    if !frame.masks().contains(Daif::I) {
        interrupt_me();
    }
}

fn raise_nmi(_: &Hit, frame: &mut DebugFrame) {
    if !frame.masks().contains(Daif::I) {
        nmi_me();
    }
}

/// If the slots were not armed again, the breakpoints that the interrupt's handler reaches would not be hit.
pub fn slots_are_armed_again_in_an_interrupt_during_a_step_over() -> Outcome {
    fn handler(_: &mut Frame) {
        counted();
        target(1);
        other(1);
        target(1);
    }
    reset();
    let _interrupt = OnDemand::new(handler);
    let slot = Slot::calling(&breakpoint_at(address_of!(target)), watcher!(raise))?;
    let second = Slot::counting(&breakpoint_at(address_of!(other)))?;
    for n in 0..ROUNDS {
        check_eq!(target(n), n + 1);
    }
    check_eq!((INTERRUPTS.load(Relaxed), WRONG.load(Relaxed)), (ROUNDS, 0));
    check_eq!(slot.hits(), Some(3 * ROUNDS), "one execution in the loop, two in the interrupt's handler");
    check_eq!(second.hits(), Some(ROUNDS));
    Ok(())
}

pub fn a_watchpoint_is_armed_again_in_an_interrupt_during_a_step_over() -> Outcome {
    static WATCHED: Watched = Watched::new();
    fn handler(_: &mut Frame) {
        counted();
        WATCHED.0[1].store(7, Relaxed);
    }
    reset();
    let _interrupt = OnDemand::new(handler);
    let slot = Slot::calling(&watchpoint_at(WATCHED.address(0), 16, Access::Write), watcher!(raise))?;
    for n in 0..ROUNDS {
        WATCHED.0[0].store(n, Relaxed);
        check_eq!((WATCHED.0[0].load(Relaxed), WATCHED.0[1].load(Relaxed)), (n, 7));
    }
    check_eq!((INTERRUPTS.load(Relaxed), WRONG.load(Relaxed)), (ROUNDS, 0));
    check_eq!(slot.hits(), Some(2 * ROUNDS));
    Ok(())
}

/// An NMI's handler runs with D masked, so it hits no slot, but the interrupted step-over must go on. Where the interrupt
/// controller has no priorities, the interrupt is an ordinary one, whose handler does hit slots.
pub fn slots_are_armed_again_in_an_nmi_during_a_step_over() -> Outcome {
    static OPEN: AtomicU64 = AtomicU64::new(0);
    fn handler(_: &mut Frame) {
        counted();
        OPEN.fetch_add(u64::from(!arch::daif::read().contains(Daif::D)), Relaxed);
        target(1);
    }
    reset();
    OPEN.store(0, Relaxed);
    let _interrupt = OnDemand::nmi(handler);
    let slot = Slot::calling(&breakpoint_at(address_of!(target)), watcher!(raise_nmi))?;
    for n in 0..ROUNDS {
        check_eq!(target(n), n + 1);
    }
    let open = OPEN.load(Relaxed);
    check_eq!(open, if kernel::irq::off::by_priority() { 0 } else { ROUNDS });
    check_eq!((INTERRUPTS.load(Relaxed), WRONG.load(Relaxed)), (ROUNDS, 0));
    check_eq!(slot.hits(), Some(ROUNDS + open));
    Ok(())
}

/// The ID of the slot that the interrupt's handler removes. If the handler then installs another slot, that slot's ID.
static THE_SLOT: AtomicU64 = AtomicU64::new(0);

fn the_slot() -> SlotId {
    SlotId::from_word(THE_SLOT.load(Relaxed))
}

fn remember(id: SlotId) {
    THE_SLOT.store(id.to_word(), Relaxed);
}

fn install(request: &Request, disposition: Disposition) -> Result<SlotId, Ended> {
    slots::install(request, Cpus::ALL, disposition).map_err(failed)
}

pub fn a_slot_removed_during_its_step_over_stays_removed() -> Outcome {
    static REMOVED: AtomicU64 = AtomicU64::new(0);
    fn handler(_: &mut Frame) {
        counted();
        REMOVED.fetch_add(u64::from(slots::remove(the_slot()).is_ok()), Relaxed);
    }
    reset();
    REMOVED.store(0, Relaxed);
    let _interrupt = OnDemand::new(handler);
    for round in 1..=20 {
        let cancelled = stats::CANCELLED.here();
        remember(install(&breakpoint_at(address_of!(target)), Disposition::Call(watcher!(raise)))?);
        check_eq!([target(round), target(0)], [round + 1, 1], "run once, and once more without a slot");
        check_eq!((INTERRUPTS.load(Relaxed), WRONG.load(Relaxed), REMOVED.load(Relaxed)), (round, 0, round));
        check_eq!(stats::CANCELLED.here() - cancelled, 1, "the step-over has nothing left to step over");
    }
    Ok(())
}

/// The new slot has the same registers and another generation. The stash names the suspended slot by index and generation, so it
/// does not name the new slot.
pub fn a_slot_reused_during_a_step_over_is_not_suspended() -> Outcome {
    fn handler(_: &mut Frame) {
        counted();
        let before = the_slot();
        if slots::remove(before).is_ok()
            && let Ok(id) = install(&breakpoint_at(address_of!(target) + 4), Disposition::Count)
            && id.index == before.index
        {
            remember(id);
        }
    }
    reset();
    let _interrupt = OnDemand::new(handler);
    for round in 1..=20 {
        let first = install(&breakpoint_at(address_of!(target)), Disposition::Call(watcher!(raise)))?;
        remember(first);
        check_eq!(target(round), round + 1);
        let second = the_slot();
        let hits = slots::hits(second);
        slots::remove(second).map_err(failed)?;
        check!(second != first, "the handler has put another slot there");
        check_eq!(hits, Some(1), "the RET behind the interrupted instruction hits the new slot");
        check_eq!((INTERRUPTS.load(Relaxed), WRONG.load(Relaxed)), (round, 0));
    }
    Ok(())
}
