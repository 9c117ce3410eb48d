//! Line editing, command parsing and boot arguments.
#![cfg_attr(not(test), no_std)]
