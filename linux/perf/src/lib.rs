//! Linux's `perf_event_open`, as far as it is about hardware breakpoints (PERF_TYPE_BREAKPOINT): which attributes ask for what, and what
//! `read` returns.
//!
//! The layout and the constants are those of Linux's `include/uapi/linux/perf_event.h` and `hw_breakpoint.h`; what is refused, and with
//! which error, follows perf_event_open(2), `kernel/events/core.c` and `arch/arm64/kernel/hw_breakpoint.c`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod attributes;
mod error;
pub mod ioctl;
mod read;

pub use attributes::{Access, Attributes, Watch};
pub use error::Error;
pub use read::{Reading, format_of};

/// PERF_FLAG_FD_NO_GROUP, PERF_FLAG_FD_OUTPUT, PERF_FLAG_PID_CGROUP, PERF_FLAG_FD_CLOEXEC: the flags of the system call.
pub mod flag {
    #![allow(missing_docs, reason = "Linux's names")]
    pub const FD_NO_GROUP: u64 = 1 << 0;
    pub const FD_OUTPUT: u64 = 1 << 1;
    pub const PID_CGROUP: u64 = 1 << 2;
    pub const FD_CLOEXEC: u64 = 1 << 3;
}
