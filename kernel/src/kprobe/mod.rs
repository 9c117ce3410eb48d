//! Kprobes: a BRK takes the place of an instruction. When the BRK is hit, handlers are called before and after the
//! instruction, which is simulated or executed somewhere else ("out of line").
//!
//! The words: a *site* is a probed address. The *displaced instruction* is the instruction whose place the BRK has
//! taken. The *probed context* is the context that has hit the BRK. A displaced instruction that is not simulated runs
//! in a *copy*, in memory of its own. The text of an *optimised* site holds a branch to a *trampoline* instead of a
//! BRK; the trampoline calls the handlers and runs the displaced instruction without an exception. While a CPU deals
//! with a hit, it has a *level* for the site.
//!
//! A module knows only modules that stand below it in this list:
//!
//! - `returns`: return probes are placed and removed; returns that `hit.S` does not deal with.
//! - `register`: probes are registered and removed (rules K2, K3, K4).
//! - `engine`: hits (rules K6 to K8), except the most frequent kinds, which `hit.S` deals with.
//! - `settle`: interrupted contexts are moved out of copies and trampolines.
//! - `shown`: what handlers of slots and debuggers see of a displaced instruction.
//! - `optimised`: probes whose hits take no exception.
//! - `copies`: the pages in which displaced instructions run. `levels`: which sites a CPU deals with (K5), each in a `level`.
//! - `table`: how a site is found without a lock. `instance`: the calls that return probes wait for.
//! - `site`: a probed address, with its instruction and its probes. `probe`: a registered probe.
//! - `simd`: SIMD&FP registers of the probed context. `machine`: which features of the CPU the `probe` crate has to know.

mod copies;
mod engine;
mod instance;
mod level;
mod levels;
mod machine;
mod optimised;
mod probe;
mod register;
mod returns;
mod settle;
mod shown;
mod simd;
mod site;
mod table;

pub use self::probe::{Kprobe, PostHandler, PreHandler, Then};
pub use engine::{Excepted, fault_in_copy, hit, out_of_line_end, rest_of_hit};
pub use instance::{
    DEFAULT as DEFAULT_INSTANCES, EntryHandler, Instance, ReturnHandler, ReturnProbe, caller, end_of_stack,
};
pub use level::{LEVELS, Level};
pub use levels::{depth, is_behind};
pub use optimised::{Rest, rest, stand_in, unsettle};
pub use register::{
    ProbeError, Wanted, count, disable, enable, register, register_all, register_possible, register_with,
    remove, remove_all, unregister,
};
pub use returns::{WantedReturn, register_return, remove_return, returned};
pub use settle::settle;
pub use shown::{Displaced, Origin, may_be_shown, show};
pub use table::{list, original};
