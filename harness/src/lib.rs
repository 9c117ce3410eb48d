//! Everything that exercises the kernel from inside: in-kernel tests, the sweep, the storm, the measurement of costs, the main job.
//!
//! The harness depends on the kernel, and the kernel knows nothing of it: the image registers [`HOOKS`] and
//! [`ktest::command`]. The image also passes the harness the tests, the scenarios and the storm, which `tests/` defines.
#![cfg(target_os = "none")]
#![no_std]

extern crate alloc;

pub mod bench;
pub mod contend;
pub mod demo;
pub mod elf;
pub mod ktest;
pub mod storm;
pub mod sweep;

use kernel::exception::Hook;

/// The hooks with which the sweep and the storm take part in a panic.
pub static HOOKS: &[Hook] = &[
    Hook { caught: sweep::caught, last_words: sweep::last_words },
    Hook { caught: |_| (), last_words: storm::last_words },
];
