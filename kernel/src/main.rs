//! The kernel's image: `kernel::start` linked by itself.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use kernel as _;

/// Keeps tools that build for the host content.
#[cfg(not(target_os = "none"))]
fn main() {}
