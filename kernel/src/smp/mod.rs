//! The other CPUs: how they are brought up, told by interrupts to do something, and held still.

mod bringup;
pub mod cpus;
mod end;
mod park;
mod rendezvous;

pub use bringup::{BringUpError, LAST_UP, bring_up, bring_up_within, init_cpu, present, start_others};
pub use cpus::{kick_slots, online, online_count};
pub use end::{end_this_cpu, stop_others};
pub use park::{Busy, Stopped, park, stop};
pub use rendezvous::{rendezvous, take_part};

use crate::debug;
use crate::exception::Frame;

/// The handler of [`sgi::SLOTS`](crate::irq::sgi::SLOTS): brings this CPU's slots into line with the records.
pub fn slots_interrupt(_: &mut Frame) {
    debug::slots::sync_local();
}
