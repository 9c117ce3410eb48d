//! What exercises the kernel on the machine: in-kernel tests, the sweep, the storm, costs, the main job.
//!
//! The harness depends on the kernel, and the kernel knows nothing of it: the image registers [`HOOKS`] and
//! [`ktest::command`]. What is tested, swept and stormed is handed to it (`tests/`).
#![cfg(target_os = "none")]
#![no_std]

extern crate alloc;

pub mod bench;
pub mod demo;
pub mod ktest;
pub mod storm;
pub mod sweep;

use kernel::exception::Hook;

/// What the sweep and the storm add to the kernel's end.
pub static HOOKS: &[Hook] = &[
    Hook { caught: sweep::caught, last_words: sweep::last_words },
    Hook { caught: |_| (), last_words: storm::last_words },
];
