//! What is said of the kernel's state: symbols and places, backtraces, the last report, and how the machine ends.

pub mod backtrace;
pub mod place;
pub mod power;
pub mod symbols;
