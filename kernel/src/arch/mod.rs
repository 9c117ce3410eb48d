//! What the architecture gives: masks, barriers, system registers that no crate names.

pub mod barrier;
pub mod daif;
pub mod mdscr;
pub mod psci;
pub mod sysreg;
pub mod uaccess;
