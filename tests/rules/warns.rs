//! M11: a WARN inherits the masks of its context.

use super::seen::Seen;
use super::signal::{self, Signal};
use super::{code, trace};
use harness::ktest::Outcome;
use harness::{check, check_eq, skip, suite};
use kernel::arch::daif;
use kernel::arch::uaccess;
use kernel::debug::bug;
use kernel::debug::slots::Hit;
use kernel::debug::stats;
use kernel::exception::Frame;
use kernel::irq::off::IrqOff;
use kernel::kprobe::{self, Kprobe, Then};

suite!("rule-warns":
    m11_inherits_the_masks,
    m11_an_interrupt_can_come_in_the_report,
    m11_stays_masked_in_a_debug_context,
    m11_completes_a_step_over_in_software,
    m11_a_debuggers_step_goes_into_the_report,
    m11_recursion_is_bounded,
);

static IN_REPORT: Seen = Seen::new();
static INTERRUPT: Seen = Seen::new();

fn report() -> u64 {
    bug::report as *const () as u64
}

fn look(_: &Kprobe, frame: &mut Frame) -> Then {
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

fn send(_: &Kprobe, _: &mut Frame) -> Then {
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
    fn warns(_: &Hit, frame: &mut Frame) {
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
    let id = signal::breakpoint_in_line(warns)?;
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

fn nothing(_: &Hit, _: &mut Frame) {}

fn m11_completes_a_step_over_in_software() -> Outcome {
    let counts = || [&stats::COMPLETED_IN_SOFTWARE, &stats::STEP_OVERS, &stats::CANCELLED].map(|c| c.here());
    let id = signal::breakpoint(code::warn_range().start, nothing)?;
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
        let id = breakpoint.then(|| signal::breakpoint(code::warn_range().start, nothing)).transpose()?;
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

fn m11_recursion_is_bounded() -> Outcome {
    fn warns(_: &Kprobe, _: &mut Frame) -> Then {
        code::warn();
        Then::Run
    }
    if log::max_level() < log::LevelFilter::Warn {
        skip!("nothing is printed at this log level");
    }
    // On the function that the report is written by, so that the second WARN comes while the first is being reported.
    let inside = kernel::console::print as *const () as u64;
    let warnings = stats::WARNINGS.here();
    kprobe::register(inside, Some(warns), None).map_err(crate::failed)?;
    code::warn();
    let counts = kprobe::unregister(inside).map_err(crate::failed)?;
    check_eq!(stats::WARNINGS.here() - warnings, 2, "both are counted");
    check_eq!(counts, (1, 0), "one is printed");
    Ok(())
}
