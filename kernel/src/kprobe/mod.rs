//! Kprobes: a BRK in place of an instruction, handlers before and after it, the instruction itself simulated or run out of
//! line.
//!
//! A module knows only modules that stand further down here:
//!
//! - `returns`: return probes placed and removed, and their rarer returns.
//! - `register`: registration and removal (rules K2, K3, K4).
//! - `engine`: hits (rules K6 to K8), of which `hit.S` deals with the most frequent ones.
//! - `settle`: no interrupt leaves a context in a copy. `shown`: what slots' handlers and debuggers see of a displaced instruction.
//! - `optimised`: probes that take no exception.
//! - `copies`: the pages in which displaced instructions run. `levels`: which sites a CPU deals with (K5), each in a `level`.
//! - `table`: how a site is found without a lock. `instance`: the calls that return probes wait for.
//! - `site`: what is known of a probed address. `probe`: a registered probe.
//! - `simd` and `machine`: what the CPU has.

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
