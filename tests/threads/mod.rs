//! Kernel threads: taken in turns, their switches and steps kept apart (I5, M8), deferred work.

pub mod deferred;
pub mod steps;
pub mod turns;

use alloc::boxed::Box;
use harness::ktest::Ended;
use kernel::sched::{self, Handle};

/// Starts a thread on this CPU.
pub fn here(name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<Handle, Ended> {
    sched::spawn(kernel::percpu::index(), name, Box::new(body)).map_err(super::failed)
}
