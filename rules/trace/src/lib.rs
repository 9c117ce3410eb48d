//! The records of a trace: for each exception its entry and its exit, and each switch of threads, with the debug state before and after.
//!
//! A kernel writes the records into a ring for each CPU; a tool finds the rings in the machine's memory ([`layout`]) and reads them. A
//! record is eight words, so that a writer needs no more than plain stores.
#![no_std]

pub mod layout;
mod record;
pub mod text;

pub use record::{Class, Kind, Record, Side};

#[cfg(test)]
mod tests;
