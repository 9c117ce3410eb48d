//! Guards that keep interrupts off, on several CPUs.

use harness::check_eq;
use kernel::irq::off::{self, IrqOff};
use harness::ktest::{Outcome, clean};

/// Interrupts are put back by the last guard dropped, to what the first guard found, in whichever order guards are dropped. A guard
/// that is dropped out of order is counted.
pub fn interrupt_guards_dropped_out_of_order_leave_interrupts_as_they_were() -> Outcome {
    let before = off::out_of_order();
    let (first, second, third) = (IrqOff::new(), IrqOff::new(), IrqOff::new());
    let mut enabled = [off::enabled(); 3];
    drop(first);
    enabled[1] = off::enabled();
    drop(third);
    enabled[2] = off::enabled();
    drop(second);
    check_eq!(enabled, [false; 3]);
    check_eq!(off::enabled(), true, "the last one is gone");
    let counted = off::out_of_order() - before;
    clean::forgive(counted);
    check_eq!(counted > 0, true);

    let (outer, inner) = (IrqOff::new(), IrqOff::new());
    drop(inner);
    let enabled = off::enabled();
    drop(outer);
    check_eq!((enabled, off::enabled()), (false, true));
    check_eq!(off::out_of_order() - before, counted, "in order");
    Ok(())
}
