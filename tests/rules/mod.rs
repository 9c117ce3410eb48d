//! The rules of masks and MDSCR_EL1.SS, one by one. Handlers of real exceptions record what they see, and the tests compare that
//! with literal values. A test's name begins with the rule that it tests.
//!
//! - `code`, `seen`, `trace`, `signal`: tools for the tests.
//! - One file for each kind of exception; `boot` for what the boot code leaves behind, `resume` for returns (M13), `invariants`,
//!   and `guards` for guards that keep interrupts off.

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
