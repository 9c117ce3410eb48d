//! The Stepwell kernel: AArch64 debug exceptions under written, checked rules.
#![no_std]
