//! The protocols between Stepwell's CPUs: who waits for whom, and which memory access must not overtake which. All but that of ASIDs,
//! which runs under a lock, are lock-free.
//!
//! An emulator runs CPUs in turns and so hides a missing acquire or release. Here the protocols stand apart from the kernel: built with
//! `--cfg loom` they use the atomics of the model checker `loom`, and `tests/models.rs` tries every order that the architecture allows. The
//! kernel uses the same source.
#![cfg_attr(not(any(loom, test)), no_std)]
#![forbid(unsafe_code)]

mod asids;
mod changes;
mod rendezvous;
mod sync;

pub use asids::{AsidWord, Asids, MOST_ASIDS, Run, asid_of};
pub use changes::{Applied, Changes};
pub use rendezvous::Rendezvous;
