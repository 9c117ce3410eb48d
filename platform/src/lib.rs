//! What the device tree says about the machine.
#![cfg_attr(not(test), no_std)]
