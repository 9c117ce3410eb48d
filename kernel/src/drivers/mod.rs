//! Device drivers: console UART, interrupt controller, generic timer.
//!
//! The drivers do not use the kernel around them, but for `arch`: each takes addresses that the caller has mapped.

pub mod gic;
pub mod pl011;
pub mod timer;
