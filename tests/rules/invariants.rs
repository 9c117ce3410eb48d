//! I1, I2 and I5, which hold between exceptions. The tests of I3 are in `faults`, those of I4 and I7 in `resume`.

use super::code;
use super::seen::Seen;
use super::signal;
use harness::ktest::Outcome;
use harness::{check, check_eq, suite};
use kernel::arch::daif::{self, AllMasked};
use kernel::arch::mdscr;
use kernel::debug::slots::Hit;
use kernel::debug::{self, session};
use kernel::exception::{DebugFrame, Frame};
use kernel::irq::off::IrqOff;
use kernel::watcher;

suite!("rule-invariants":
    i1_what_masks_d_masks_i,
    i2_ss_is_set_for_an_owner_only,
    i5_thread_context_can_be_switched,
    i5_what_stands_in_the_way,
);

fn i1_what_masks_d_masks_i() -> Outcome {
    let masked = AllMasked::new();
    let all = daif::read();
    drop(masked);
    let off = IrqOff::new();
    let interrupts = daif::read();
    drop(off);
    check_eq!(all.bits(), 0x3c0);
    check!(interrupts.bits() & 0x200 == 0, "interrupts off leave debug exceptions on");
    check_eq!(daif::read().bits(), 0);
    Ok(())
}

static SEEN: Seen = Seen::new();

fn i2_ss_is_set_for_an_owner_only() -> Outcome {
    fn looks(frame: &mut Frame) {
        SEEN.note(frame);
    }
    // The context in a step-over has an owner. The interrupt in the middle of it has none.
    signal::Signal::Irq.prepare(looks)?;
    SEEN.reset();
    signal::arm(signal::Signal::Irq);
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    code::line();
    signal::remove(id)?;
    check_eq!((signal::AT_BREAKPOINT.view().owners, signal::AT_BREAKPOINT.count()), (1, 1));
    check_eq!((SEEN.view().owners, SEEN.view().ss), (0, 0));
    check_eq!(mdscr::read() & 1, 0);
    Ok(())
}

fn i5_thread_context_can_be_switched() -> Outcome {
    check_eq!(debug::switch_state().may_switch(), Ok(()));
    debug::check_switchable();
    Ok(())
}

fn i5_what_stands_in_the_way() -> Outcome {
    use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
    use rules::switch::SwitchFault;
    static FAULTS: [AtomicU8; 3] = [const { AtomicU8::new(0) }; 3];
    fn note(n: usize) {
        let fault = debug::switch_state().may_switch().err().map_or(0, |fault| fault as u8 + 1);
        FAULTS[n].store(fault, Relaxed);
    }
    fn in_breakpoint(_: &Hit, _: &mut DebugFrame) {
        note(0);
    }
    fn in_interrupt(_: &mut Frame) {
        note(1);
    }
    fn in_step(_: &mut DebugFrame) -> session::Wish {
        session::Wish::Step
    }
    let id = signal::breakpoint_in_line(watcher!(in_breakpoint))?;
    code::line();
    signal::remove(id)?;
    signal::Signal::Irq.prepare(in_interrupt)?;
    signal::arm(signal::Signal::Irq);
    let id = signal::breakpoint_in_line(watcher!(signal::interrupt))?;
    code::line();
    signal::remove(id)?;
    session::step_with(in_step, || note(2)).map_err(crate::failed)?;
    let expected = [SwitchFault::DebugMasked, SwitchFault::Stash, SwitchFault::Stepping];
    check_eq!(FAULTS.each_ref().map(|fault| fault.load(Relaxed)), expected.map(|fault| fault as u8 + 1));
    Ok(())
}
