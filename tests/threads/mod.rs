//! Kernel threads: they take turns, and a switch never splits a step (I5, M8). Also deferred work.

pub mod deferred;
pub mod locks;
pub mod reschedules;
pub mod steps;
pub mod turns;

use alloc::boxed::Box;
use harness::ktest::Ended;
use kernel::arch::daif::AllMasked;
use kernel::sched::{self, Handle};
use kernel::time;

/// Runs `work` without ticks on this CPU. Otherwise the way out of a tick could do what the test expects of another interrupt.
pub fn without_tick<R>(work: impl FnOnce() -> R) -> R {
    {
        let _masked = AllMasked::new();
        time::pause();
    }
    let result = work();
    let _masked = AllMasked::new();
    time::resume();
    result
}

/// Starts a thread on this CPU.
pub fn here(name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<Handle, Ended> {
    sched::spawn(kernel::percpu::index(), name, Box::new(body)).map_err(super::failed)
}
