//! The architecture below the kernel: masks, barriers, PSCI, copies and accesses that may fault, caches, SIMD, and system registers that no crate names.

pub mod barrier;
pub mod cache;
pub mod copy;
pub mod daif;
pub mod el0;
pub mod fp;
pub mod mdscr;
pub mod psci;
pub mod sysreg;
pub mod uaccess;
pub mod usercopy;
