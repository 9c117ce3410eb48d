//! Device drivers: console UART, interrupt controller, generic timer, virtio console.
//!
//! The drivers use no other part of the kernel, except `arch`: each driver is given addresses that its caller has
//! mapped.

pub mod gic;
pub mod pl011;
pub mod timer;
pub mod virtio_console;
