//! Received bytes, which a thread waits for by interrupt.

use super::uart;
use crate::drivers::gic::{self, GicError, Priority};
use crate::exception::Frame;
use crate::irq::{self, off};

/// Lets received bytes interrupt the first CPU. Thread context, called once.
///
/// # Errors
/// If the interrupt controller has no such interrupt.
pub fn init(interrupt: u32) -> Result<(), GicError> {
    irq::set_handler(interrupt, received);
    gic::enable(interrupt, Priority::Normal)
}

/// Returns the next byte received; sleeps until there is one. Thread context of the first CPU, interrupts on.
pub fn wait() -> u8 {
    loop {
        if let Some(byte) = uart().try_get() {
            return byte;
        }
        off::wait_unless(|| {
            uart().enable_rx_interrupt();
            false
        });
    }
}

/// Only wakes the CPU up. The bytes stay in the FIFO; when it is full, the sender waits.
fn received(_: &mut Frame) {
    uart().disable_rx_interrupt();
}
