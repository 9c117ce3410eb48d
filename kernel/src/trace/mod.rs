//! The trace of exceptions: what the rules did at each, for a tool that compares it with the model, and for pictures.
//!
//! `debug::record` says what is recorded. This module keeps it: the branch that is patched in (`key`) and the rings (`ring`), whose layout
//! the crate `trace` has. Any context may write.

mod key;
mod ring;

pub use key::is_on;
pub use ring::{Begun, begin, last};

use core::ops::Range;

/// If there is a number of CPUs, begins to trace them, with the upper half of `free` for the records. Returns what is left. Called once, at boot, before
/// there are other CPUs and before anything is probed; interrupts are off.
pub fn init(free: Range<usize>, cpus: Option<usize>) -> Range<usize> {
    let Some(cpus) = cpus else { return free };
    match ring::init(&free, cpus) {
        Some(rest) => {
            key::switch_on();
            rest
        }
        None => {
            log::error!(
                "trace=1: {} KiB of memory are too little for a trace of {cpus} CPUs",
                free.len() / 1024
            );
            free
        }
    }
}
