//! M12 and M14: probes, and BRKs inside debug contexts.

use super::seen::Seen;
use super::signal::{self, Signal};
use super::{code, trace};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use harness::ktest::Outcome;
use harness::{check, check_eq, skip, suite};
use kernel::debug::slots::Hit;
use kernel::debug::stats;
use kernel::exception::brk;
use kernel::exception::{DebugFrame, Frame};
use kernel::kprobe::{self, Kprobe, Then};
use kernel::watcher;

suite!("rule-probes":
    m12_probe_handlers_are_masked,
    m12_a_debugger_steps_over_a_probed_instruction,
    m12_a_debugger_steps_over_a_simulated_instruction,
    m12_an_interrupt_waits_for_the_copy,
    m12_a_debuggers_brk_is_masked,
    m14_a_probe_in_a_debug_context,
    m14_a_debuggers_brk_in_a_debug_context,
    m14_a_brk_in_a_probes_handler,
);

static PRE: Seen = Seen::new();
static POST: Seen = Seen::new();
static INTERRUPT: Seen = Seen::new();

fn pre(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    PRE.note(frame);
    Then::Run
}

fn post(_: &Kprobe, frame: &mut DebugFrame) {
    POST.note(frame);
}

fn reset() {
    for seen in [&PRE, &POST, &INTERRUPT] {
        seen.reset();
    }
}

/// The address of the probe: the second instruction of `code::line`.
fn in_line() -> u64 {
    code::line_range().start + 4
}

fn m12_probe_handlers_are_masked() -> Outcome {
    for masks in [0x000, 0x0c0, 0x3c0] {
        reset();
        kprobe::register(in_line(), Some(pre), Some(post)).map_err(crate::failed)?;
        kernel::arch::daif::write(rules::pstate::Daif::of(masks));
        let result = code::line();
        let after = kernel::arch::daif::read();
        kernel::arch::daif::clear::<{ kernel::arch::daif::ALL }>();
        let counts = kprobe::unregister(in_line()).map_err(crate::failed)?;
        check_eq!((result, counts, after.bits()), (4, (1, 0), masks));
        for seen in [&PRE, &POST] {
            check_eq!(seen.count(), 1);
            let view = seen.view();
            check_eq!((view.daif, view.interrupted, view.depth), (0x3c0, masks, 1));
        }
        check_eq!((PRE.view().pc, POST.view().pc), (in_line(), in_line() + 4));
    }
    Ok(())
}

fn m12_a_debugger_steps_over_a_probed_instruction() -> Outcome {
    reset();
    let line = code::line_range();
    let kprobe = kprobe::register(in_line(), Some(pre), Some(post)).map_err(crate::failed)?;
    let how = kprobe.how();
    let mut result = 0;
    let steps = trace::trace(line.clone(), || result = code::line())?;
    kprobe::unregister(in_line()).map_err(crate::failed)?;
    check_eq!((how, result), ("out of line", 4));
    check_eq!(PRE.view().owners, 0, "parked");
    check_eq!(POST.view().owners, 0, "parked");
    check_eq!((PRE.count(), POST.count()), (1, 1));
    check_eq!(steps.len(), 6, "{steps:x?}");
    check!(steps[..5].iter().zip(line.step_by(4)).all(|(step, at)| *step == at), "{steps:x?}");
    Ok(())
}

fn m12_a_debugger_steps_over_a_simulated_instruction() -> Outcome {
    reset();
    let branch = code::branch_range();
    let kprobe = kprobe::register(branch.start, Some(pre), Some(post)).map_err(crate::failed)?;
    let how = kprobe.how();
    let mut result = 0;
    let steps = trace::trace(branch.clone(), || result = code::branch())?;
    kprobe::unregister(branch.start).map_err(crate::failed)?;
    check_eq!((how, result), ("simulated", 7));
    check_eq!((PRE.count(), POST.count(), PRE.view().owners), (1, 1, 0));
    check_eq!(steps.len(), 4, "{steps:x?}");
    check_eq!(steps[..3], [branch.start, branch.start + 8, branch.start + 12], "{steps:x?}");
    Ok(())
}

/// K8: an interrupt that becomes pending before the copy runs is taken behind the probed instruction. The owners of the step are
/// back in place by then.
fn m12_an_interrupt_waits_for_the_copy() -> Outcome {
    fn send(_: &Kprobe, frame: &mut DebugFrame) -> Then {
        PRE.note(frame);
        Signal::Irq.send();
        Then::Run
    }
    fn interrupted(frame: &mut Frame) {
        INTERRUPT.note(frame);
    }
    reset();
    let line = code::line_range();
    Signal::Irq.prepare(interrupted)?;
    kprobe::register(in_line(), Some(send), Some(post)).map_err(crate::failed)?;
    let plain = code::line();
    let first = INTERRUPT.view();
    let mut result = 0;
    let steps = trace::trace(line.clone(), || result = code::line())?;
    kprobe::unregister(in_line()).map_err(crate::failed)?;
    check_eq!((plain, result), (4, 4));
    check_eq!((first.pc, first.stash), (in_line() + 4, 0));
    check_eq!((INTERRUPT.count(), POST.count()), (2, 2));
    let second = INTERRUPT.view();
    check_eq!((second.pc, second.stash, second.ss), (in_line() + 4, 1, 0));
    check_eq!(second.spsr_ss, 0, "the debugger's step is done and not yet reported");
    check_eq!(steps.len(), 6, "{steps:x?}");
    check!(steps[..5].iter().zip(line.step_by(4)).all(|(step, at)| *step == at), "{steps:x?}");
    Ok(())
}

fn debuggers_brk() {
    // SAFETY: the kernel goes on behind the BRK, with all registers as they were.
    unsafe { core::arch::asm!("brk #{}", const brk::DEBUGGER, options(nostack, preserves_flags)) }
}

/// Where no debugger is registered, a debugger's BRK prints a message and the code goes on. A probe on the function that prints
/// shows the masks.
fn m12_a_debuggers_brk_is_masked() -> Outcome {
    if log::max_level() < log::LevelFilter::Warn {
        skip!("nothing is printed at this log level");
    }
    reset();
    let inside = kernel::console::print as *const () as u64;
    kprobe::register(inside, Some(pre), None).map_err(crate::failed)?;
    debuggers_brk();
    kprobe::unregister(inside).map_err(crate::failed)?;
    let seen = PRE.view();
    check!(PRE.count() >= 1);
    check_eq!((seen.interrupted, seen.depth), (0x3c0, 2));
    Ok(())
}

/// A probe in a debug context leaves the owners of the outer context's step and its masks alone.
fn m14_a_probe_in_a_debug_context() -> Outcome {
    fn calls(_: &Hit, frame: &mut DebugFrame) {
        if OUTER.note(frame) == 0 {
            RESULT.store(code::branch() * 100 + code::line(), Relaxed);
        }
    }
    static OUTER: Seen = Seen::new();
    static RESULT: AtomicU64 = AtomicU64::new(0);
    reset();
    OUTER.reset();
    let (overs, done) = (stats::STEP_OVERS.here(), stats::COMPLETED_IN_SOFTWARE.here());
    // The first probed instruction is simulated, the second one runs out of line.
    let probed = [code::branch_range().start, code::line_range().start];
    for address in probed {
        kprobe::register(address, Some(pre), Some(post)).map_err(crate::failed)?;
    }
    let id = signal::breakpoint(code::flags_at(), watcher!(calls))?;
    let flags = code::flags(0x4000_0000);
    let hits = signal::remove(id)?;
    for address in probed {
        let counts = kprobe::unregister(address).map_err(crate::failed)?;
        check_eq!(counts, (1, 0));
    }
    check_eq!((RESULT.load(Relaxed), flags), (704, 0x4000_0000));
    check_eq!((hits, OUTER.count()), (1, 1));
    for seen in [&PRE, &POST] {
        let view = seen.view();
        check_eq!((seen.count(), view.daif, view.interrupted), (2, 0x3c0, 0x3c0));
        check_eq!(
            (view.depth, view.owners, view.stash),
            (2, 1, 0),
            "the only step-over is the outer context's"
        );
    }
    check_eq!(stats::STEP_OVERS.here() - overs, 1, "the step-over ends by its step");
    check_eq!(stats::COMPLETED_IN_SOFTWARE.here() - done, 0);
    Ok(())
}

fn m14_a_debuggers_brk_in_a_debug_context() -> Outcome {
    fn stops(_: &Hit, frame: &mut DebugFrame) {
        if PRE.note(frame) == 0 {
            debuggers_brk();
            POST.note(frame);
        }
    }
    reset();
    let id = signal::breakpoint_in_line(watcher!(stops))?;
    let result = code::line();
    let hits = signal::remove(id)?;
    check_eq!((result, hits), (4, 1));
    check_eq!((POST.count(), POST.view().daif, POST.view().owners), (1, 0x3c0, 1));
    Ok(())
}

fn m14_a_brk_in_a_probes_handler() -> Outcome {
    fn nests(probe: &Kprobe, frame: &mut DebugFrame) -> Then {
        pre(probe, frame);
        code::branch();
        Then::Run
    }
    reset();
    let branch = code::branch_range().start;
    kprobe::register(branch, None, Some(post)).map_err(crate::failed)?;
    kprobe::register(in_line(), Some(nests), None).map_err(crate::failed)?;
    let mut result = 0;
    let steps = trace::trace(code::line_range(), || result = code::line())?;
    let counts = [in_line(), branch].map(kprobe::unregister);
    check_eq!(counts, [Ok((1, 0)), Ok((1, 0))]);
    check_eq!((result, steps.len()), (4, 6), "{steps:x?}");
    check_eq!((PRE.view().depth, POST.view().depth), (1, 2));
    check_eq!((POST.view().daif, POST.view().interrupted, POST.view().owners), (0x3c0, 0x3c0, 0));
    Ok(())
}
