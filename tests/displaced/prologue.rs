//! No slot and no step sees the engine's own accesses (M12b, H6). An example is an optimised probe's trampoline, which writes to
//! the stack below SP.

use super::{How, Probe, is_astray, masked, undisturbed};
use crate::address_of;
use crate::failed;
use crate::support::{OwnPage, Slot, watchpoint_at};
use ::slots::{Access, Cpus};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::check_eq;
use harness::ktest::{Ended, Outcome};
use kernel::debug::session::{self, Wish};
use kernel::debug::slots::{Disposition, Hit};
use kernel::exception::DebugFrame;
use kernel::percpu;
use kernel::watcher;
use rules::pstate::Daif;

specimen! {
    /// Stores SP to `sp`. The second instruction is probed.
    fn target(n: u64, sp: &mut u64) -> u64 {
        "mov x9, sp", "add x0, x0, #1", "str x9, [x1]", "ret"
    }
}

/// The bytes below SP that a trampoline uses for its frame. The tests also watch the doubleword on either side of them.
const FRAME: u64 = kernel::exception::frame::FRAME_SIZE as u64;

static ASTRAY: AtomicU64 = AtomicU64::new(0);

fn look(_: &Hit, frame: &mut DebugFrame) {
    ASTRAY.fetch_add(u64::from(is_astray(frame.pc)), Relaxed);
}

/// For each doubleword of the trampoline's frame and its two neighbours, the hits of a watchpoint in two calls of `target` with
/// these masks. This function's own calls use the same stack, but always in the same way, so the counts with and without a probe
/// can be compared.
#[inline(never)]
fn hits_below(masks: Daif, disposition: Disposition) -> Result<Vec<u64>, Ended> {
    let mut sp = 0;
    target(0, &mut sp);
    let mut all = Vec::with_capacity(FRAME as usize / 8 + 2);
    for at in (sp - FRAME - 8..sp + 8).step_by(8) {
        let request = watchpoint_at(at, 8, Access::ReadWrite);
        let slot = Slot::on(&request, Cpus::of(percpu::index() as u32), disposition)?;
        let before = slot.hits();
        let result = masked(masks, || target(1, &mut sp) + target(2, &mut sp));
        let after = slot.hits();
        drop(slot);
        check_eq!(result, 5);
        let (Some(before), Some(after)) = (before, after) else { return Err(failed("gone")) };
        all.push(after - before);
    }
    Ok(all)
}

pub fn no_slot_sees_the_stack_of_an_optimised_probe() -> Outcome {
    let site = address_of!(target) + 4;
    for disposition in [Disposition::Count, Disposition::Call(watcher!(look))] {
        for masks in [Daif::empty(), Daif::I | Daif::F, Daif::I] {
            ASTRAY.store(0, Relaxed);
            let natively = undisturbed(|| hits_below(masks, disposition))?;
            for how in [How::Pre, How::Post, How::Optimised] {
                let probe = Probe::on(site, how)?;
                let probed = undisturbed(|| hits_below(masks, disposition))?;
                let calls = 1 + 2 * (FRAME / 8 + 2);
                check_eq!(probe.remove(calls), (calls, 0), "{how:?}");
                check_eq!(probed, natively, "{how:?}, {masks}");
                check_eq!(ASTRAY.load(Relaxed), 0, "{how:?}, {masks}");
            }
        }
    }
    Ok(())
}

static CELL: OwnPage<AtomicU64> = OwnPage(AtomicU64::new(0));

specimen! {
    /// The store hits a watchpoint, whose handler moves PC past the ADD behind the store to the instruction after it.
    fn stores(n: u64, cell: *const AtomicU64) -> u64 {
        "str x0, [x1]", "add x0, x0, #16", "add x0, x0, #1", "add x0, x0, #2", "ret"
    }
}

/// A handler that changes PC alone leaves the step due: the instruction at the new PC is stepped, and the step lands behind it.
pub fn a_step_that_is_sent_to_an_optimised_probe_lands_behind_it() -> Outcome {
    static LANDED: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
    static COUNT: AtomicU64 = AtomicU64::new(0);
    fn sends(_: &Hit, frame: &mut DebugFrame) {
        frame.pc += 8;
    }
    fn hook(frame: &mut DebugFrame) -> Wish {
        let word = frame.pc.wrapping_sub(address_of!(stores)) / 4;
        if word < 5 || is_astray(frame.pc) {
            let count = COUNT.fetch_add(1, Relaxed);
            LANDED[count as usize % LANDED.len()].store(word, Relaxed);
        }
        Wish::Step
    }
    for how in How::ALL {
        COUNT.store(0, Relaxed);
        let slot = Slot::calling(&watchpoint_at(CELL.as_ptr() as u64, 8, Access::Write), watcher!(sends))?;
        let probe = Probe::on(address_of!(stores) + 8, how)?;
        let mut result = 0;
        undisturbed(|| session::step_with(hook, || result = stores(1, &raw const CELL.0))).map_err(failed)?;
        check_eq!((result, probe.remove(1), slot.hits()), (4, (1, 0), Some(1)), "{how:?}");
        let landed: Vec<u64> =
            LANDED.iter().take(COUNT.load(Relaxed) as usize).map(|word| word.load(Relaxed)).collect();
        check_eq!(landed, [0, 3, 4], "{how:?}");
    }
    Ok(())
}
