//! What is said of the kernel's state: symbols, backtraces, the last report, and how the machine ends.

pub mod backtrace;
pub mod power;
pub mod symbols;
