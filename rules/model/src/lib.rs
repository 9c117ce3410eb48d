//! A model of one and of two CPUs under the masking rules of AArch64's debug exceptions, and an explorer that looks at every state that the model
//! can get into.
//!
//! A test tries one order of events; a sweep tries an interrupt at each instruction of one path. Here every event may come at every point where
//! the masks let it in: an IRQ or a pseudo-NMI before each instruction, a breakpoint in the handler that an interrupt has for a context which is being
//! stepped over another one, a tracer that dies while its step is due. In each state that this leads to, all rules are checked that are about
//! states. If one does not hold, the explorer says so with a shortest sequence of events, in words.
//!
//! # What decides
//!
//! The table ([`table::Table`]) is a value, and the only copy of the rules: the kernel's own, one with a cell changed, or another one. The
//! transitions ([`kernel`]) match on its columns as the kernel's `exception::apply` does, and change owners, SPSR_EL1.SS and MDSCR_EL1.SS by the
//! functions of `rules::step`; whether threads may be switched is asked of `rules::switch`. Those are the kernel's own decisions. What moves a debug
//! state between its holders (the CPU, the stash, a thread, a task) has to be written again, because the kernel's functions touch registers; each
//! function of [`kernel`] names the one that it mirrors.
//!
//! Beside the machine a state has bookkeeping: which steps were asked for, of which context, and whether it has executed its instruction
//! ([`state::Progress`]); which slot an attempt has hit ([`state::Next`]). It follows what has happened, not what the table makes of it. The
//! properties ([`properties`]) compare the machine with the bookkeeping.
//!
//! # The machine
//!
//! The software-step state machine is the architecture's (DDI 0487 D2.12). While software step is enabled (MDSCR_EL1.SS is 1, and D is open or the code
//! is at EL0), PSTATE.SS says whether the step is active-not-pending or active-pending. An instruction clears PSTATE.SS; an exception return sets it
//! from SPSR_EL1.SS, if software step is enabled for the context that is returned to. While a step is pending, no instruction is executed, but an
//! interrupt that the masks let in may come first: the architecture leaves the order open, so both are tried. QEMU has only one of the orders.
//!
//! # Why the explorer is not a crate's
//!
//! `stateright` would do for the properties of states. It keeps 64-bit fingerprints in place of states, so two states can be taken for one; its
//! liveness properties are sound on acyclic graphs only, and that there is no livelock is a property of cycles; and it depends on some forty
//! packages, one of them an HTTP server. [`explore`] is a breadth-first search that keeps whole states, in about two hundred lines.

pub mod broken;
pub mod config;
pub mod event;
pub mod explore;
pub mod kernel;
pub mod model;
pub mod pack;
pub mod properties;
pub mod replay;
pub mod scenarios;
pub mod show;
pub mod state;
pub mod table;
#[cfg(test)]
mod tests;
