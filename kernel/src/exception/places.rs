//! Where the handlers of exceptions from EL0 are in their table, which `vectors.S` reads.

/// How many handlers there are: those of synchronous exceptions by ESR_EL1.EC, and the others by the places below.
pub const HANDLERS: usize = 69;

/// An IRQ.
pub const IRQ: usize = 64;
/// An FIQ.
pub const FIQ: usize = 65;
/// An SError.
pub const ERROR: usize = 66;
/// Any exception from AArch32 state.
pub const AARCH32: usize = 67;
/// The first return to EL0 of a program's thread.
pub const BEGIN: usize = 68;
