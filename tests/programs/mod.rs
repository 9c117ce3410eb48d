//! Debug exceptions of programs at EL0, seen from inside of the kernel: rows M1 to M5 and M15 of the table, and the tasks' rules.
//!
//! `program` starts small programs; the files beside it have the tests.

mod program;

pub mod delivery;
pub mod kernels;
pub mod steps;
