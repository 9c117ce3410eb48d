//! Hardware breakpoint and watchpoint slots of AArch64: encodings, bookkeeping, attribution, order of register writes.
#![cfg_attr(not(test), no_std)]
