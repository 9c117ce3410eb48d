//! The architecture below the kernel: masks, barriers, PSCI, accesses that may fault, and system registers that no crate names.

pub mod barrier;
pub mod daif;
pub mod mdscr;
pub mod psci;
pub mod sysreg;
pub mod uaccess;
