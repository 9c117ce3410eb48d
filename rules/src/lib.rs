//! The masking rules of the debug exceptions of AArch64: what each exception does to PSTATE.D, A, I, F and to
//! MDSCR_EL1.SS, as data, and the pure decisions made from them.
//!
//! - [`table`]: one row per origin and class, M1 to M16. A kernel's entry and exit code applies these rows and changes no
//!   mask for an exception anywhere else.
//! - [`invariants`]: the rules besides the table: I (at all times), H (hardware slots), K (probes), X (the whole).
//! - [`reason`] and [`source`]: why each rule is as it is, and where it comes from. [`meaning`]: the table's columns in words.
//! - [`pstate`]: the bits of PSTATE and SPSR_EL1 that the rules speak of, and what a row makes of them.
//! - [`step`]: who asked for a step of a context, and what becomes of the step when the context is interrupted, faults, hits a
//!   probe or is returned to.
//! - [`plan`]: how far a debugger's steps go: one step, a number of steps, until a condition holds, over a call.
//! - [`switch`]: whether a CPU may switch to another task (I5).
//! - [`overrides`]: one cell of the table exchanged by name (`M8.ss=keep`), so that a test suite can show that every cell
//!   matters.
//! - [`policies`]: whole sets of rules by name, the product's and those of others, for comparison.
//!
//! No function of this crate touches a register, allocates, or depends on a kernel. A decision is a function from values to
//! values, so a host test and a model can call it as the kernel does.
//!
//! ```
//! use stepwell_rules::{pstate::Daif, step::Owners, table::{Masks, RowId, TABLE}};
//!
//! // What an interrupt from EL1 does (M8).
//! let row = &TABLE[RowId::M8 as usize];
//! assert_eq!(row.masks, Masks::UnmaskDebugAndError);
//! assert_eq!(row.masks.apply(Daif::empty()), Some(Daif::I | Daif::F));
//! // M13: a context is returned to with MDSCR_EL1.SS set exactly if somebody asked for its step.
//! assert!(stepwell_rules::step::mdscr_ss(Owners::DEBUGGER));
//! assert!(!stepwell_rules::step::mdscr_ss(Owners::empty()));
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod invariants;
pub mod meaning;
mod names;
pub mod overrides;
pub mod plan;
pub mod policies;
pub mod pstate;
pub mod reason;
pub mod source;
pub mod step;
pub mod switch;
pub mod table;
#[cfg(test)]
mod tests;
