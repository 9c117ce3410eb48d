#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
//! x
mod bits;
mod class;
mod classify;
pub mod events;
pub mod exclusive;
pub mod ool;
pub mod sim;
pub use class::{Class, Reason};
pub use classify::classify;
pub use exclusive::{classify_at, in_exclusive_sequence, is_load_exclusive, is_store_exclusive};
pub use sim::{Mem, Regs, Sim, simulate};
