//! The image again, as the target of `cargo test`: the runner boots it with `mode=test`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use image as _;

/// For tools that build this target for the host: a program there must have a `main`.
#[cfg(not(target_os = "none"))]
fn main() {}
