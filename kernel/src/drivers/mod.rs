//! Device drivers: console UART, interrupt controller, generic timer.
//!
//! They know nothing of the kernel around them: each takes addresses that the caller has mapped.

pub mod gic;
pub mod pl011;
pub mod timer;
