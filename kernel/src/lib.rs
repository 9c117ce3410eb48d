//! The Stepwell kernel: AArch64 debug exceptions under written, checked rules.
//!
//! `ARCHITECTURE.md` helps to find the place for a change; the crate `rules` holds the rules as data. A name such as M8
//! or H6 is that of a rule.
//!
//! # Words
//!
//! The documentation of a function ends with the contexts in which the function may be called:
//! - *Thread context*: a thread, not inside an exception.
//! - *Interrupt context*: the handler of an IRQ or FIQ, with I and F masked (M8).
//! - *NMI context*: the handler of an NMI, with all exceptions masked (M9).
//! - *Debug context*: the handler of a debug exception from EL1, or of a probe, and everything that this handler calls,
//!   with all exceptions masked (M10, M12). As in NMI context, code must not wait, allocate, or take a lock that may be
//!   held.
//! - *Any context*: all of these.
//!
//! "All exceptions are masked" means that PSTATE.D, A, I and F are set; "D is open" means that PSTATE.D is clear.
//! *No-probe text* is code in which probes and breakpoints are refused (H6). *Checked builds* have debug assertions.
#![cfg(target_os = "none")]
#![no_std]

extern crate alloc;

pub mod arch;
pub mod clock;
pub mod console;
pub mod debug;
pub mod drivers;
pub mod early;
pub mod errno;
pub mod exception;
pub mod fs;
pub mod idle;
pub mod irq;
pub mod kprobe;
pub mod mm;
pub mod monitor;
pub mod options;
pub mod percpu;
pub mod policy;
pub mod proc;
pub mod report;
pub mod sched;
pub mod smp;
pub mod space;
mod start;
pub mod sync;
pub mod syscall;
pub mod task;
pub mod time;
pub mod trace;
pub mod userspace;
