//! Exceptions from EL0. Nothing runs at EL0, so every such exception is a bug of the kernel. The report names the row
//! of the rule table that would apply.

use super::fatal::fatal;
use super::frame::{Frame, ec};
use super::reason::Reason;

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_sync(frame: &mut Frame) -> ! {
    let row = match frame.class() {
        ec::BRK64 => "M3",
        class
            if class == ec::BREAKPOINT_SAME - 1
                || class == ec::STEP_SAME - 1
                || class == ec::WATCHPOINT_SAME - 1 =>
        {
            "M4"
        }
        _ => "M2",
    };
    fatal(frame, row, Reason::FromEl0)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_irq(frame: &mut Frame) -> ! {
    fatal(frame, "M5", Reason::FromEl0)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_error(frame: &mut Frame) -> ! {
    fatal(frame, "M16", Reason::FromEl0)
}

#[unsafe(no_mangle)]
#[unsafe(link_section = ".noprobe.text")]
extern "C" fn exception_el0_32(frame: &mut Frame) -> ! {
    fatal(frame, "M2", Reason::FromAarch32)
}
