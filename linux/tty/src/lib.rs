//! A terminal's line discipline.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
