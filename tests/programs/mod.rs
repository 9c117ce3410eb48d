//! Debug exceptions of programs at EL0, seen from inside of the kernel: rows M1 to M5 and M15 of the table, and the tasks' rules.
//!
//! `program` starts small programs, whose text is in `text`; `client` asks for steps of one task and writes down where they land; the other
//! files have the tests.

mod client;
mod program;
mod text;

pub mod crowd;
pub mod delivery;
pub mod kernels;
pub mod open;
pub mod spaces;
pub mod steps;
pub mod traced;
pub mod walks;
