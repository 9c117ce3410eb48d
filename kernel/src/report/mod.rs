//! Reports of the kernel's state: symbols and places, backtraces, and how the machine ends.

pub mod backtrace;
pub mod place;
pub mod power;
pub mod symbols;
