//! M6: a fault at EL1 that is fixed up.

use super::code::{self, UNMAPPED};
use super::seen::Seen;
use super::signal;
use super::trace;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq, suite};
use kernel::arch::daif::{self, AllMasked};
use kernel::arch::uaccess;
use kernel::debug::slots::Hit;
use kernel::debug::stats;
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::watcher;

suite!("rule-faults":
    m6_inherits_the_masks,
    m6_stays_masked_in_a_debug_context,
    m6_completes_a_step_over_in_software,
    m6_a_debuggers_step_goes_into_the_handler,
    m6_a_debuggers_step_and_a_step_over,
    m6_each_attempt_is_a_hit,
    m6_an_interrupt_can_come_in_the_handler,
    k7_a_fault_in_a_copy_is_the_probed_instructions,
    i3_a_nested_fault_leaves_the_snapshot_alone,
);

/// The address of the function that handles faults. It runs with the masks of the context that faulted.
fn handler() -> u64 {
    kernel::mm::fault::handle as *const () as u64
}

static IN_HANDLER: Seen = Seen::new();

/// A probe's handler, which notes the masks of the probed context. A BRK is taken whatever the masks are, so all masks can be seen.
fn look(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    IN_HANDLER.note(frame);
    Then::Run
}

/// Faults in a context with `masks`, and returns the masks that the fault handler runs with, as a probe on it sees them.
fn masks_in_handler(masks: u64) -> Result<u64, Ended> {
    let handler = handler();
    IN_HANDLER.reset();
    kprobe::register(handler, Some(look), None).map_err(crate::failed)?;
    let before = daif::read();
    daif::write(rules::pstate::Daif::of(masks));
    let failed = code::load(UNMAPPED);
    let after = daif::read();
    daif::write(before);
    kprobe::unregister(handler).map_err(crate::failed)?;
    check_eq!((failed, IN_HANDLER.count()), (1, 1));
    check_eq!(after.bits(), masks, "back in the context that faulted");
    Ok(IN_HANDLER.view().interrupted)
}

fn m6_inherits_the_masks() -> Outcome {
    for masks in [0x000, 0x0c0, 0x1c0, 0x3c0] {
        check_eq!(masks_in_handler(masks)?, masks);
    }
    Ok(())
}

fn m6_stays_masked_in_a_debug_context() -> Outcome {
    static READ: AtomicU64 = AtomicU64::new(0);
    fn faults(_: &Hit, _: &mut DebugFrame) {
        // The handler faults once only, so that a hit too many is counted and does not go on for ever.
        if READ.load(Relaxed) != 0 {
            return;
        }
        READ.fetch_add(u64::from(uaccess::read_u8(UNMAPPED) == Err(uaccess::Fault)), Relaxed);
        AFTER.store(daif::read().bits(), Relaxed);
    }
    static AFTER: AtomicU64 = AtomicU64::new(0);
    READ.store(0, Relaxed);
    IN_HANDLER.reset();
    let handler = handler();
    kprobe::register(handler, Some(look), None).map_err(crate::failed)?;
    let completed = stats::COMPLETED_IN_SOFTWARE.here();
    let id = signal::breakpoint_in_line(watcher!(faults))?;
    let result = code::line();
    let hits = signal::remove(id)?;
    kprobe::unregister(handler).map_err(crate::failed)?;
    check_eq!((result, hits, READ.load(Relaxed)), (4, 1, 1));
    check_eq!(IN_HANDLER.count(), 1);
    check_eq!(IN_HANDLER.view().interrupted, 0x3c0);
    check_eq!(IN_HANDLER.view().owners, 1, "the step-over of the outer context is left alone");
    check_eq!(AFTER.load(Relaxed), 0x3c0);
    check_eq!(stats::COMPLETED_IN_SOFTWARE.here() - completed, 0);
    Ok(())
}

fn nothing(_: &Hit, _: &mut DebugFrame) {}

fn m6_completes_a_step_over_in_software() -> Outcome {
    let counts = || [&stats::COMPLETED_IN_SOFTWARE, &stats::STEP_OVERS, &stats::CANCELLED].map(|c| c.here());
    let before = counts();
    let id = signal::breakpoint(code::load_at(), watcher!(nothing))?;
    let failed = code::load(UNMAPPED);
    let after = counts();
    // The second load hits the slot again: the completion in software has armed it.
    let more = code::load(UNMAPPED);
    let hits = signal::remove(id)?;
    check_eq!((failed, more, hits), (1, 1, 2));
    let done = [after[0] - before[0], after[1] - before[1], after[2] - before[2]];
    check_eq!(done, [1, 0, 0], "completed in software, by a step, cancelled");
    Ok(())
}

/// X2: the step lands in the fault handler, on the first instruction that runs unmasked. That is the instruction after its `msr
/// daif`.
fn goes_into_the_handler(steps: &[u64]) -> Outcome {
    let load = code::load_range();
    let fixup = code::load_fixup();
    check_eq!(steps.len(), 4, "{steps:x?}");
    check_eq!(steps[..3], [load.start, load.start + 4, load.start + 8], "{steps:x?}");
    check!(steps[3] != fixup, "the step skipped the handler");
    let opened = uaccess::read_u32(steps[3] - 4).map_err(crate::failed)?;
    check_eq!(opened & !0x1f, 0xd51b_4220, "the instruction in front is MSR DAIF, Xt");
    Ok(())
}

fn m6_a_debuggers_step_goes_into_the_handler() -> Outcome {
    let mut failed = 0;
    let steps = trace::trace(code::load_range(), || failed = code::load(UNMAPPED))?;
    check_eq!(failed, 1);
    goes_into_the_handler(&steps)
}

fn m6_a_debuggers_step_and_a_step_over() -> Outcome {
    let completed = stats::COMPLETED_IN_SOFTWARE.here();
    let id = signal::breakpoint(code::load_at(), watcher!(nothing))?;
    let mut failed = 0;
    let steps = trace::trace(code::load_range(), || failed = code::load(UNMAPPED))?;
    let hits = signal::remove(id)?;
    check_eq!((failed, hits), (1, 1));
    check_eq!(stats::COMPLETED_IN_SOFTWARE.here() - completed, 1);
    goes_into_the_handler(&steps)
}

/// X1: an instruction that faults and is executed again is attempted twice.
fn m6_each_attempt_is_a_hit() -> Outcome {
    static TRIES: AtomicU64 = AtomicU64::new(0);
    fn retry(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        // The handler's argument is the frame of the fault. Once, the frame is changed so that the context executes the load again,
        // with a good address.
        let fault = frame.x[0] as *mut Frame;
        if TRIES.fetch_add(1, Relaxed) == 0 {
            // SAFETY: the argument points to the fault's frame. The fault handler does not run while this probe handler runs, so
            // nothing else uses the frame.
            unsafe { (*fault).x[1] = &raw const TRIES as u64 };
            // SAFETY: see the line above.
            unsafe { (*fault).pc = code::load_at() };
            // The handler returns 1 at once, which says that the fault is handled.
            frame.x[0] = 1;
            frame.pc = frame.x[30];
            return Then::Skip;
        }
        Then::Run
    }
    TRIES.store(0, Relaxed);
    let handler = handler();
    kprobe::register(handler, Some(retry), None).map_err(crate::failed)?;
    let (completed, overs) = (stats::COMPLETED_IN_SOFTWARE.here(), stats::STEP_OVERS.here());
    let id = signal::breakpoint(code::load_at(), watcher!(nothing))?;
    let failed = code::load(UNMAPPED);
    let hits = signal::remove(id)?;
    kprobe::unregister(handler).map_err(crate::failed)?;
    check_eq!((failed, TRIES.load(Relaxed)), (0, 1));
    check_eq!(hits, 2, "two attempts");
    check_eq!(stats::COMPLETED_IN_SOFTWARE.here() - completed, 1, "the attempt that faulted");
    check_eq!(stats::STEP_OVERS.here() - overs, 1, "the attempt that did not");
    Ok(())
}

static INTERRUPT: Seen = Seen::new();

fn interrupted(frame: &mut Frame) {
    INTERRUPT.note(frame);
}

fn send(_: &Kprobe, _: &mut DebugFrame) -> Then {
    signal::Signal::Irq.send();
    Then::Run
}

fn m6_an_interrupt_can_come_in_the_handler() -> Outcome {
    let handler = handler();
    signal::Signal::Irq.prepare(interrupted)?;
    INTERRUPT.reset();
    kprobe::register(handler, Some(send), None).map_err(crate::failed)?;
    let failed = code::load(UNMAPPED);
    let open = INTERRUPT.view().pc;
    let masked = AllMasked::new();
    let failed_masked = code::load(UNMAPPED);
    let held = INTERRUPT.count();
    drop(masked);
    kernel::arch::barrier::isb();
    kprobe::unregister(handler).map_err(crate::failed)?;
    check_eq!((failed, failed_masked), (1, 1));
    check_eq!(open, handler + 4, "taken in the handler, behind the probe");
    check_eq!(
        (held, INTERRUPT.count()),
        (1, 2),
        "no interrupt while the context that faulted masks interrupts"
    );
    Ok(())
}

fn k7_a_fault_in_a_copy_is_the_probed_instructions() -> Outcome {
    static POST: AtomicU64 = AtomicU64::new(0);
    fn post(_: &Kprobe, _: &mut DebugFrame) {
        POST.fetch_add(1, Relaxed);
    }
    POST.store(0, Relaxed);
    let kprobe = kprobe::register(code::load_at(), None, Some(post)).map_err(crate::failed)?;
    let how = kprobe.how();
    let failed = code::load(UNMAPPED);
    let masks = daif::read();
    let mut stepped = 0;
    let steps = trace::trace(code::load_range(), || stepped = code::load(UNMAPPED))?;
    let good = code::load(&raw const POST as u64);
    let counts = kprobe::unregister(code::load_at()).map_err(crate::failed)?;
    check_eq!(how, "out of line");
    check_eq!((failed, stepped, good), (1, 1, 0));
    check_eq!(masks.bits(), 0, "the copy's I and F are gone");
    check_eq!((counts, POST.load(Relaxed)), ((3, 0), 1), "no post-handler behind a fault");
    goes_into_the_handler(&steps)
}

fn i3_a_nested_fault_leaves_the_snapshot_alone() -> Outcome {
    static FAR: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    fn nested(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        // SAFETY: the argument points to the fault's frame. The fault handler does not run while this probe handler runs.
        let fault = unsafe { &*(frame.x[0] as *const Frame) };
        let _ = uaccess::read_u8(UNMAPPED + 0x100);
        FAR[0].store(fault.far, Relaxed);
        FAR[1].store(fault.pc, Relaxed);
        FAR[2].store(kernel::read_sysreg!("far_el1"), Relaxed);
        Then::Run
    }
    let handler = handler();
    kprobe::register(handler, Some(nested), None).map_err(crate::failed)?;
    let failed = code::load(UNMAPPED);
    let counts = kprobe::unregister(handler).map_err(crate::failed)?;
    check_eq!((failed, counts), (1, (1, 1)), "the nested fault's handler is a miss");
    let [far, pc, live] = FAR.each_ref().map(|word| word.load(Relaxed));
    check_eq!(live, UNMAPPED + 0x100, "the register has the nested fault's address");
    check_eq!((far, pc), (UNMAPPED, code::load_at()), "the frame has the first fault's address and PC");
    Ok(())
}
