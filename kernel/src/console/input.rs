//! Received bytes, which a thread waits for by interrupt. Either the monitor or the terminal of programs takes them.

use super::uart;
use crate::drivers::gic::{self, GicError, Priority};
use crate::exception::Frame;
use crate::irq::{self, Handler, off};

/// Lets received bytes interrupt the first CPU, for [`wait`]. Thread context, called once.
///
/// # Errors
/// If the interrupt controller has no such interrupt.
pub fn init(interrupt: u32) -> Result<(), GicError> {
    init_with(interrupt, received)
}

/// Lets received bytes interrupt the first CPU, with a handler that calls [`ignore`]. Thread context, called once.
///
/// # Errors
/// If the interrupt controller has no such interrupt.
pub fn init_with(interrupt: u32, handler: Handler) -> Result<(), GicError> {
    irq::set_handler(interrupt, handler);
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

/// Returns the next byte received. If there is none, the next one raises the interrupt. Thread context, one thread at a time.
pub fn take_or_listen() -> Option<u8> {
    let byte = uart().try_get();
    if byte.is_none() {
        uart().enable_rx_interrupt();
    }
    byte
}

/// Has received bytes raise no interrupt, until [`take_or_listen`] finds none. Any context.
pub fn ignore() {
    uart().disable_rx_interrupt();
}

/// Only wakes the CPU up. The bytes stay in the FIFO; when it is full, the sender waits.
fn received(_: &mut Frame) {
    ignore();
}
