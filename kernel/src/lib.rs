//! The Stepwell kernel: AArch64 debug exceptions under written, checked rules.
//!
//! `ARCHITECTURE.md` helps to find the place for a change; the crate `rules` holds the rules as data.
#![cfg(target_os = "none")]
#![no_std]

extern crate alloc;

pub mod arch;
pub mod console;
pub mod debug;
pub mod drivers;
pub mod early;
pub mod exception;
pub mod idle;
pub mod irq;
pub mod kprobe;
pub mod mm;
pub mod monitor;
pub mod options;
pub mod percpu;
pub mod report;
pub mod sched;
pub mod smp;
mod start;
pub mod sync;
pub mod time;
