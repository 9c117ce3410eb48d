//! Kernel threads: taken in turns, their switches and steps kept apart (I5, M8), deferred work.

pub mod deferred;
pub mod steps;
pub mod turns;

use crate::ktest::Ended;
use crate::sched::{self, Handle};
use alloc::boxed::Box;

/// Starts a thread on this CPU.
pub fn here(name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<Handle, Ended> {
    sched::spawn(crate::percpu::index(), name, Box::new(body)).map_err(super::failed)
}
