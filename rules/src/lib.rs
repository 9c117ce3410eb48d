//! The masking rules of the debug exceptions of AArch64 as data, and the pure decisions made from them.
#![cfg_attr(not(test), no_std)]
