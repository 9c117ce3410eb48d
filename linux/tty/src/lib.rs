//! A terminal's line discipline (Linux's N_TTY) as a state machine, without a terminal.
//!
//! [`Tty`] holds what Linux keeps between the driver and the programs: the settings ([`Termios`], [`WindowSize`]), the bytes typed
//! and not yet read, the column of the cursor, and which session and process group the terminal belongs to ([`Job`]).
//!
//! - The driver passes each byte that arrives to [`Tty::input`]. The echo goes to the driver's [`OutputQueue`], and [`Effects`]
//!   says what else to do: raise a signal in the foreground process group, stop or start output, wake readers.
//! - `read` calls [`Tty::read`], which says whether to return or to wait, and for how long (VMIN, VTIME).
//! - `write` calls [`Tty::output`], which turns bytes into what the terminal is sent.
//! - [`Job`] decides whether a process may read, write or change the terminal, or is to be stopped by SIGTTIN or SIGTTOU.
//!
//! Echo and output share the driver's queue; while [`Tty::is_stopped`] the driver sends nothing from the queue.
//!
//! Nothing here locks, blocks or panics, and only [`Tty::new`] allocates.
//!
//! Not implemented, and accepted without effect: PARMRK, INPCK, BRKINT (no errors of the line are known here), IXOFF, ECHOPRT,
//! EXTPROC, IUCLC, OLCUC, OFILL and the delays other than TAB3.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod editing;
mod input;
mod job;
mod output;
mod queue;
mod read;
mod termios;
mod tty;

pub use job::{Access, Caller, Denied, Job};
pub use read::Read;
pub use termios::{Termios, WindowSize};
pub use tty::{Effects, Flow, FlowRequest, OutputQueue, Queues, Tty};
