//! Linux's `struct user_hwdebug_state`: the hardware breakpoints and watchpoints of a task, as a tracer reads and sets them with
//! PTRACE_GETREGSET and PTRACE_SETREGSET (NT_ARM_HW_BREAK, NT_ARM_HW_WATCH).
//!
//! The layout is that of Linux's `arch/arm64/include/uapi/asm/ptrace.h`:
//!
//! | bytes | field | what the field is |
//! |---|---|---|
//! | 0 to 3 | `dbg_info` | bits 7 to 0: how many slots the CPU has; bits 15 to 8: the version of the debug architecture |
//! | 8 + 16 n to 15 + 16 n | `dbg_regs[n].addr` | the address |
//! | 16 + 16 n to 19 + 16 n | `dbg_regs[n].ctrl` | the control word, laid out as the low bits of `DBGBCR<n>_EL1` and `DBGWCR<n>_EL1` |
//!
//! All other bytes are padding. A tracer may give fewer slots than there are; those that are not given stay as they were.
//!
//! Linux does not keep the two words as they were written. Each slot is an event with an address, a length and a kind of access
//! ([`Point`]), which each written word changes, and what is read is made from the event. So the order of the words matters: an address is
//! checked with the length that the slot has before, and a control word moves the address by the offset of its first byte. What is
//! refused, and with which error, follows `arch/arm64/kernel/ptrace.c` and `hw_breakpoint.c`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod layout;
mod point;

pub use layout::{Change, MOST, SIZE, changes, encode, info};
pub use point::{Access, Point, Watched};

/// The two kinds of slots: the two regsets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// NT_ARM_HW_BREAK.
    Break,
    /// NT_ARM_HW_WATCH.
    Watch,
}

/// Why a slot is not set: Linux's EINVAL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invalid;
