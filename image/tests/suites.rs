//! The image again, as the target of `cargo test`: the runner boots it with `mode=test`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use image as _;

/// Keeps tools that build for the host content.
#[cfg(not(target_os = "none"))]
fn main() {}
