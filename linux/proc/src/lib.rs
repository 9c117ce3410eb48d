//! Linux's `/proc`, and the little of `/sys` that programs read: which names there are, and how the files are laid out.
//!
//! [`Name`] is a file there. It says what its name is, where it lies, what its children are, and its mode; which processes and tasks exist is
//! the kernel's to say. The other types are the contents of files: the kernel fills in the values, and their `write` gives the text.
//!
//! The layouts are Linux 6.1's. A line of `/proc/PID/status` whose value this kernel does not have is left out.
//!
//! # Memory
//! A program decides how long some of these files are, so [`Text`] grows fallibly. An error means that there is no memory.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod maps;
mod names;
mod stat;
mod state;
mod status;
mod system;
mod text;

pub use maps::MapsLine;
pub use names::{Entry, Fixed, Name, Numbers};
pub use stat::{Addresses, ProcessStat, Statm};
pub use state::State;
pub use status::Status;
pub use system::{MemInfo, SystemStat, cpu_list, mounts, uptime, version};
pub use text::{Result, Text};
