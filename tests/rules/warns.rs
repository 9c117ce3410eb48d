//! M11: a WARN inherits the masks of its context.

use super::seen::Seen;
use super::signal::{self, Signal};
use super::{code, trace};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering::Relaxed};
use harness::ktest::{Ended, Outcome};
use harness::{check, check_eq, skip, suite};
use kernel::arch::daif;
use kernel::arch::uaccess;
use kernel::debug::bug;
use kernel::debug::slots::Hit;
use kernel::debug::stats;
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, PreHandler, Then};
use kernel::sched;
use kernel::watcher;

suite!("rule-warns":
    m11_inherits_the_masks,
    m11_an_interrupt_can_come_in_the_report,
    m11_stays_masked_in_a_debug_context,
    m11_completes_a_step_over_in_software,
    m11_a_debuggers_step_goes_into_the_report,
    m11_a_reports_own_warn_is_counted_only,
    m11_a_warn_in_a_debug_context_in_a_report_is_reported,
    m11_a_warn_in_an_interrupt_in_a_report_is_reported,
    m11_a_warn_of_another_thread_is_reported,
    m11_recursion_is_bounded,
);

static IN_REPORT: Seen = Seen::new();
static INTERRUPT: Seen = Seen::new();

fn report() -> u64 {
    bug::report as *const () as u64
}

fn look(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    IN_REPORT.note(frame);
    Then::Run
}

fn m11_inherits_the_masks() -> Outcome {
    kprobe::register(report(), Some(look), None).map_err(crate::failed)?;
    let mut seen = [(0, 0, 0); 4];
    for (seen, masks) in seen.iter_mut().zip([0x000, 0x0c0, 0x1c0, 0x3c0]) {
        IN_REPORT.reset();
        daif::write(rules::pstate::Daif::of(masks));
        code::warn();
        let after = daif::read();
        daif::clear::<{ daif::ALL }>();
        *seen = (IN_REPORT.count(), IN_REPORT.view().interrupted, after.bits());
    }
    kprobe::unregister(report()).map_err(crate::failed)?;
    check_eq!(seen, [(1, 0, 0), (1, 0x0c0, 0x0c0), (1, 0x1c0, 0x1c0), (1, 0x3c0, 0x3c0)]);
    Ok(())
}

fn interrupted(frame: &mut Frame) {
    INTERRUPT.note(frame);
}

fn send(_: &Kprobe, _: &mut DebugFrame) -> Then {
    Signal::Irq.send();
    Then::Run
}

fn m11_an_interrupt_can_come_in_the_report() -> Outcome {
    Signal::Irq.prepare(interrupted)?;
    INTERRUPT.reset();
    kprobe::register(report(), Some(send), None).map_err(crate::failed)?;
    code::warn();
    let (on, pc) = (INTERRUPT.count(), INTERRUPT.view().pc);
    let off = IrqOff::new();
    code::warn();
    let held = INTERRUPT.count();
    drop(off);
    kernel::arch::barrier::isb();
    kprobe::unregister(report()).map_err(crate::failed)?;
    check_eq!(on, 1);
    check_eq!(pc, report() + 4, "taken in the report, behind the probe");
    check_eq!((held, INTERRUPT.count()), (1, 2), "interrupts off stay off");
    Ok(())
}

fn m11_stays_masked_in_a_debug_context() -> Outcome {
    fn warns(_: &Hit, frame: &mut DebugFrame) {
        if AROUND.note(frame) == 0 {
            code::warn();
            AROUND.note(frame);
        }
    }
    static AROUND: Seen = Seen::new();
    AROUND.reset();
    IN_REPORT.reset();
    let warnings = stats::WARNINGS.here();
    kprobe::register(report(), Some(look), None).map_err(crate::failed)?;
    let id = signal::breakpoint_in_line(watcher!(warns))?;
    let result = code::line();
    let hits = signal::remove(id)?;
    kprobe::unregister(report()).map_err(crate::failed)?;
    check_eq!((result, hits), (4, 1));
    check_eq!((IN_REPORT.count(), IN_REPORT.view().interrupted), (1, 0x3c0));
    check_eq!(IN_REPORT.view().owners, 1, "M14: the step-over of the outer context is left alone");
    check_eq!((AROUND.count(), AROUND.view().daif, AROUND.view().owners), (2, 0x3c0, 1));
    check_eq!(stats::WARNINGS.here() - warnings, 1);
    Ok(())
}

fn nothing(_: &Hit, _: &mut DebugFrame) {}

fn m11_completes_a_step_over_in_software() -> Outcome {
    let counts = || [&stats::COMPLETED_IN_SOFTWARE, &stats::STEP_OVERS, &stats::CANCELLED].map(|c| c.here());
    let id = signal::breakpoint(code::warn_range().start, watcher!(nothing))?;
    let (before, warnings) = (counts(), stats::WARNINGS.here());
    code::warn();
    let after = counts();
    code::warn();
    let hits = signal::remove(id)?;
    check_eq!(hits, 2, "a breakpoint on a BRK is hit first, each time");
    check_eq!(stats::WARNINGS.here() - warnings, 2);
    let done = [after[0] - before[0], after[1] - before[1], after[2] - before[2]];
    check_eq!(done, [1, 0, 0], "completed in software, by a step, cancelled");
    Ok(())
}

fn m11_a_debuggers_step_goes_into_the_report() -> Outcome {
    for breakpoint in [false, true] {
        let id = breakpoint
            .then(|| signal::breakpoint(code::warn_range().start, watcher!(nothing)))
            .transpose()?;
        let steps = trace::trace(code::warn_range(), || code::warn())?;
        let hits = id.map(signal::remove).transpose()?;
        check_eq!(hits, breakpoint.then_some(1));
        check_eq!(steps.len(), 2, "{steps:x?}");
        check_eq!(steps[0], code::warn_range().start);
        check!(steps[1] != code::warn_behind(), "the step skipped the report");
        let opened = uaccess::read_u32(steps[1] - 4).map_err(crate::failed)?;
        check_eq!(opened & !0x1f, 0xd51b_4220, "the instruction in front is MSR DAIF, Xt");
    }
    Ok(())
}

/// The address of the function that writes every report. The tests interrupt a report at its first instruction.
fn written() -> u64 {
    kernel::console::print as *const () as u64
}

/// Runs `warn`, which raises a WARN, while `pre` handles a probe on [`written`]. Returns how many WARNs were counted, including
/// those that came during the report, and the hits and misses of the probe.
///
/// # Errors
/// Skips the test, before anything is done, if no WARN is printed at this log level.
fn reported(pre: PreHandler, warn: impl FnOnce()) -> Result<(u64, (u64, u64)), Ended> {
    are_printed()?;
    let warnings = stats::WARNINGS.sum();
    kprobe::register(written(), Some(pre), None).map_err(crate::failed)?;
    warn();
    let counts = kprobe::unregister(written()).map_err(crate::failed)?;
    Ok((stats::WARNINGS.sum() - warnings, counts))
}

fn are_printed() -> Outcome {
    if log::max_level() < log::LevelFilter::Warn {
        skip!("nothing is printed at this log level");
    }
    Ok(())
}

/// X16 has this value when [`detour`] branches to [`written`].
const DETOUR_DONE: u64 = 0x6465_746f_7572;

/// The function that [`detour`] calls.
static INSIDE: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

specimen! {
    /// Calls [`INSIDE`] as if [`written`] did so, and then goes on at [`written`].
    fn detour() {
        "stp x29, x30, [sp, #-80]!",
        "mov x29, sp",
        "stp x0, x1, [sp, #16]",
        "stp x2, x3, [sp, #32]",
        "stp x4, x5, [sp, #48]",
        "stp x6, x7, [sp, #64]",
        "adrp x8, {inside}",
        "add x8, x8, :lo12:{inside}",
        "ldr x8, [x8]",
        "blr x8",
        "ldp x6, x7, [sp, #64]",
        "ldp x4, x5, [sp, #48]",
        "ldp x2, x3, [sp, #32]",
        "ldp x0, x1, [sp, #16]",
        "ldp x29, x30, [sp], #80",
        "movz x16, #0x7572",
        "movk x16, #0x746f, lsl #16",
        "movk x16, #0x6465, lsl #32",
        "b {written}",
        inside = sym INSIDE,
        written = sym kernel::console::print,
    }
}

/// A pre-handler on [`written`]: sends each call to [`detour`] once, so that the report calls [`INSIDE`].
fn go_the_other_way(_: &Kprobe, frame: &mut DebugFrame) -> Then {
    if frame.x[16] == DETOUR_DONE {
        frame.x[16] = 0;
        return Then::Run;
    }
    frame.pc = detour as *const () as u64;
    Then::Skip
}

fn reported_with(inside: extern "C" fn()) -> Result<(u64, (u64, u64)), Ended> {
    INSIDE.store(inside as *mut (), Relaxed);
    reported(go_the_other_way, || code::warn())
}

fn m11_a_reports_own_warn_is_counted_only() -> Outcome {
    extern "C" fn warns() {
        code::warn();
    }
    let (warnings, counts) = reported_with(warns)?;
    check_eq!(warnings, 2, "both are counted");
    check_eq!(counts, (2, 0), "one is printed: `written` is hit before its detour and after it");
    Ok(())
}

fn m11_a_warn_in_a_debug_context_in_a_report_is_reported() -> Outcome {
    fn warns(_: &Kprobe, _: &mut DebugFrame) -> Then {
        code::warn();
        Then::Run
    }
    let (warnings, counts) = reported(warns, || code::warn())?;
    check_eq!(warnings, 2, "both are counted");
    check_eq!(
        counts,
        (1, 1),
        "both are printed; the probe is active when it is hit again, so the second hit is missed"
    );
    Ok(())
}

fn m11_a_warn_in_an_interrupt_in_a_report_is_reported() -> Outcome {
    static SENT: AtomicU64 = AtomicU64::new(0);
    fn sends(_: &Kprobe, _: &mut DebugFrame) -> Then {
        if SENT.fetch_add(1, Relaxed) == 0 {
            signal::send();
        }
        Then::Run
    }
    for which in [Signal::Irq, Signal::Fiq, Signal::Nmi] {
        match which.prepare(|_| code::warn()) {
            Err(Ended::Skipped(_)) => continue,
            prepared => prepared?,
        }
        signal::arm(which);
        SENT.store(0, Relaxed);
        let (warnings, counts) = reported(sends, || code::warn())?;
        check_eq!(warnings, 2, "{which:?}: both are counted");
        check_eq!(counts, (2, 0), "{which:?}: both are printed");
    }
    Ok(())
}

fn m11_a_warn_of_another_thread_is_reported() -> Outcome {
    static REPORTS: AtomicBool = AtomicBool::new(false);
    static WARNED: AtomicBool = AtomicBool::new(false);
    /// A pre-handler on [`written`]: makes a reschedule come in the middle of the first report.
    fn gives_way(_: &Kprobe, _: &mut DebugFrame) -> Then {
        if !REPORTS.swap(true, Relaxed) {
            sched::want_reschedule();
            Signal::Irq.send();
        }
        Then::Run
    }
    are_printed()?;
    REPORTS.store(false, Relaxed);
    WARNED.store(false, Relaxed);
    Signal::Irq.prepare(|_| ())?;
    let other = crate::threads::here("warns", || {
        while !REPORTS.load(Relaxed) {
            sched::yield_now();
        }
        code::warn();
        WARNED.store(true, Relaxed);
    })?;
    let mut in_the_middle = false;
    let (warnings, counts) = reported(gives_way, || {
        // A tick would end the other thread's turn in the middle of its report.
        crate::threads::without_tick(|| {
            // The last tick may have switched away from the other thread between its look at REPORTS and its yield. After this turn
            // the other thread is inside of `yield_now`, so its next turn looks at REPORTS again.
            sched::yield_now();
            code::warn();
            // WARNED is read before the tick comes back, which would give the other thread a turn after the report.
            in_the_middle = WARNED.load(Relaxed);
        });
        // The other thread ends, even if the report was never written.
        REPORTS.store(true, Relaxed);
        other.join();
    })?;
    check!(in_the_middle, "the other thread ran in the middle of the report");
    check_eq!(warnings, 2, "both are counted");
    check_eq!(counts, (2, 0), "both are printed");
    Ok(())
}

/// A report faults, the fault handler raises a WARN, the report of that WARN faults, and so on.
fn m11_recursion_is_bounded() -> Outcome {
    extern "C" fn faults() {
        code::load(code::UNMAPPED);
    }
    fn warns(frame: &mut Frame) -> bool {
        if frame.pc == code::load_at() {
            code::warn();
        }
        false
    }
    kernel::mm::fault::catch(Some(warns));
    let outcome = reported_with(faults);
    kernel::mm::fault::catch(None);
    let (warnings, counts) = outcome?;
    check_eq!(warnings, 5, "all are counted");
    check_eq!(
        counts,
        (8, 0),
        "four are printed, the fifth is not: `written` is hit before each detour and after it"
    );
    Ok(())
}
