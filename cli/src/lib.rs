//! Line editing, command parsing and boot arguments.
//!
//! Independent parts of a kernel's text interface, without allocation and without knowledge of the kernel:
//!
//! - [`LineEditor`] turns bytes from a terminal or a pipe into lines;
//! - [`command::parse`] turns a line into a [`Command`](command::Command) of the monitor, and writes its help;
//! - [`symbol`] compares the names of symbols that people type with those of a symbol table;
//! - [`BootArgs`] holds the boot arguments of `/chosen/bootargs`.
//!
//! Wrong input is answered by a typed error or warning whose `Display` is one line that says what was expected.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod bootargs;
pub mod command;
mod editor;
mod nearest;
mod number;
mod share;
pub mod symbol;

pub use bootargs::BootArgs;
pub use editor::{Event, LineEditor, LineError};
pub use share::Share;

#[cfg(test)]
mod testing;
