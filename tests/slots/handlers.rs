//! What a slot's handler may do in debug context (M10).

use super::attribution::Watched;
use crate::address_of;
use crate::failed;
use crate::support::{Slot, breakpoint_at, nothing_left, on_every_cpu, watchpoint_at};
use ::slots::{Access, Cpus, SlotId};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq};
use kernel::arch::daif;
use kernel::arch::uaccess::{self, Fault};
use kernel::debug::slots::{self, Disposition, Hit};
use kernel::exception::DebugFrame;
use kernel::watcher;
use rules::pstate::Daif;

/// A [`SlotId`] that a handler hands over to the test.
struct Kept(AtomicU64);

impl Kept {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    fn keep(&self, id: SlotId) {
        self.0.store(id.to_word(), Relaxed);
    }

    fn take(&self) -> Option<SlotId> {
        let word = self.0.swap(0, Relaxed);
        (word != 0).then_some(SlotId::from_word(word))
    }
}

specimen! {
    fn target(n: u64) -> u64 {
        "add x0, x0, #1", "add x0, x0, #2", "ret"
    }
}

pub fn a_handler_may_change_the_interrupted_context() -> Outcome {
    fn register(_: &Hit, frame: &mut DebugFrame) {
        frame.x[0] = 100;
    }
    fn skip(_: &Hit, frame: &mut DebugFrame) {
        frame.move_to(frame.pc + 4);
    }
    let entry = address_of!(target);
    let changed = Slot::calling(&breakpoint_at(entry), watcher!(register))?;
    check_eq!(target(0), 103, "the handler's register, then both instructions");
    drop(changed);
    let first = Slot::calling(&breakpoint_at(entry), watcher!(skip))?;
    let second = Slot::counting(&breakpoint_at(entry + 4))?;
    for n in 1..=3 {
        check_eq!(target(0), 2, "the first instruction skipped");
        check_eq!(
            (first.hits(), second.hits()),
            (Some(n), Some(n)),
            "the step-over does not lose the next slot's hit"
        );
    }
    Ok(())
}

/// ESR and FAR are read once (I3). A fault inside the handler changes neither of them in the frame, and does not end the handler
/// (M6).
pub fn a_fault_in_a_handler_leaves_its_snapshot_alone() -> Outcome {
    static WATCHED: Watched = Watched::new();
    static WRONG: AtomicU64 = AtomicU64::new(0);
    fn faults(_: &Hit, frame: &mut DebugFrame) {
        let before = (frame.esr, frame.far, frame.pc, frame.pstate);
        let fault = uaccess::read_u8(0xffff_ffff_0000_0000) == Err(Fault);
        let kept = (frame.esr, frame.far, frame.pc, frame.pstate) == before;
        let masked = daif::read() == Daif::all();
        let right = frame.far == WATCHED.address(3);
        WRONG.fetch_add(u64::from(!(fault && kept && masked && right)), Relaxed);
    }
    WRONG.store(0, Relaxed);
    let slot = Slot::calling(&watchpoint_at(WATCHED.address(3), 8, Access::Write), watcher!(faults))?;
    for n in 0..10 {
        WATCHED.0[3].store(n, Relaxed);
    }
    check_eq!((slot.hits(), WRONG.load(Relaxed), WATCHED.0[3].load(Relaxed)), (Some(10), 0, 9));
    Ok(())
}

pub fn a_handler_can_remove_its_own_slot() -> Outcome {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    fn remove(hit: &Hit, _: &mut DebugFrame) {
        CALLS.fetch_add(u64::from(slots::remove(hit.id).is_ok()), Relaxed);
    }
    CALLS.store(0, Relaxed);
    for round in 1..=20 {
        let request = breakpoint_at(address_of!(target));
        slots::install(&request, Cpus::ALL, Disposition::Call(watcher!(remove))).map_err(failed)?;
        check_eq!([target(1), target(2), target(3)], [4, 5, 6]);
        check_eq!(CALLS.load(Relaxed), round, "one hit, and off");
        nothing_left()?;
    }
    Ok(())
}

/// Rule H5: a slot that debug context installs is in force at once on this CPU, and soon on the others. The debug context does not
/// wait for them.
pub fn a_slot_installed_by_a_handler_is_in_force_at_once() -> Outcome {
    static KEPT: Kept = Kept::new();
    static CALLS: AtomicU64 = AtomicU64::new(0);
    static CPUS: AtomicU64 = AtomicU64::new(0);
    fn count(_: &Hit, _: &mut DebugFrame) {
        CALLS.fetch_add(1, Relaxed);
        CPUS.fetch_or(1 << kernel::percpu::index(), Relaxed);
    }
    fn install(_: &Hit, _: &mut DebugFrame) {
        let request = breakpoint_at(address_of!(target) + 4);
        if let Ok(id) = slots::install(&request, Cpus::ALL, Disposition::Call(watcher!(count))) {
            KEPT.keep(id);
        }
    }
    CALLS.store(0, Relaxed);
    CPUS.store(0, Relaxed);
    let installer = Slot::calling(&breakpoint_at(address_of!(target)), watcher!(install))?;
    check_eq!(target(0), 3);
    check_eq!(CALLS.load(Relaxed), 1, "the next instruction hits already");
    drop(installer);
    // The removal has waited for every CPU to bring its slots into line, so the handler's slot is in force everywhere.
    let every = on_every_cpu(|| {
        check_eq!(target(0), 3);
        Ok(())
    });
    let id = KEPT.take().ok_or_else(|| failed("the handler could not install"))?;
    let hits = slots::hits(id);
    slots::remove(id).map_err(failed)?;
    every?;
    let online = kernel::smp::online_count();
    check_eq!(hits, Some(1 + online as u64));
    check_eq!(CPUS.load(Relaxed).count_ones() as usize, online);
    check_eq!(target(0), 3);
    check!(CALLS.load(Relaxed) == 1 + online as u64, "none after remove");
    nothing_left()
}
