//! From the machine's entry to the kernel's first instruction in the upper half.
#![cfg_attr(not(test), no_std)]
