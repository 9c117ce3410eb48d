//! The rules of masks and MDSCR_EL1.SS, one by one: what each row promises, as literal values, seen by handlers of real
//! exceptions. A test's name begins with the rule that it is about.
//!
//! - `code`, `seen`, `trace`, `signal`: what the tests are made of.
//! - a file for each kind of exception, one for what the boot code leaves (`boot`), one for returning (M13), one for the standing
//!   invariants, one for "interrupts off".

pub mod code;
mod seen;
pub mod signal;
mod trace;

pub mod boot;
pub mod debug;
pub mod faults;
pub mod guards;
pub mod interrupts;
pub mod invariants;
pub mod probes;
pub mod resume;
pub mod warns;
