//! Received bytes, waited for by interrupt.

use super::uart;
use crate::arch::{barrier, daif};
use crate::drivers::gic::{self, GicError, Priority};
use crate::exception::Frame;
use crate::irq;

/// Has received bytes interrupt the first CPU. Thread context, once.
///
/// # Errors
/// The controller has no such interrupt.
pub fn init(interrupt: u32) -> Result<(), GicError> {
    irq::set_handler(interrupt, received);
    gic::enable(interrupt, Priority::Normal)
}

/// The next byte received; sleeps until there is one. Thread context of the first CPU, interrupts on.
pub fn wait() -> u8 {
    loop {
        if let Some(byte) = uart().try_get() {
            return byte;
        }
        // With interrupts masked what comes from here on still ends the WFI: nothing slips in between.
        daif::set::<{ daif::IF }>();
        uart().enable_rx_interrupt();
        barrier::wfi();
        daif::clear::<{ daif::IF }>();
    }
}

/// Only wakes: the bytes stay in the FIFO, whose sender waits when it is full.
fn received(_: &mut Frame) {
    uart().disable_rx_interrupt();
}
