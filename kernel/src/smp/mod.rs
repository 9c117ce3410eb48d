//! The other CPUs: how they are started, told of changes of slots, held still while text changes, and stopped.

mod bringup;
pub mod cpus;
mod park;
mod rendezvous;

pub use bringup::{BringUpError, LAST_UP, bring_up, init_cpu, present, start_others};
pub use cpus::{kick_slots, online, online_count};
pub use park::{Busy, Stopped, park, stop, stop_others};
pub use rendezvous::{rendezvous, take_part};

use crate::debug;
use crate::exception::Frame;

/// Handles [`sgi::SLOTS`](crate::irq::sgi::SLOTS): applies the changes of slots that another CPU has made.
pub fn slots_interrupt(_: &mut Frame) {
    debug::slots::sync_local();
}
