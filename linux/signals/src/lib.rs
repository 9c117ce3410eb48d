//! Linux signals as values and decisions, without a kernel.
//!
//! The life of a signal, and the item that decides each stage:
//!
//! 1. Somebody makes an [`Info`]: a fault, `kill`, a timer, a child's end, or a user program by `rt_sigqueueinfo`
//!    ([`Info::from_user`]).
//! 2. [`Actions::generate`] says what sending does at once: SIGCONT wakes a stopped process and removes pending stop signals,
//!    and a signal that its receiver ignores is dropped. A fault calls [`Actions::force`] first, because a fault cannot be
//!    blocked or ignored.
//! 3. [`Pending::push`] queues the [`Info`]. A thread has one queue and a process has one queue.
//! 4. On the way to EL0 the thread calls [`take`] until nothing is left or [`deliver()`] wants a handler to run.
//! 5. [`deliver()`] turns the [`Info`] into a [`Delivery`]: ignore, terminate, stop, or run a handler. [`Cut::resume`] says what
//!    happens to a system call that the signal cut short.
//! 6. For a handler, [`frame`] builds the arm64 signal frame and the registers with which the handler starts, and reads the
//!    frame again when the handler calls `rt_sigreturn`.
//!
//! Constants and behaviour are Linux's for AArch64. Nothing here locks, blocks or panics. Only [`Pending`] and [`Timers`]
//! allocate; allocations of [`Pending`] may fail.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod action;
mod alternate;
mod deliver;
mod error;
pub mod frame;
mod info;
mod pending;
mod restart;
mod set;
mod signal;
mod timers;

pub use action::{Action, ActionFlags, Actions, Generation, Handler, Replaced};
pub use alternate::{AltStack, Stack};
pub use deliver::{Delivery, Entry, deliver};
pub use error::Error;
pub use info::{Fields, Info};
pub use pending::{Pending, Pushed, take, take_waited};
pub use restart::{Cut, Resume};
pub use set::SigSet;
pub use signal::{DefaultAction, Signal};
pub use timers::{Expiry, Notify, Setting, Timers};
