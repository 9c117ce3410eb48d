//! The image `stepwell`: the library `image` linked by itself.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use image as _;

/// Keeps tools that build for the host content.
#[cfg(not(target_os = "none"))]
fn main() {}
